"""Rotations, kinematics and skinning on a CPU, by src/body.c: the module romp_core_compiled."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

try:
    import romp_core_compiled as library
except ModuleNotFoundError:  # a source tree that was never built: torch does it, more slowly
    library = None


def applies_to(tensor: Tensor) -> bool:
    """Whether the compiled module is there and can work on this tensor."""
    return (
        library is not None
        and tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.jit.is_tracing()
    )


class Influences:
    """The few joints that each point follows.

    Args:
        weights: (N, J), how much N points follow each of J joints.
    """

    def __init__(self, weights: np.ndarray):
        most = max(int((weights != 0).sum(1).max(initial=0)), 1)
        joints = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :most]
        self.joints = joints.astype(np.uint8)
        """(N, K) which joints, K the most that any point follows."""
        self.weights = np.take_along_axis(weights, joints, 1).astype(np.float32)
        """(N, K) how much."""


def rotation_matrices(vectors: Tensor) -> Tensor:
    """(B, J, 3, 3) rotation matrices of (B, J, 3) axis-angle vectors in radians."""
    matrices = vectors.new_empty(*vectors.shape, 3)
    library.rotations(matrices.shape[:-2].numel(), vectors.contiguous().numpy(), matrices.numpy())
    return matrices


def compose(parents: Sequence[int], rotations: Tensor, rest: Tensor) -> Tensor:
    """Transforms from the rest pose to the posed body.

    Args:
        parents: of J joints, each before its children, -1 for the root.
        rotations: (B, J, 3, 3), each relative to its parent's.
        rest: (B, 3, N) points in the rest pose, metres, of which the first J are the joints.

    Returns:
        (B, J, 4, 4), columns first, of which the last row does not count.

    Raises:
        ValueError: a parent that does not come before its child, or fewer points than joints.
    """
    people, joints = rotations.shape[:2]
    transforms = rotations.new_empty(people, joints, 4, 4)
    library.compose(
        people,
        rest.shape[-1],
        np.asarray(parents, np.int64),
        rotations.contiguous().numpy(),
        rest.contiguous().numpy(),
        transforms.numpy(),
    )
    return transforms


def skin(resting: Tensor, transforms: Tensor, influences: Influences) -> Tensor:
    """(B, N, 3) posed points out of (B, 3, N) resting ones, metres, and transforms of `compose`."""
    people, _, points = resting.shape
    posed = resting.new_empty(people, points, 3)
    library.skin(
        people,
        points,
        transforms.shape[1],
        resting.contiguous().numpy(),
        transforms.contiguous().numpy(),
        influences.joints,
        influences.weights,
        posed.numpy(),
    )
    return posed
