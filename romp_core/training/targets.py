"""Center maps to learn from, and which cell answers for which person."""

import torch
from torch import Tensor

from romp_core.center_map import decode, encode, kernel_radii, repel_centers
from romp_core.training.batch import Batch, to_cells

PEAK_THRESHOLD = 0.2


def center_targets(
    batch: Batch, size: int, gamma: float, kind: str = "torso"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the center map should show.

    Args:
        batch: B pictures with N people.
        size: side of the map in cells.
        gamma: strength of the collision-aware representation (Eq. 2); 0 switches it off.
        kind: "torso" or "box", see `TrainingConfig.center`.

    Returns:
        Map (B, h, w), judged cells (B, h, w) bool, centers (B, N, 2) in cells, and kernel
        radii (B, N).
    """
    radii = kernel_radii(batch.diagonals, 2.0)
    middles = batch.centers if kind == "torso" else batch.box_centers
    centers = repel_centers(to_cells(middles, size), radii, batch.valid, gamma)
    centers = centers.clamp(0, size - 1)
    heat = encode(centers, radii, batch.valid, (size, size))
    return heat, batch.judged(size), centers, radii


def answering_cells(center_map: Tensor, centers: Tensor, radii: Tensor, max_people: int) -> Tensor:
    """The cell whose parameters answer for each person: the nearest predicted center.

    Inference samples at predicted centers, so that is where training must look too (paper,
    section 3.4). Where none lies within the person's kernel, the person's own center answers:
    the published code skips such people and learns nothing from them.

    Args:
        center_map: (B, 1, h, w) predicted.
        centers: (B, N, 2) cells.
        radii: (B, N) cells.
        max_people: centers to look for per picture.

    Returns:
        (B, N) int64, flat cell numbers.
    """
    height, width = center_map.shape[-2:]
    found = decode(center_map.detach(), center_map.detach(), PEAK_THRESHOLD, max_people)
    distance = torch.cdist(centers, found.cells.to(centers.dtype))
    distance = torch.where(found.valid[:, None], distance, torch.inf)
    nearest, index = distance.min(-1)
    predicted = found.cells.gather(1, index[..., None].expand(-1, -1, 2))
    own = centers.round().long()
    cells = torch.where((nearest <= radii)[..., None], predicted, own)
    return cells[..., 1].clamp(0, height - 1) * width + cells[..., 0].clamp(0, width - 1)
