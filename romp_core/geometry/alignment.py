"""Similarity (Procrustes) alignment of point sets."""

from typing import NamedTuple

import torch
from torch import Tensor


class Similarity(NamedTuple):
    """A similarity transform y = scale * R x + t.

    Attributes:
        scale: (*).
        rotation: (*, 3, 3), determinant +1.
        translation: (*, 3).
    """

    scale: Tensor
    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Transformed points.

        Args:
            points: (*, N, 3).

        Returns:
            (*, N, 3).
        """
        rotated = points @ self.rotation.transpose(-1, -2)
        return self.scale[..., None, None] * rotated + self.translation[..., None, :]


def similarity_transform(
    source: Tensor, target: Tensor, weights: Tensor | None = None
) -> Similarity:
    """The similarity that brings `source` closest to `target` in least squares (Umeyama, 1991).

    Args:
        source, target: (*, N, 3), any common unit. The last dimension is the coordinate,
            whatever N is.
        weights: (*, N), non-negative; None weighs all points alike. Points of weight 0
            do not count, and a set whose points all coincide keeps scale 1.

    Returns:
        The transform. Mirror images are never used. Where a point is not finite, neither is the
        transform.
    """
    if source.shape != target.shape or source.shape[-1] != 3:
        raise ValueError(
            f"expected two arrays of one shape (*, N, 3), "
            f"found {tuple(source.shape)} and {tuple(target.shape)}"
        )
    if weights is None:
        weights = source.new_ones(source.shape[:-1])
    share = weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)
    share = share[..., None]
    source_mean = (share * source).sum(-2, keepdim=True)
    target_mean = (share * target).sum(-2, keepdim=True)
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = target_centred.transpose(-1, -2) @ (share * source_centred)
    # The decomposition refuses what is not finite; scale or translation tell of it all the same.
    u, singular, vh = torch.linalg.svd(covariance.nan_to_num(0.0, 0.0, 0.0))
    handedness = torch.ones_like(singular)
    handedness[..., 2] = torch.sign(torch.linalg.det(u @ vh))
    rotation = (u * handedness[..., None, :]) @ vh
    variance = (share * source_centred.square()).sum((-1, -2))
    degenerate = variance < 1e-12
    scale = (singular * handedness).sum(-1) / torch.where(degenerate, 1.0, variance)
    scale = torch.where(degenerate, torch.ones_like(scale), scale)
    rotated_mean = (source_mean @ rotation.transpose(-1, -2)).squeeze(-2)
    return Similarity(scale, rotation, target_mean.squeeze(-2) - scale[..., None] * rotated_mean)


def procrustes_align(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """`source` after the similarity that brings it closest to `target`.

    Args:
        source, target: (*, N, 3).
        weights: (*, N) or None; see `similarity_transform`.

    Returns:
        (*, N, 3). Gradients flow through the coordinates of `source`, not through the
        transform, whose derivative is unbounded where singular values meet.
    """
    with torch.no_grad():
        transform = similarity_transform(source, target, weights)
    return transform.apply(source)
