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

_CORRECTIONS = 4


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
            (*, 2) float64 x / z and y / z in the optical frame: the inverse of `project`, which
            goes on outwards where the distortion has no inverse; NaN for NaN.
        """
        pixels, K = np.asarray(pixels, np.float64), self._matrix
        if self.is_pinhole:
            return (pixels - K[:2, 2]) / self._focal
        flat = pixels.reshape(-1, 1, 2)
        if not len(flat):
            return pixels
        if self.distortion == EQUIDISTANT:
            rays = cv2.fisheye.undistortPoints(flat, K, self._coefficients)
        else:
            straight = cv2.undistortImagePoints(flat, K, self._coefficients, None, _UNDISTORTION)
            rays = (straight - K[:2, 2]) / self._focal
        rays = rays.reshape(pixels.shape)
        found = np.linalg.norm(self._missed(rays, pixels), axis=-1) < _LARGEST_ERROR
        if not found.all():
            rays[~found] = self._rays_by_distance(pixels[~found])
        return rays

    def has_inverse(self, size: tuple[int, int]) -> bool:
        """Whether the distortion has an inverse all over a picture of this height and width. If
        not, it was fitted to a part of such pictures, and says nothing of the rest.
        """
        if self.is_pinhole:
            return True
        corners = np.array([[x, y] for x in (0, size[1] - 1) for y in (0, size[0] - 1)])
        distance = np.linalg.norm((corners - self._matrix[:2, 2]) / self._focal, axis=-1)
        return np.isinf(self._reach) or bool((distance <= self._seen_distances[-1]).all())

    def _rays_by_distance(self, pixels: np.ndarray) -> np.ndarray:
        """`rays` of pixels (N, 2) by their distance from the axis: where iterations with the
        polynomials find nothing."""
        moved = (pixels - self._matrix[:2, 2]) / self._focal
        distance = np.linalg.norm(moved, axis=-1, keepdims=True)
        seen = self._seen_distances
        ray = np.interp(distance, seen, _RADII[: len(seen)]) * np.maximum(distance / seen[-1], 1)
        rays = moved / np.maximum(distance, np.finfo(float).tiny) * ray
        for _ in range(_CORRECTIONS):  # what is not radial
            rays = rays + self._missed(rays, pixels) / self._focal
        return rays

    def _missed(self, rays: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """By how many pixels, (*, 2), rays miss those that they are to meet."""
        points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
        return pixels - self.project(points)

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
            return points[..., :2] / depth * self._focal + K[:2, 2]
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
        within = len(self._seen_distances)
        return np.inf if within == len(_RADII) else _RADII[within - 1]

    @cached_property
    def _seen_distances(self) -> np.ndarray:
        """At which distances from the axis the first of `_RADII` are seen, as long as they grow."""
        radial = self._coefficients.copy()
        if self.distortion != EQUIDISTANT:
            radial[2:4] = radial[8:] = 0  # tangential and the like
        rays = np.stack([_RADII, np.zeros_like(_RADII)], -1)
        seen = self._distorted(rays, np.eye(3), radial)[:, 0]
        outwards = np.diff(seen) > 0
        return seen if outwards.all() else seen[: max(np.argmin(outwards), 1) + 1]

    def as_pinhole_sees(self, points: np.ndarray) -> np.ndarray:
        """Points of the same depths that a pinhole camera with this K sees where the lens does.

        They let a renderer without lenses draw over the camera's own picture.

        Args:
            points: (*, 3) metres.
        """
        if self.is_pinhole:
            return points
        K = self._matrix
        directions = (self.project(points) - K[:2, 2]) / self._focal
        depth = points[..., 2:]
        moved = np.concatenate([directions * depth, depth], -1)
        return np.where(depth > NEAREST_DEPTH, moved, points).astype(np.float32)

    # Kept, because several calls per image ask for them.
    @cached_property
    def _matrix(self) -> np.ndarray:
        return self.intrinsics.astype(np.float64)

    @cached_property
    def _focal(self) -> np.ndarray:
        return self._matrix.diagonal()[:2]

    @cached_property
    def _coefficients(self) -> np.ndarray:
        count = max(len(self.coefficients), 4)
        return np.pad(np.array(self.coefficients, np.float64), (0, count - len(self.coefficients)))
