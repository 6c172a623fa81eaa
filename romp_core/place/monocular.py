"""Where a body of known size stands, from the pixels of its joints.

Frames and pixels as in `romp_core.geometry.cameras`. How large the body is, is up to its shape:
the answer is right for a person of the predicted size.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.geometry.lens import CameraModel

MINIMUM_DISTANCE, MAXIMUM_DISTANCE = 0.1, 1000.0
"""Range in metres of a body's mean depth that `solve_translation` answers with."""

UNSEEN_WEIGHT = 0.1
"""Weight of joints outside of the image: their pixels are the network's guess."""

_REFINEMENTS = 4

_TURN_STEPS = 2
_TURN_RAD = 0.1
"""Standard deviation of a tilt that the network errs by, as far as `turn_to_pixels` believes."""

_PIXEL_SHARE = 0.15
"""The same of its keypoints, over their extent."""

_LARGEST_TURN_RAD = 1.0
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


def turn_to_pixels(
    points: np.ndarray,
    pixels: np.ndarray,
    translation: np.ndarray,
    camera: CameraModel,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Small turns under which a camera sees bodies where they were found.

    2D keypoints hardly tell how much a body leans towards the camera, until it stands away from
    the picture's middle: there a wrong lean displaces head or feet sideways. So who is displaced
    leans wrongly. Gauss-Newton steps over turn and translation, with a prior of small turns.

    Args:
        points: (K, J, 3) metres, axes of the optical frame, the root joint first.
        pixels: (K, J, 2) where they were found.
        translation: (K, 3) that `place_by_pixels` gave.
        camera: that took the image.
        size: height and width of the image, pixels.

    Returns:
        (K, 3, 3) float32 turns about the root joint, in the optical frame, and the (K, 3) float32
        translations that go with them. No turn where none fits.
    """
    first, points = translation.astype(np.float64), points.astype(np.float64)
    inside = (pixels > -0.5) & (pixels < np.array(size[::-1]) - 0.5)
    rays = camera.rays(pixels)
    known = np.isfinite(rays).all(-1)
    rays = np.where(known[..., None], rays, 0)
    centred = rays - rays.mean(1, keepdims=True)
    extent = np.sqrt(np.einsum("knc,knc->k", centred, centred) / max(rays.shape[1], 1))
    weights = np.where(inside.all(-1), 1.0, UNSEEN_WEIGHT) * known
    weights /= np.maximum(_PIXEL_SHARE * extent, _EPSILON)[:, None] ** 2
    prior = np.diag([_TURN_RAD**-2] * 3 + [_EPSILON] * 3)
    root = points[:, :1]
    turn, moved = np.zeros_like(first), first
    equations = (len(points), 2 * points.shape[1], 6)
    for _ in range(_TURN_STEPS):
        rotation = Rotation.from_rotvec(turn)
        arms = (points - root) @ rotation.as_matrix().transpose(0, 2, 1)
        slopes, missed = _ray_slopes(arms, root + moved[:, None], rays)
        weighted = (slopes * weights[..., None, None]).reshape(equations)
        slopes = slopes.reshape(equations)
        curvature = weighted.transpose(0, 2, 1) @ slopes + prior
        pull = (weighted.transpose(0, 2, 1) @ missed.reshape(*equations[:2], 1))[..., 0]
        pull[:, :3] -= turn / _TURN_RAD**2
        step = _solved(curvature, pull)
        turn = (Rotation.from_rotvec(step[:, :3]) * rotation).as_rotvec()
        moved = moved + step[:, 3:]
    fits = np.linalg.norm(turn, axis=-1) < _LARGEST_TURN_RAD
    fits &= (points.mean(1) + moved)[:, 2] > MINIMUM_DISTANCE
    turn, moved = np.where(fits[:, None], turn, 0), np.where(fits[:, None], moved, first)
    matrices = Rotation.from_rotvec(turn).as_matrix()
    return matrices.astype(np.float32), moved.astype(np.float32)


def _solved(matrices: np.ndarray, right_sides: np.ndarray) -> np.ndarray:
    """(K, 6) solutions; the smallest ones where somebody's matrix is singular."""
    try:
        return np.linalg.solve(matrices, right_sides[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return (np.linalg.pinv(matrices, hermitian=True) @ right_sides[..., None])[..., 0]


def _ray_slopes(
    arms: np.ndarray, root: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How the rays of points change, (K, N, 2, 6), by turn and translation, and what is missing.

    Args:
        arms: (K, N, 3) from the root joint to each point.
        root: (K, 1, 3) where it is.
        rays: (K, N, 2) wanted.
    """
    seen = arms + root
    x, y = seen[..., 0], seen[..., 1]
    z = np.maximum(seen[..., 2], MINIMUM_DISTANCE)
    a, b, c = np.moveaxis(arms, -1, 0)
    x, y, one, none = x / z, y / z, 1 / z, np.zeros_like(z)
    across = [-x * b * one, (c + x * a) * one, -b * one, one, none, -x * one]
    down = [-(c + y * b) * one, y * a * one, a * one, none, one, -y * one]
    slopes = np.stack([np.stack(across, -1), np.stack(down, -1)], -2)
    return slopes, rays - np.stack([x, y], -1)


def _weak_perspective_fit(points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(K, N, 2) pixels s * (X, Y) + (tx, ty) that come nearest to given ones."""
    flat = points[..., :2] - points[..., :2].mean(-2, keepdims=True)
    middle = pixels.mean(-2, keepdims=True)
    extent = np.maximum(np.einsum("knc,knc->k", flat, flat), _EPSILON)
    scale = np.einsum("knc,knc->k", flat, pixels - middle) / extent
    return scale[:, None, None] * flat + middle
