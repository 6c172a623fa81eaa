"""Cameras: weak and full perspective, and the padded square.

Conventions (REP 103, OpenCV): the optical frame has x right, y down, z forward, in
metres. Pixel coordinates are (x, y) with pixel centres at integers, as in the K of a
`sensor_msgs/CameraInfo`: the left border of an image is at -0.5.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from romp_core.errors import ConfigError

NEAREST_DEPTH = 0.01
"""Depth in metres that points at or behind the camera are moved to before a division."""


def intrinsics_from_fov(height: int, width: int, horizontal_fov_deg: float = 60.0) -> np.ndarray:
    """Intrinsics of a pinhole camera with square pixels that looks through the image centre.

    Args:
        height, width: image size in pixels.
        horizontal_fov_deg: horizontal field of view in degrees, in (0, 180).

    Returns:
        (3, 3) float32 K.

    Raises:
        ConfigError: a field of view outside of (0, 180).
    """
    if not 0 < horizontal_fov_deg < 180:
        raise ConfigError(
            f"horizontal field of view is {horizontal_fov_deg} degrees; expected more than 0 "
            "and less than 180"
        )
    focal = width / (2 * math.tan(math.radians(horizontal_fov_deg) / 2))
    return np.array(
        [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float32
    )


def checked_intrinsics(matrix: np.ndarray) -> np.ndarray:
    """Intrinsics as (3, 3) float32.

    Raises:
        ConfigError: another shape, numbers that are not finite, no focal lengths, or a last row
            other than 0, 0, 1 (as of a transposed matrix).
    """
    try:
        found = np.asarray(matrix, np.float32)
    except (TypeError, ValueError):
        found = np.empty(0)
    if (
        found.shape != (3, 3)
        or not np.isfinite(found).all()
        or (found.diagonal()[:2] <= 0).any()
        or not np.allclose(found[2], (0, 0, 1), atol=1e-3)
    ):
        raise ConfigError(
            f"intrinsics are {matrix!r}; expected a finite (3, 3) matrix [[fx, s, cx], "
            "[0, fy, cy], [0, 0, 1]] with positive focal lengths, or None where the camera is "
            "not calibrated"
        )
    return found


def perspective_project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels at which points of the optical frame appear.

    Args:
        points: (*, N, 3) metres.
        intrinsics: (*, 3, 3).

    Returns:
        (*, N, 2) pixels. Points nearer than `NEAREST_DEPTH`, or behind the camera, are
        projected as if at that depth, far outside of the image.
    """
    depth = points[..., 2:].clamp(min=NEAREST_DEPTH)
    homogeneous = torch.cat([points[..., :2] / depth, torch.ones_like(depth)], -1)
    return homogeneous @ intrinsics[..., :2, :].transpose(-1, -2)


def weak_perspective_project(points: Tensor, camera: Tensor) -> Tensor:
    """ROMP's projection: u = s X + tx, v = s Y + ty.

    Args:
        points: (*, N, 3) metres, axes of the optical frame, origin at the body.
        camera: (*, 3) scale s and translation tx, ty.

    Returns:
        (*, N, 2) in the padded square's own coordinates, -1..1 from border to border.
    """
    return camera[..., None, :1] * points[..., :2] + camera[..., None, 1:]


@dataclass(frozen=True)
class Letterbox:
    """The centred, zero-padded square that the network sees, and its way back to pixels.

    Attributes:
        height, width: size of the original image in pixels.
    """

    height: int
    width: int

    @property
    def side(self) -> int:
        """Side of the padded square in pixels of the original image."""
        return max(self.height, self.width)

    @property
    def top(self) -> int:
        """Rows of padding above the image."""
        return (self.side - self.height) // 2

    @property
    def left(self) -> int:
        """Columns of padding left of the image."""
        return (self.side - self.width) // 2

    def to_pixels(self, normalized: Tensor) -> Tensor:
        """Pixels of the original image.

        Args:
            normalized: (*, 2) coordinates of the padded square, -1..1.

        Returns:
            (*, 2) pixels.
        """
        offset = normalized.new_tensor([self.left + 0.5, self.top + 0.5])
        return (normalized + 1) * (self.side / 2) - offset

    def to_normalized(self, pixels: Tensor) -> Tensor:
        """Coordinates -1..1 of the padded square; the inverse of `to_pixels`."""
        offset = pixels.new_tensor([self.left + 0.5, self.top + 0.5])
        return (pixels + offset) / (self.side / 2) - 1
