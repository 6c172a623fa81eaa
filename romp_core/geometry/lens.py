"""Cameras whose lens bends straight lines: from pixels to rays, and from points to pixels.

Frames and pixels as in `romp_core.geometry.cameras`; distortion as sensor_msgs/CameraInfo names
it, evaluated by OpenCV.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from romp_core.errors import ConfigError
from romp_core.geometry.cameras import NEAREST_DEPTH, checked_intrinsics

PLUMB_BOB, RATIONAL_POLYNOMIAL, EQUIDISTANT = "plumb_bob", "rational_polynomial", "equidistant"

COEFFICIENT_COUNTS = {
    PLUMB_BOB: (0, 4, 5),
    RATIONAL_POLYNOMIAL: (0, 8, 12, 14),
    EQUIDISTANT: (0, 4),
}
"""Distortion models of REP 104 and image_pipeline, and how many coefficients each may have."""

_UNDISTORTION = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-6)
_LARGEST_ERROR = 1.0
"""Pixels by which a ray may miss the pixel that it was found for."""

_RADII = np.arange(0, 10, 0.002)
"""Distances from the optical axis, at z = 1, at which `CameraModel._reach` looks."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Intrinsics and lens of one camera.

    Args:
        intrinsics: (3, 3) K, pixels; the skew is ignored.
        distortion: one of `COEFFICIENT_COUNTS`.
        coefficients: as sensor_msgs/CameraInfo.d has them; empty, or all zero: a pinhole camera.

    Raises:
        ConfigError: intrinsics that are no camera's, an unknown model, coefficients of another
            number or not finite.
    """

    intrinsics: np.ndarray
    distortion: str = PLUMB_BOB
    coefficients: tuple[float, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "intrinsics", checked_intrinsics(self.intrinsics))
        if self.distortion not in COEFFICIENT_COUNTS:
            raise ConfigError(
                f"the distortion model is {self.distortion!r}; expected one of "
                f"{', '.join(COEFFICIENT_COUNTS)}"
            )
        counts = COEFFICIENT_COUNTS[self.distortion]
        if len(self.coefficients) not in counts or not np.isfinite(self.coefficients).all():
            raise ConfigError(
                f"the distortion coefficients are {list(self.coefficients)}; expected "
                f"{' or '.join(map(str, counts))} finite numbers for {self.distortion}"
            )

    @cached_property
    def is_pinhole(self) -> bool:
        """Whether straight lines stay straight."""
        return not np.any(self.coefficients) and self.distortion != EQUIDISTANT

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions in which pixels look.

        Args:
            pixels: (*, 2).

        Returns:
            (*, 2) float64 x / z and y / z in the optical frame; NaN where the lens shows nothing
            (beyond the picture's border, where the distortion has no inverse).
        """
        pixels, K = np.asarray(pixels, np.float64), self._matrix
        if self.is_pinhole:
            return (pixels - K[:2, 2]) / K.diagonal()[:2]
        flat = pixels.reshape(-1, 1, 2)
        if not len(flat):
            return pixels
        if self.distortion == EQUIDISTANT:
            rays = cv2.fisheye.undistortPoints(flat, K, self._coefficients)
        else:
            straight = cv2.undistortImagePoints(flat, K, self._coefficients, None, _UNDISTORTION)
            rays = (straight - K[:2, 2]) / K.diagonal()[:2]
        rays = rays.reshape(pixels.shape)
        points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
        error = np.linalg.norm(self.project(points) - pixels, axis=-1, keepdims=True)
        return np.where(error < _LARGEST_ERROR, rays, np.nan)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels at which points of the optical frame appear.

        Args:
            points: (*, 3) metres. Nearer than `NEAREST_DEPTH`, or behind the camera, they count
                as at that depth. Where the distortion would turn back towards the picture, they
                go on outwards as in a pinhole camera.

        Returns:
            (*, 2) float64 pixels.
        """
        points, K = np.asarray(points, np.float64), self._matrix
        depth = np.maximum(points[..., 2:], NEAREST_DEPTH)
        if self.is_pinhole:
            return points[..., :2] / depth * K.diagonal()[:2] + K[:2, 2]
        rays = points[..., :2] / depth
        if not rays.size:
            return rays
        beyond = np.maximum(np.linalg.norm(rays, axis=-1, keepdims=True) / self._reach, 1)
        pixels = self._distorted(rays / beyond, K, self._coefficients)
        return (pixels - K[:2, 2]) * beyond + K[:2, 2]

    def _distorted(self, rays: np.ndarray, K: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """(*, 2) pixels of rays (*, 2)."""
        flat = np.concatenate([rays, np.ones_like(rays[..., :1])], -1).reshape(-1, 1, 3)
        project = cv2.projectPoints
        if self.distortion == EQUIDISTANT:
            project = cv2.fisheye.projectPoints
        pixels, _ = project(flat, np.zeros(3), np.zeros(3), K, coefficients)
        return pixels.reshape(rays.shape)

    @cached_property
    def _reach(self) -> float:
        """Up to which distance from the axis, at z = 1, what lies farther out is seen farther out.

        Polynomials turn back somewhere beyond the picture, where nobody calibrated them, and would
        show in it the feet of somebody who stands close.
        """
        radial = self._coefficients.copy()
        if self.distortion != EQUIDISTANT:
            radial[2:4] = radial[8:] = 0  # tangential and the like
        rays = np.stack([_RADII, np.zeros_like(_RADII)], -1)
        outwards = np.diff(self._distorted(rays, np.eye(3), radial)[:, 0]) > 0
        return np.inf if outwards.all() else _RADII[max(np.argmin(outwards), 1)]

    def as_pinhole_sees(self, points: np.ndarray) -> np.ndarray:
        """Points of the same depths that a pinhole camera with this K sees where the lens does.

        They let a renderer without lenses draw over the camera's own picture.

        Args:
            points: (*, 3) metres.
        """
        if self.is_pinhole:
            return points
        K = self._matrix
        directions = (self.project(points) - K[:2, 2]) / K.diagonal()[:2]
        depth = points[..., 2:]
        moved = np.concatenate([directions * depth, depth], -1)
        return np.where(depth > NEAREST_DEPTH, moved, points).astype(np.float32)

    # Kept, because several calls per image ask for them.
    @cached_property
    def _matrix(self) -> np.ndarray:
        return self.intrinsics.astype(np.float64)

    @cached_property
    def _coefficients(self) -> np.ndarray:
        count = max(len(self.coefficients), 4)
        return np.pad(np.array(self.coefficients, np.float64), (0, count - len(self.coefficients)))
