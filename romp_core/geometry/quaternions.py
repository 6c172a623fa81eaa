"""Unit quaternions (x, y, z, w) as NumPy arrays, for a handful of rotations at a time.

`scipy.spatial.transform.Rotation` does the same, at several times the cost of a call: between two
images those calls were most of what tracking took. Leading dimensions are free (`*`), dtype
float64.
"""

import numpy as np

_LEAST_ANGLE = 1e-12
"""Radians; divides zero rotations without a special case, far below what float64 tells apart."""


def _relative_table() -> np.ndarray:
    """(16, 4): what each product of a component of p and one of q adds to conj(p) q."""
    table = np.zeros((4, 4, 4))
    x, y, z, w = range(4)
    for axis in (x, y, z):
        table[w, axis, axis] = table[axis, axis, w] = 1
        table[axis, w, axis] = -1
    for first, second, third in ((x, y, z), (y, z, x), (z, x, y)):
        table[first, second, third], table[second, first, third] = -1, 1
    table[w, w, w] = 1
    return table.reshape(16, 4)


_RELATIVE = _relative_table()


def from_axis_angle(vectors: np.ndarray) -> np.ndarray:
    """Quaternions of axis-angle vectors.

    Args:
        vectors: (*, 3), direction = axis, length = angle in radians.

    Returns:
        (*, 4).
    """
    angle = np.maximum(np.sqrt((vectors * vectors).sum(-1, keepdims=True)), _LEAST_ANGLE)
    half = 0.5 * angle
    return np.concatenate([vectors * (np.sin(half) / angle), np.cos(half)], -1)


def to_axis_angle(quaternions: np.ndarray) -> np.ndarray:
    """Axis-angle vectors of quaternions, the inverse of `from_axis_angle`.

    Args:
        quaternions: (*, 4) of unit length, of either sign.

    Returns:
        (*, 3) with lengths in 0..pi.
    """
    vector, cosine = quaternions[..., :3], quaternions[..., 3:]
    sine = np.maximum(np.sqrt((vector * vector).sum(-1, keepdims=True)), _LEAST_ANGLE)
    half = np.arctan2(np.copysign(sine, cosine), np.abs(cosine))
    return vector * (2 * half / sine)


def relative(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The rotation that leads from one to another, seen from the first: conj(first) second.

    Args:
        first, second: (*, 4).

    Returns:
        (*, 4).
    """
    products = first[..., :, None] * second[..., None, :]
    return products.reshape(*first.shape[:-1], 16) @ _RELATIVE


def between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Spherical linear interpolation along the shorter way (Shoemake, SIGGRAPH 1985).

    Args:
        first, second: (*, 4).
        share: (*) of the way, 0..1.

    Returns:
        (*, 4).
    """
    cosine = (first * second).sum(-1)
    angle = np.maximum(np.arccos(np.minimum(np.abs(cosine), 1.0)), _LEAST_ANGLE)
    ahead = share * angle
    back, forth = np.sin(angle - ahead), np.copysign(np.sin(ahead), cosine)
    mixed = back[..., None] * first + forth[..., None] * second
    return mixed / np.sqrt((mixed * mixed).sum(-1, keepdims=True))
