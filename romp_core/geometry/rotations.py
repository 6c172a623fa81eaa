"""Conversions between rotation representations.

Conventions: rotation matrices act on column vectors (x' = R x), right-handed, angles in
radians. Every function takes any leading dimensions `*` and any floating dtype, and is
differentiable.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import normalize

from romp_core import compiled


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices of axis-angle vectors (Rodrigues' formula).

    Args:
        axis_angle: (*, 3), direction = axis, length = angle in radians.

    Returns:
        (*, 3, 3). The gradient at the zero rotation is finite.
    """
    if compiled.applies_to(axis_angle):
        return compiled.axis_angle_to_matrix(axis_angle)
    # The offset changes no angle that can be told from zero, and makes none divide by zero.
    angle = (axis_angle.square().sum(-1, keepdim=True) + 1e-16).sqrt()
    half = 0.5 * angle
    quaternion = torch.cat([axis_angle * (half.sin() / angle), half.cos()], -1)
    products = (quaternion[..., :, None] * quaternion[..., None, :]).flatten(-2)
    matrix = products @ _matrix_of_products(products.dtype, products.device)
    return matrix.unflatten(-1, (3, 3))


@cache
@torch.inference_mode(False)  # what is kept must also serve where gradients are wanted
def _matrix_of_products(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(16, 9): what products of a unit quaternion's x, y, z, w add to its rotation matrix."""
    table = torch.zeros(4, 4, 3, 3, dtype=torch.float64)
    for axis in range(3):
        table[axis, axis] = -torch.eye(3)
        table[axis, axis, axis, axis] = 1
        table[3, 3, axis, axis] = 1
        first, second = (axis + 1) % 3, (axis + 2) % 3
        table[first, second, first, second] = table[first, second, second, first] = 2
        table[axis, 3, second, first], table[axis, 3, first, second] = 2, -2
    return table.view(16, 9).to(device, dtype)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Unit quaternions (w, x, y, z) with w >= 0 of rotation matrices.

    Args:
        matrix: (*, 3, 3) rotation matrices.

    Returns:
        (*, 4). Of the four algebraic solutions the best conditioned one is taken
        (Shepperd's method), so that it is accurate at every angle.
    """
    m = matrix
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    diagonal = torch.diagonal(m, dim1=-2, dim2=-1)
    # Squares of 2w, 2x, 2y, 2z.
    squares = torch.cat([1 + trace[..., None], 1 + 2 * diagonal - trace[..., None]], -1)
    best = squares.argmax(-1)
    skew = m - m.transpose(-1, -2)
    wx, wy, wz = skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]
    symmetric = m + m.transpose(-1, -2)
    xy, xz, yz = symmetric[..., 0, 1], symmetric[..., 0, 2], symmetric[..., 1, 2]
    candidates = torch.stack(
        [
            torch.stack([squares[..., 0], wx, wy, wz], -1),
            torch.stack([wx, squares[..., 1], xy, xz], -1),
            torch.stack([wy, xy, squares[..., 2], yz], -1),
            torch.stack([wz, xz, yz, squares[..., 3]], -1),
        ],
        -2,
    )
    index = best[..., None, None].expand(*best.shape, 1, 4)
    quaternion = normalize(candidates.gather(-2, index).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Axis-angle vectors of rotation matrices.

    Args:
        matrix: (*, 3, 3) rotation matrices.

    Returns:
        (*, 3) with lengths in 0..pi. At exactly pi either sign of the axis is right.
    """
    if compiled.applies_to(matrix):
        return compiled.matrix_to_axis_angle(matrix)
    quaternion = matrix_to_quaternion(matrix)
    cosine, vector = quaternion[..., :1], quaternion[..., 1:]
    squared = vector.square().sum(-1, keepdim=True)
    small = squared < 1e-10
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    # angle / sin(angle / 2), whose limit at zero is 2.
    factor = torch.where(small, torch.full_like(sine, 2.0), 2 * torch.atan2(sine, cosine) / sine)
    return vector * factor


def rotation_6d_to_matrix(rotation_6d: Tensor) -> Tensor:
    """Rotation matrices of the continuous 6D representation, in ROMP's layout.

    The six numbers reshape to (3, 2); its two columns are made orthonormal by Gram-Schmidt
    and become the first two columns of the matrix, the third is their cross product (Zhou
    et al., CVPR 2019). PyTorch3D lays the numbers out differently.

    Args:
        rotation_6d: (*, 6).

    Returns:
        (*, 3, 3).
    """
    if compiled.applies_to(rotation_6d):
        return compiled.rotation_6d_to_matrix(rotation_6d)
    first, second = rotation_6d.unflatten(-1, (3, 2)).unbind(-1)
    x = normalize(first, dim=-1, eps=1e-6)
    y = normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1, eps=1e-6)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], -1)


def matrix_to_rotation_6d(matrix: Tensor) -> Tensor:
    """The 6D representation of rotation matrices, in the layout of `rotation_6d_to_matrix`.

    Args:
        matrix: (*, 3, 3).

    Returns:
        (*, 6).
    """
    return matrix[..., :2].flatten(-2)


def geodesic_angle(first: Tensor, second: Tensor) -> Tensor:
    """Angle of the rotation between two orientations.

    Args:
        first, second: (*, 3, 3) rotation matrices.

    Returns:
        (*), radians, 0..pi.
    """
    relative = first.transpose(-1, -2) @ second
    cosine = (torch.diagonal(relative, dim1=-2, dim2=-1).sum(-1) - 1) / 2
    skew = relative - relative.transpose(-1, -2)
    sine = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1).norm(dim=-1) / 2
    return torch.atan2(sine, cosine)  # acos would lose half the digits near 0 and pi
