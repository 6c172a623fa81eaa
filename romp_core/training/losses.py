"""The losses of the paper, section 3.4 and supplement.

Every function gives one number per person (or per image for the center map) and leaves out
what is not annotated; `LossWeights` holds the paper's weights.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from romp_core.errors import expect
from romp_core.geometry.alignment import procrustes_align

FOCAL_ALPHA, FOCAL_BETA = 2, 4
_PROBABILITY_MARGIN = 1e-3
_MINIMUM_FOR_PROCRUSTES = 4
_SMALLEST_AREA = 1e-4  # of a picture whose area is 4


@dataclass(frozen=True)
class LossWeights:
    """Weights of the sum; defaults are the paper's.

    Attributes:
        center: focal loss of the center map (Eq. 3).
        pose: rotations of global orient and body joints.
        betas: shape ("w_shape").
        joints: 3D joints after moving the root ("w_j3d").
        aligned_joints: 3D joints after Procrustes alignment ("w_paj3d").
        keypoints: projected 2D joints ("w_pj2d").
        prior: Gaussian mixture over body poses (Eq. 4).
        heatmaps: focal loss of the backbone's keypoint heatmaps; networks with `lifting` only,
            as the next. The paper has neither.
        offsets: 2D keypoints by the backbone's offsets.
        refined: 2D keypoints after their refinement, and how sure it is of them.
        size: how large people are said to be, from features at their refined keypoints.
        similarity: one minus the keypoint similarity (OKS) of COCO's keypoints, projected. Beside
            `keypoints`, whose mean is ruled by those that are far off: this is what people are
            judged by.

    Raises:
        ConfigError: a weight that is negative or not finite, by name.
    """

    center: float = 160.0
    pose: float = 80.0
    betas: float = 1.0
    joints: float = 360.0
    aligned_joints: float = 400.0
    keypoints: float = 420.0
    prior: float = 1.6
    heatmaps: float = 0.0
    offsets: float = 0.0
    refined: float = 0.0
    size: float = 0.0
    similarity: float = 0.0

    def __post_init__(self):
        for name in (each.name for each in fields(self)):
            found = getattr(self, name)
            expect(0 <= found < math.inf, f"losses.{name}", found, "0 or more, finite")


def center_focal_loss(
    predicted: Tensor, target: Tensor, judged: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Focal loss of center maps (Eq. 3, alpha 2, beta 4), summed per image.

    Args:
        predicted: (B, h, w), linear or squashed.
        target: (B, h, w) in 0..1, exactly 1 at body centers.
        judged: (B, h, w) bool; false cells (ignored people) cost nothing. None: all count.

    Returns:
        Loss per image (B,), and the number of centers per image (B,) to divide by.
    """
    # Values beyond 0..1 of a linear map count as the nearest one within, with its slope:
    # a plain clamp would give them no gradient to come back by.
    inside = predicted.detach().clamp(_PROBABILITY_MARGIN, 1 - _PROBABILITY_MARGIN)
    probability = inside + (predicted - predicted.detach())
    center = target == 1
    hit = -((1 - probability) ** FOCAL_ALPHA) * probability.log()
    miss = -((1 - target) ** FOCAL_BETA) * probability**FOCAL_ALPHA * (1 - probability).log()
    cost = torch.where(center, hit, miss)
    if judged is not None:
        cost = torch.where(judged | center, cost, 0)
    return cost.sum((-2, -1)), center.sum((-2, -1)).to(cost.dtype)


def rotation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """L2 distance of rotation matrices, mean over joints ("w_pose").

    Args:
        predicted, target: (K, J, 3, 3).

    Returns:
        (K,).
    """
    return _safe_norm((predicted - target).flatten(-2)).mean(-1)


def betas_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """L2 distance of betas ("w_shape").

    Args:
        predicted, target: (K, 10).

    Returns:
        (K,).
    """
    return _safe_norm(predicted - target)


def joints_loss(predicted: Tensor, target: Tensor, known: Tensor, root: Tensor) -> Tensor:
    """Mean distance of 3D joints after both roots are moved to the origin ("w_j3d").

    Args:
        predicted, target: (K, J, 3) metres.
        known: (K, J) bool, joints with an annotation.
        root: (J,) bool, joints whose mean is the root. Where none of them is known, the mean
            of the known joints serves.

    Returns:
        (K,) metres; 0 where nothing is known.
    """
    at_root = known & root
    used = torch.where(at_root.any(-1, keepdim=True), at_root, known)
    distance = _safe_norm(_centred(predicted, used) - _centred(target, used))
    return _masked_mean(distance, known)


def aligned_joints_loss(predicted: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Mean distance of 3D joints after Procrustes alignment ("w_paj3d").

    Args:
        predicted, target: (K, J, 3) metres.
        known: (K, J) bool.

    Returns:
        (K,) metres; 0 where fewer than four joints are known.
    """
    enough = known.sum(-1, keepdim=True) >= _MINIMUM_FOR_PROCRUSTES
    weights = known.to(predicted.dtype)
    aligned = procrustes_align(predicted, target, weights)
    return _masked_mean(_safe_norm(aligned - target), known & enough)


def keypoints_loss(
    predicted: Tensor, target: Tensor, labeled: Tensor, scale: Tensor | float = 1.0
) -> Tensor:
    """Mean distance of projected joints ("w_pj2d").

    Args:
        predicted, target: (K, J, 2) in -1..1 of the padded square.
        labeled: (K, J) bool.
        scale: (K,) what distances are divided by: 1 for the paper's loss, a person's size so
            that near and far people count alike.

    Returns:
        (K,).
    """
    distance = _masked_mean(_safe_norm(predicted - target), labeled)
    return distance / scale


def similarity_loss(
    predicted: Tensor, target: Tensor, labeled: Tensor, areas: Tensor, sigmas: Tensor
) -> Tensor:
    """One minus object keypoint similarity (as in YOLO-Pose, Maji et al., 2022).

    Args:
        predicted, target: (K, J, 2).
        labeled: (K, J) bool.
        areas: (K,) of the people, in the same unit squared.
        sigmas: (J,) of `evaluation.keypoints.oks_sigmas`.

    Returns:
        (K,), 0..1; 0 where nothing is labeled.
    """
    spread = 2 * areas.clamp(min=_SMALLEST_AREA)[:, None] * (2 * sigmas).square()
    distance = (predicted - target).square().sum(-1)
    return _masked_mean(1 - torch.exp(-distance / spread), labeled)


def _centred(points: Tensor, used: Tensor) -> Tensor:
    return points - _masked_mean(points.transpose(-1, -2), used[..., None, :])[..., None, :]


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension where the mask holds; 0 where it never does."""
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1).clamp(min=1)


def _safe_norm(vectors: Tensor) -> Tensor:
    """Length over the last dimension, whose gradient at zero is zero instead of NaN."""
    squared = vectors.square().sum(-1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)
