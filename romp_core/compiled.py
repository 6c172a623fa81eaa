"""What costs more in torch than it should, on a CPU: the compiled module romp_core_compiled (src/).

Torch does all of it too, where gradients or a GPU are wanted or nothing was compiled.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

try:
    import romp_core_compiled as library
except ModuleNotFoundError:  # a source tree that was never built: torch does it, more slowly
    library = None
if not hasattr(library, "convolve"):  # built from sources before these
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


def axis_angle_to_matrix(vectors: Tensor) -> Tensor:
    """(*, 3, 3) of (*, 3), as `axis_angle_to_matrix`."""
    return _converted(library.axis_angle_to_matrix, vectors, vectors.shape[:-1], (3, 3))


def rotation_6d_to_matrix(sixes: Tensor) -> Tensor:
    """(*, 3, 3) of (*, 6), as `rotation_6d_to_matrix`."""
    return _converted(library.rotation_6d_to_matrix, sixes, sixes.shape[:-1], (3, 3))


def matrix_to_axis_angle(matrices: Tensor) -> Tensor:
    """(*, 3) of (*, 3, 3), as `matrix_to_axis_angle`."""
    return _converted(library.matrix_to_axis_angle, matrices, matrices.shape[:-2], (3,))


def _converted(
    convert: Callable, rotations: Tensor, leading: torch.Size, form: tuple[int, ...]
) -> Tensor:
    converted = rotations.new_empty(*leading, *form)
    convert(leading.numel(), rotations.contiguous().numpy(), converted.numpy())
    return converted


def compose(parents: np.ndarray, rotations: Tensor, rest: Tensor) -> Tensor:
    """Transforms from the rest pose to the posed body.

    Args:
        parents: (J,) int64, each before its children, -1 for the root.
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
        parents,
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


def mean_shift(maps: Tensor, bell: np.ndarray, lever: np.ndarray, least: float) -> Tensor:
    """Steps of the mean shift at every cell.

    Args:
        maps: (M, 1, H, W), not negative.
        bell: (2 R + 1,) float32, a window.
        lever: the same times the distance from its middle, in cells.
        least: added to the sums under the window.

    Returns:
        (M, 2, H, W) x and y, in units of -1..1 from border to border.
    """
    number, _, height, width = maps.shape
    steps = maps.new_empty(number, 2, height, width)
    library.mean_shift(
        number, height, width, least, maps.contiguous().numpy(), bell, lever, steps.numpy()
    )
    return steps
