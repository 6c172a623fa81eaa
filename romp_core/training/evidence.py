"""Losses of a backbone's 2D evidence: keypoint heatmaps, and offsets from cells to keypoints."""

from collections.abc import Sequence

import torch
from torch import Tensor

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.center_map import encode
from romp_core.evaluation.keypoints import oks_sigmas
from romp_core.network import RompNetwork
from romp_core.network.evidence import (
    LIMB_M,
    SIZE_SPREAD,
    Evidence,
    cell_keypoints,
    near_share,
)
from romp_core.training.batch import Batch, to_cells
from romp_core.training.losses import center_focal_loss, keypoints_loss, similarity_loss

_SIGMAS = oks_sigmas(JOINT_SETS["coco17"])
COCO = [JOINTS_71.index(name) for name in JOINT_SETS["coco17"]]
_EXTENT_SHARE, _SMALLEST_EXTENT = 0.25, 0.02  # of a box's diagonal; of the half side
_HIPS, _SMALLEST_SPREAD_M = slice(11, 13), 0.05  # COCO's order
_LIMBS = [[5, 7], [7, 9], [6, 8], [8, 10], [11, 13], [13, 15], [12, 14], [14, 16]]
_SHORTEST_LIMB_M = 0.01
_SMALLEST_RADIUS, _RADIUS_SHARE = 2.0, 0.04  # cells, and of the person's box's diagonal


def heatmaps_loss(
    batch: Batch, network: RompNetwork, levels: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Focal loss of the keypoint heatmaps (as Eq. 3, for keypoints instead of centers).

    Around keypoints that are labeled but hidden, and in ignored boxes, nothing is judged; nor are
    keypoints that the picture's data set never labels (`Batch.annotated`), such as MPII's eyes,
    which are there all the same. With two levels, the sum of both.

    Args:
        batch: B pictures.
        network: a network with `lifting`.
        levels: what its `pyramids` gives, float32.

    Returns:
        Loss per picture (B,), and visible keypoints per picture (B,) to divide by.
    """
    channels = network.backbone.evidence_channels["keypoint_heatmaps"]
    parts = [_heatmaps_loss(batch, level[:, channels]) for level in levels]
    loss, peaks = parts[0]
    return sum((part for part, _ in parts[1:]), loss), peaks


def _heatmaps_loss(batch: Batch, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    size = heatmaps.shape[-1]
    # Per keypoint, over people: (B, 17, N, ...).
    cells = to_cells(batch.keypoints[:, :, COCO], size).transpose(1, 2)
    diagonals = batch.diagonals * (size / 2)
    radii = (_RADIUS_SHARE * diagonals).clamp(min=_SMALLEST_RADIUS)[:, None].expand(cells.shape[:3])
    labeled, visible = (mask[:, :, COCO].transpose(1, 2) for mask in (batch.labeled, batch.visible))
    target = encode(cells, radii, visible, (size, size))
    hidden = encode(cells, radii, labeled & ~visible, (size, size)) > 0
    judged = ~hidden & batch.judged(size)[:, None] & batch.annotated[:, COCO, None, None]
    count = heatmaps.shape[1]
    loss, peaks = center_focal_loss(
        heatmaps.flatten(0, 1), target.flatten(0, 1), judged.flatten(0, 1)
    )
    return loss.view(-1, count).sum(1), peaks.view(-1, count).sum(1)


def refined_loss(batch: Batch, rounds: Sequence[Evidence]) -> Tensor:
    """How far refined keypoints are from the true ones, how wrongly they are believed, and
    how wrong their depth is.

    Distance and keypoint similarity count alike: the one reaches far, the other is what people are
    judged by. Of a keypoint that is off by a share e of the person's extent, 0.75 exp(-e / 0.18)
    is to be believed: what `training.posed_people` assumes. Mean over the rounds.

    Args:
        batch: B pictures with N people.
        rounds: evidence of all N after each round of refinement.

    Returns:
        (K,) of the valid people, in units of their extents.
    """
    truth = batch.keypoints[batch.valid][:, COCO]
    labeled = batch.labeled[batch.valid][:, COCO]
    areas = batch.areas[batch.valid]
    extent = (batch.diagonals[batch.valid] * _EXTENT_SHARE).clamp(min=_SMALLEST_EXTENT)
    known = batch.has_joints[batch.valid][:, COCO].all(1)
    true_depth = relative_depth(batch.joints[batch.valid][:, COCO])
    costs = []
    for refined in rounds:
        keypoints, confidence, depth, _ = (values[batch.valid] for values in refined)
        error = (keypoints - truth).detach().norm(dim=-1) / extent[:, None]
        believed = (confidence - believable(error)).square()
        belief = (believed * labeled).sum(1) / labeled.sum(1).clamp(min=1)
        wrong_depth = ((depth - true_depth).square() * known[:, None]).mean(1)
        costs.append(
            keypoints_loss(keypoints, truth, labeled, extent)
            + coco_similarity_loss(keypoints, truth, labeled, areas)
            + belief
            + wrong_depth
        )
    return torch.stack(costs).mean(0)


def coco_similarity_loss(
    predicted: Tensor, truth: Tensor, labeled: Tensor, areas: Tensor
) -> Tensor:
    """`similarity_loss` (K,) of COCO's keypoints (K, 17, 2)."""
    sigmas = torch.tensor(_SIGMAS, dtype=predicted.dtype, device=predicted.device)
    return similarity_loss(predicted, truth, labeled, areas, sigmas)


def relative_depth(points: Tensor) -> Tensor:
    """`Evidence.depth` (K, 17) of COCO's keypoints in 3D, (K, 17, 3) in the optical frame."""
    spread = (points - points.mean(1, keepdim=True)).square().sum(-1).mean(1, keepdim=True)
    hips = points[:, _HIPS, 2].mean(1, keepdim=True)
    return (points[..., 2] - hips) / spread.sqrt().clamp(min=_SMALLEST_SPREAD_M)


def size_loss(size: Tensor, points: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """How wrongly people are said to be large.

    Args:
        size: (K,) as `Evidence.size`.
        points: (K, 17, 3) COCO's keypoints in metres.
        known: (K, 17) bool, which of them are.

    Returns:
        Squared errors (K,), and (K,) bool of whose size is known.
    """
    measured = known[:, _LIMBS].flatten(1).all(1)
    return (size - limb_size(points)).square() * measured, measured


def limb_size(points: Tensor) -> Tensor:
    """`Evidence.size` (K,) of COCO's keypoints in 3D, (K, 17, 3) in metres."""
    upper, lower = points[:, _LIMBS].unbind(2)
    length = (upper - lower).norm(dim=-1).mean(-1)
    return (length.clamp(min=_SHORTEST_LIMB_M) / LIMB_M).log() / SIZE_SPREAD


def believable(error: Tensor) -> Tensor:
    """Confidence that a keypoint deserves whose error is such a share of the person's extent."""
    return 0.75 * (-error / 0.18).exp()


def offsets_loss(
    batch: Batch, network: RompNetwork, levels: Sequence[Tensor], cells: Tensor, scale: Tensor
) -> Tensor:
    """Distance of each person's keypoints from where the person's cell says they are.

    With two levels, the mean of what both say, weighted by who is believed.

    Args:
        batch: B pictures with N people.
        network: a network with `lifting`.
        levels: what its `pyramids` gives, float32.
        cells: (B, N) flat numbers of the cells that answer.
        scale: (K,) sizes of the K valid people, -1..1.

    Returns:
        (K,) in units of the people's sizes.
    """
    channels = network.backbone.evidence_channels["keypoint_offsets"]
    labeled = batch.labeled[batch.valid][:, COCO]
    truth = batch.keypoints[batch.valid][:, COCO]
    stride = network.config.map_stride // network.feature_stride
    costs = [
        keypoints_loss(
            cell_keypoints(level[:, channels], stride >> number, cells)[batch.valid],
            truth,
            labeled,
            scale,
        )
        for number, level in enumerate(levels)
    ]
    if len(costs) == 1:
        return costs[0]
    # As far as can be told from the true size; people cut by the border are nearer than it says.
    extent = (batch.diagonals[batch.valid] * _EXTENT_SHARE).clamp(min=_SMALLEST_EXTENT)
    near = near_share(extent, levels[0].shape[-1]).clamp(0.1, 0.9)
    return (1 - near) * costs[0] + near * costs[1]
