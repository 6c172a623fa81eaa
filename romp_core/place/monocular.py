"""Where a body of known size stands, from the pixels of its joints.

Frames and pixels as in `romp_core.geometry.cameras`. How large the body is, is up to its shape:
the answer is right for a person of the predicted size.
"""

import numpy as np

from romp_core.geometry.lens import CameraModel

MINIMUM_DISTANCE, MAXIMUM_DISTANCE = 0.1, 1000.0
"""Range in metres of a body's mean depth that `solve_translation` answers with."""

UNSEEN_WEIGHT = 0.1
"""Weight of joints outside of the image: their pixels are the network's guess."""

_REFINEMENTS = 4
_EPSILON = 1e-12


def place_by_pixels(
    points: np.ndarray, pixels: np.ndarray, camera: CameraModel, size: tuple[int, int]
) -> np.ndarray:
    """Translations under which a camera sees bodies as a weak-perspective camera shows them.

    The network says with s, tx, ty which weak-perspective
    picture of a body fits the image best. Its pixels differ from those of the image by what weak
    perspective cannot show: near parts are larger, and those of somebody who leans, away from
    the picture's middle, are displaced. Taken for exact, they move the depth by up to 8 %. So the
    translation is sought whose true picture has the given one as its best weak-perspective fit.

    Args:
        points: (K, J, 3) metres, axes of the optical frame, any origin.
        pixels: (K, J, 2) of them by the weak-perspective camera.
        camera: that took the image.
        size: height and width of the image, pixels.

    Returns:
        (K, 3) float32 metres: added to the points they stand in the optical frame.
    """
    points, pixels = points.astype(np.float64), pixels.astype(np.float64)
    inside = (pixels > -0.5) & (pixels < np.array(size[::-1]) - 0.5)
    weights = np.where(inside.all(-1), 1.0, UNSEEN_WEIGHT)
    translation = solve_translation(points, camera.rays(pixels), weights)
    for _ in range(_REFINEMENTS):
        seen = camera.project(points + translation[:, None])
        unshown = seen - _weak_perspective_fit(points, seen)
        refined = solve_translation(points, camera.rays(pixels + unshown), weights)
        # A body that would reach behind the camera has no picture to compare with.
        in_front = (points + translation[:, None])[..., 2].min(-1) > MINIMUM_DISTANCE
        translation = np.where(in_front[:, None], refined, translation)
    return translation.astype(np.float32)


def solve_translation(points: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Where a body stands, from its 3D points and the exact directions in which they are seen.

    Each direction gives two equations linear in the translation t, x * (Z + tz) = X + tx and
    the same for y, whose weighted least squares have a closed form: tz is a ratio of covariances,
    tx and ty follow. Where that answer lies behind the camera (flat or contradictory input), the
    depth is instead the one at which the body's extent fits the extent of its rays: scaled
    orthography.

    Args:
        points: (K, N, 3) metres, axes of the optical frame, any origin.
        rays: (K, N, 2) x / z and y / z; NaN where unknown.
        weights: (K, N), not negative. Points that are not seen should weigh little.

    Returns:
        (K, 3) metres: add it to `points` to have them in the optical frame. Always finite; the
        points' mean depth then lies within `MINIMUM_DISTANCE`..`MAXIMUM_DISTANCE`.
    """
    known = np.isfinite(rays).all(-1)
    rays = np.where(known[..., None], rays, 0)
    weights = np.where(known, weights, 0)
    share = (weights / np.maximum(weights.sum(-1, keepdims=True), _EPSILON))[:, None]

    def mean(values: np.ndarray) -> np.ndarray:
        return (share @ values)[:, 0]

    depth = points[..., 2:]
    ray_mean, point_mean, depth_mean = mean(rays), mean(points[..., :2]), mean(depth)
    rays_centred = rays - ray_mean[:, None]
    # tx - ray * tz = ray * Z - X: with the means taken out only tz is left.
    right_side = rays * depth - points[..., :2]
    variance = np.maximum(mean(rays_centred**2).sum(-1, keepdims=True), _EPSILON)
    tz = -mean(rays_centred * right_side).sum(-1, keepdims=True) / variance

    extent = mean((points[..., :2] - point_mean[:, None]) ** 2).sum(-1, keepdims=True)
    orthographic = np.sqrt(extent / variance) - depth_mean
    tz = np.where(tz + depth_mean > MINIMUM_DISTANCE, tz, orthographic)
    tz = np.clip(tz + depth_mean, MINIMUM_DISTANCE, MAXIMUM_DISTANCE) - depth_mean
    return np.concatenate([mean(right_side) + ray_mean * tz, tz], -1)


def _weak_perspective_fit(points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(K, N, 2) pixels s * (X, Y) + (tx, ty) that come nearest to given ones."""
    flat = points[..., :2] - points[..., :2].mean(-2, keepdims=True)
    middle = pixels.mean(-2, keepdims=True)
    extent = np.maximum(np.einsum("knc,knc->k", flat, flat), _EPSILON)
    scale = np.einsum("knc,knc->k", flat, pixels - middle) / extent
    return scale[:, None, None] * flat + middle
