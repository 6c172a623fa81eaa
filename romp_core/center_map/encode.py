"""From people to the center map that training asks for.

Coordinates are map cells, (x, y), with cell centers at integers. A kernel's size k is its
radius in cells: the Gaussian reaches k cells from its center and has sigma (2k + 1) / 6.
"""

import math

import torch
from torch import Tensor

MINIMUM_RADIUS, RADIUS_RANGE = 2.0, 5.0
TORSO = (
    "neck", "left_shoulder", "right_shoulder", "pelvis", "left_hip", "right_hip",
    "left_hip_lsp", "right_hip_lsp",
)  # fmt: skip
"""Joints whose mean is the body center where any of them is visible (paper, section 3.2); the
last two are the hips as 2D data sets label them."""


def body_centers(points: Tensor, visible: Tensor, torso: Tensor) -> Tensor:
    """Body centers: the mean of the visible torso joints, else of all visible joints.

    Args:
        points: (*, J, 2) in any unit.
        visible: (*, J) bool.
        torso: (J,) bool, true for the joints named in `TORSO`.

    Returns:
        (*, 2); zero where nothing is visible.
    """
    of_torso = visible & torso
    used = torch.where(of_torso.any(-1, keepdim=True), of_torso, visible)[..., None]
    # `where`, not a product: joints without an annotation may hold NaN.
    total = torch.where(used, points, 0).sum(-2)
    return total / used.sum(-2).clamp(min=1)


def kernel_radii(box_diagonal: Tensor, side: float | Tensor) -> Tensor:
    """Kernel sizes by Eq. 1: k = 2 + (d / (sqrt(2) W))^2 * 5.

    Args:
        box_diagonal: (*) diagonal d of each person's bounding box.
        side: side W of the square image, in the same unit.

    Returns:
        (*) cells, 2 to 7.
    """
    relative = box_diagonal / (math.sqrt(2) * side)
    return MINIMUM_RADIUS + relative.clamp(max=1).square() * RADIUS_RANGE


def repel_centers(centers: Tensor, radii: Tensor, valid: Tensor, gamma: float = 0.2) -> Tensor:
    """Collision-aware representation (CAR, Eq. 2): centers of overlapping people move apart.

    Each pair nearer than k1 + k2 + 1 is pushed along the line between the two by gamma times
    what is missing; a center's pushes add up. Coincident centers are pushed along x, in the
    order in which they are given.

    Args:
        centers: (*, N, 2) cells.
        radii: (*, N) cells.
        valid: (*, N) bool; false entries neither push nor move.
        gamma: strength; 0 switches CAR off.

    Returns:
        (*, N, 2) cells.
    """
    difference = centers[..., :, None, :] - centers[..., None, :, :]
    distance = difference.norm(dim=-1, keepdim=True)
    count = centers.shape[-2]
    order = torch.arange(count, device=centers.device)
    along_x = torch.sign(order[None, :] - order[:, None]).to(centers.dtype)
    along_x = torch.stack([along_x, torch.zeros_like(along_x)], -1)
    direction = torch.where(distance > 1e-6, difference / distance.clamp(min=1e-6), along_x)
    reach = (radii[..., :, None] + radii[..., None, :] + 1)[..., None]
    both = (valid[..., :, None] & valid[..., None, :])[..., None]
    push = torch.where(both, (reach - distance).clamp(min=0), 0) * direction
    return centers + gamma * push.sum(-2)


def encode(centers: Tensor, radii: Tensor, valid: Tensor, size: tuple[int, int]) -> Tensor:
    """Center maps: one Gaussian per person, the larger one where two meet.

    Args:
        centers: (*, N, 2) cells; rounded, so that every peak is exactly 1, and moved inside.
        radii: (*, N) cells.
        valid: (*, N) bool; false entries draw nothing.
        size: height and width of the map.

    Returns:
        (*, h, w) in 0..1.
    """
    height, width = size
    limit = centers.new_tensor([width - 1, height - 1])
    cells = torch.minimum(centers.round().clamp(min=0), limit)
    xs = torch.arange(width, dtype=centers.dtype, device=centers.device)
    ys = torch.arange(height, dtype=centers.dtype, device=centers.device)
    radius = radii[..., None]
    sigma = (2 * radius + 1) / 6

    def profile(offsets: Tensor) -> Tensor:
        inside = (offsets.abs() <= radius) & valid[..., None]
        return torch.where(inside, torch.exp(-offsets.square() / (2 * sigma.square())), 0)

    # A Gaussian is the product of its profiles along x and y.
    heat = profile(ys - cells[..., 1:])[..., :, None] * profile(xs - cells[..., :1])[..., None, :]
    if heat.shape[-3] == 0:
        return heat.new_zeros((*heat.shape[:-3], height, width))
    return heat.amax(-3)
