"""Losses of a backbone's 2D evidence: keypoint heatmaps, and offsets from cells to keypoints."""

from torch import Tensor

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.center_map import encode
from romp_core.network import RompNetwork
from romp_core.network.lifting import cell_keypoints
from romp_core.training.batch import Batch, to_cells
from romp_core.training.losses import center_focal_loss, keypoints_loss

COCO = [JOINTS_71.index(name) for name in JOINT_SETS["coco17"]]
_SMALLEST_RADIUS, _RADIUS_SHARE = 2.0, 0.04  # cells, and of the person's box's diagonal


def heatmaps_loss(batch: Batch, network: RompNetwork, features: Tensor) -> tuple[Tensor, Tensor]:
    """Focal loss of the keypoint heatmaps (as Eq. 3, for keypoints instead of centers).

    Around keypoints that are labeled but hidden, and in ignored boxes, nothing is judged.

    Args:
        batch: B pictures.
        network: a network with `lifting`.
        features: (B, C, h, w) float32, its features.

    Returns:
        Loss per picture (B,), and visible keypoints per picture (B,) to divide by.
    """
    heatmaps = features[:, network.backbone.evidence_channels["keypoint_heatmaps"]]
    size = heatmaps.shape[-1]
    # Per keypoint, over people: (B, 17, N, ...).
    cells = to_cells(batch.keypoints[:, :, COCO], size).transpose(1, 2)
    diagonals = batch.diagonals * (size / 2)
    radii = (_RADIUS_SHARE * diagonals).clamp(min=_SMALLEST_RADIUS)[:, None].expand(cells.shape[:3])
    labeled, visible = (mask[:, :, COCO].transpose(1, 2) for mask in (batch.labeled, batch.visible))
    target = encode(cells, radii, visible, (size, size))
    hidden = encode(cells, radii, labeled & ~visible, (size, size)) > 0
    judged = ~hidden & batch.judged(size)[:, None]
    count = heatmaps.shape[1]
    loss, peaks = center_focal_loss(
        heatmaps.flatten(0, 1), target.flatten(0, 1), judged.flatten(0, 1)
    )
    return loss.view(-1, count).sum(1), peaks.view(-1, count).sum(1)


def offsets_loss(
    batch: Batch, network: RompNetwork, features: Tensor, cells: Tensor, scale: Tensor
) -> Tensor:
    """Distance of each person's keypoints from where the person's cell says they are.

    Args:
        batch: B pictures with N people.
        network: a network with `lifting`.
        features: (B, C, h, w) float32, its features.
        cells: (B, N) flat numbers of the cells that answer.
        scale: (K,) sizes of the K valid people, -1..1.

    Returns:
        (K,) in units of the people's sizes.
    """
    offsets = features[:, network.backbone.evidence_channels["keypoint_offsets"]]
    stride = network.config.map_stride // network.feature_stride
    positions = cell_keypoints(offsets, stride)
    index = cells[..., None, None].expand(-1, -1, *positions.shape[2:])
    predicted = positions.gather(1, index)[batch.valid]
    labeled = batch.labeled[batch.valid][:, COCO]
    return keypoints_loss(predicted, batch.keypoints[batch.valid][:, COCO], labeled, scale)
