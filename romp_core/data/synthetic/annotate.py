"""What can be seen of each person: joint visibility, boxes, and who is worth annotating."""

import numpy as np

from romp_core.body.joints import JOINTS_71, VERTEX_LANDMARKS
from romp_core.data.sample import OCCLUDED, UNLABELED, VISIBLE

_OBJECT = 255

# Joints lie inside the body: this far behind the surface, in metres, they still count as seen.
_DEEP = ("hip", "pelvis", "spine", "thorax", "neck", "head", "collar", "shoulder")


def _tolerances() -> np.ndarray:
    tolerances = np.full(len(JOINTS_71), 0.12)
    for index, name in enumerate(JOINTS_71):
        if any(word in name for word in _DEEP):
            tolerances[index] = 0.2
        if name in VERTEX_LANDMARKS:
            tolerances[index] = 0.07
    return tolerances


_TOLERANCES = _tolerances()


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels (*, 2) of points (*, 3) in the optical frame; NaN for points behind the camera."""
    depth = np.where(points[..., 2:] > 0.01, points[..., 2:], np.nan)
    return points[..., :2] / depth * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]


def keypoints(
    joints: np.ndarray, intrinsics: np.ndarray, depth: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Projected joints and whether they can be seen.

    A joint is visible if in the 3 x 3 pixels around it there is one whose surface does not lie
    nearer to the camera than the joint, but for the flesh that covers the joint itself: that
    is allowed only where the surface is the person's own.

    Args:
        joints: (K, 71, 3) optical frame.
        intrinsics: (3, 3).
        depth: (H, W) metres.
        rows: (H, W) uint8, 0 background, 255 object, else 1 + person.

    Returns:
        (K, 71, 3) float32 x, y, visibility; joints out of the picture are zero.
    """
    height, width = depth.shape
    pixels = project(joints, intrinsics)
    inside = (
        (pixels[..., 0] >= -0.5)
        & (pixels[..., 0] < width - 0.5)
        & (pixels[..., 1] >= -0.5)
        & (pixels[..., 1] < height - 0.5)
    )
    center = np.where(inside[..., None], np.rint(np.nan_to_num(pixels)), 0).astype(int)
    offsets = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1).reshape(-1, 2)
    around = center[:, :, None] + offsets
    x, y = np.clip(around[..., 0], 0, width - 1), np.clip(around[..., 1], 0, height - 1)
    own = rows[y, x] == np.arange(1, len(joints) + 1)[:, None, None]
    allowed = np.where(own, _TOLERANCES[:, None], 0.0)
    seen = (depth[y, x] > joints[..., 2:] - allowed).any(-1)
    visibility = np.where(inside, np.where(seen, VISIBLE, OCCLUDED), UNLABELED)
    return np.where(
        inside[..., None], np.concatenate([pixels, visibility[..., None]], -1), 0
    ).astype(np.float32)


def visible_share(
    vertices: np.ndarray,
    normals: np.ndarray,
    intrinsics: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """Share of the skin facing the camera whose pixel shows the person.

    Args:
        vertices, normals: (K, V, 3) optical frame.
        intrinsics: (3, 3).
        rows: (H, W) uint8, 1 + person.

    Returns:
        (K,) 0..1; out of the picture counts as hidden.
    """
    height, width = rows.shape
    facing = (vertices * normals).sum(-1) < 0
    pixels = np.rint(np.nan_to_num(project(vertices, intrinsics), nan=-9)).astype(int)
    x, y = pixels[..., 0], pixels[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    shown = rows[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    own = inside & (shown == np.arange(1, len(vertices) + 1)[:, None])
    return (own & facing).sum(1) / np.maximum(facing.sum(1), 1)


def boxes(vertices: np.ndarray, intrinsics: np.ndarray, height: int, width: int) -> np.ndarray:
    """(K, 4) float32 x1, y1, x2, y2 around K meshes (K, V, 3), clipped to the picture."""
    pixels = project(vertices, intrinsics)
    # Behind the camera there is no pixel: such a person is so near that the box is all there is.
    low, high = np.nanmin(pixels, 1), np.nanmax(pixels, 1)
    limit = [width - 0.5, height - 0.5]
    return np.concatenate([np.clip(low, -0.5, limit), np.clip(high, -0.5, limit)], 1).astype(
        np.float32
    )
