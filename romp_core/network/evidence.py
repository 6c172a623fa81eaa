"""What a backbone's features say of the people in a picture: where their 2D keypoints are."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from romp_core import compiled

KEYPOINTS = 17  # COCO's
OFFSET_UNIT = 32.0
"""Cells of the features; brings offsets to the range of the other features."""

LIMB_M = 0.32
"""Mean length of upper arms, forearms, thighs and shanks of people of all ages."""

SIZE_SPREAD = 0.15
"""Of its logarithm: standard deviation."""

_WINDOW, _WINDOW_SIGMA = 5, 2.0  # cells of the heatmaps at a level
_LEVELS = 3  # heatmaps of a half and a quarter of the size, for near people
_WINDOW_SHARE = 0.25  # sigma over the extent of a person's keypoints
_SHIFTS = 3
_LEAST_MASS = 0.02
_MINIMUM_EXTENT = 0.01  # of the picture's half side
_NEAR_EXTENTS = 11.2, 22.4  # cells of the features: of keypoints of people 180 and 360 pixels high


class Part(NamedTuple):
    """What features show of the padded square: its middle.

    Attributes:
        width, height: shares of the square's side.
    """

    width: float
    height: float

    def to_square(self, points: Tensor) -> Tensor:
        """(*, 2) x and y, -1..1 in the square, of -1..1 in the part."""
        return scaled(points, self.width, self.height)

    def from_square(self, points: Tensor) -> Tensor:
        """The inverse of `to_square`."""
        return scaled(points, 1 / self.width, 1 / self.height)


WHOLE = Part(1.0, 1.0)


class Evidence(NamedTuple):
    """What the backbone says of the person at each of N cells.

    Attributes:
        keypoints: (B, N, 17, 2), -1..1 in the padded square, COCO's order.
        confidence: (B, N, 17), 0..1.
        depth: (B, N, 17) of the keypoints behind the middle of the hips, in units of the root
            mean square distance of the person's 3D keypoints from their mean; 0 where nothing is
            known.
        size: (B, N) logarithm of the mean length of upper arms, forearms, thighs and shanks over
            `LIMB_M`, in units of `SIZE_SPREAD`; 0 where nothing is known.
    """

    keypoints: Tensor
    confidence: Tensor
    depth: Tensor
    size: Tensor


def read_evidence(
    levels: Sequence[Tensor],
    channels: Mapping[str, slice],
    stride: int,
    cells: Tensor | None = None,
    part: Part = WHOLE,
) -> Evidence:
    """What the backbone's features say of the people at some or all cells of the maps.

    Args:
        levels: (B, C, H, W) features, and where the backbone also sees the picture at half its
            size, (B, C, H/2, W/2) of that; near people are believed to the latter.
        channels: where in the features what is, see `MobileNetPyramid.evidence_channels`.
        stride: of the maps over the first features.
        cells: (B, N) int64, flat numbers of cells of the maps; None for all of them.
        part: of the squares that the features show.
    """
    # The layers that say where keypoints are learn from 2D keypoints alone.
    offsets = [level[:, channels["keypoint_offsets"]].detach() for level in levels]
    heatmaps = [level[:, channels["keypoint_heatmaps"]].detach() for level in levels]
    if cells is None:
        height, width = (side // stride for side in levels[0].shape[2:])
        cells = torch.arange(height * width, device=levels[0].device)
        cells = cells.expand(levels[0].shape[0], -1)
    positions = part.to_square(cell_keypoints(offsets[0], stride, cells))
    near = None
    if len(levels) == 2:
        by_half = part.to_square(cell_keypoints(offsets[1], stride // 2, cells))
        side = levels[0].shape[-1] / part.width
        near = near_share(keypoint_extent(by_half), side)[..., None]
        positions = positions + near * (by_half - positions)
    keypoints, confidence = refine_keypoints(positions, heatmaps, near, part)
    unknown = torch.zeros_like(confidence)
    return Evidence(keypoints, confidence, unknown, unknown[..., 0])


def near_share(extent: Tensor, side: float) -> Tensor:
    """How much the picture at half its size is believed about people: not about small ones, alone
    about large ones. Pixels decide, not shares of the picture: that is how layers know people.

    Args:
        extent: of the people's keypoints, in halves of the square's side.
        side: of the square in cells of the first features.

    Returns:
        0..1, in the shape of `extent`.
    """
    smallest, largest = _NEAR_EXTENTS
    cells = extent * (side / 2)
    return ((cells / smallest).log2() / math.log2(largest / smallest)).clamp(0, 1)


def cell_keypoints(offsets: Tensor, stride: int, cells: Tensor) -> Tensor:
    """Keypoints of the people at cells of the maps, as the offsets alone say.

    Args:
        offsets: (B, 34, H, W) of the features, from each of their cells to its keypoints, y then
            x, in `OFFSET_UNIT`s.
        stride: of the maps over the features, whose cells are averaged.
        cells: (B, N) int64, flat numbers of cells of the maps.

    Returns:
        (B, N, 17, 2) x and y, -1..1 from border to border.
    """
    height, width = offsets.shape[2:]
    columns = width // stride
    row, column = torch.div(cells, columns, rounding_mode="floor"), cells % columns
    corner = stride * (row * width + column)
    flat = offsets.flatten(2)
    total = 0
    for down, right in product(range(stride), repeat=2):
        index = (corner + down * width + right)[:, None].expand(-1, flat.shape[1], -1)
        total = total + flat.gather(2, index)
    middle = torch.stack([column + 0.5, row + 0.5], -1) * stride
    moved = (total * (OFFSET_UNIT / stride**2)).unflatten(1, (KEYPOINTS, 2)).permute(0, 3, 1, 2)
    positions = middle[:, :, None] + moved.flip(-1)
    return scaled(positions, 2 / width, 2 / height) - 1


def refine_keypoints(
    positions: Tensor,
    heatmaps: Sequence[Tensor],
    near: Tensor | None = None,
    part: Part = WHOLE,
) -> tuple[Tensor, Tensor]:
    """Keypoints moved uphill to where the heatmaps see them.

    Offsets say which person a keypoint belongs to, heatmaps where exactly it is. Mean shift
    under a Gaussian window, the larger the nearer a person is, joins the two: its step is the
    same function of the place for everybody, so that it is computed once per picture and window
    by convolution and then looked up.

    Args:
        positions: (B, N, 17, 2), -1..1.
        heatmaps: (B, 17, H, W), 0..1, and, if there are two levels, (B, 17, H/2, W/2).
        near: (B, N, 1, 1) how much the second level is believed.
        part: of the squares that the heatmaps show.

    Returns:
        Positions (B, N, 17, 2), and the heatmaps' values there (B, N, 17).
    """
    batch, people, count, _ = positions.shape
    # Few of many channels that lie together: copied once, all that follows is faster.
    maps = [level.flatten(0, 1)[:, None].contiguous() for level in heatmaps]
    squares = [level.square() for level in maps]
    for _ in range(len(squares), _LEVELS):
        squares.append(avg_pool2d(squares[-1], 2))
    fields = [_mean_shift(level) for level in squares]
    # One grid per picture and keypoint, one window size per person.
    grid = part.from_square(positions).transpose(1, 2).reshape(batch * count, people, 1, 2)
    side = heatmaps[0].shape[-1] / part.width
    shares = _level_shares(positions, side).repeat_interleave(count, 0)
    for _ in range(_SHIFTS):
        shift = sum(
            grid_sample(field, grid, padding_mode="border", align_corners=False)
            * shares[:, level, None, :, None]
            for level, field in enumerate(fields)
        )
        grid = grid + shift.permute(0, 2, 3, 1)
    said = [
        grid_sample(level, grid, padding_mode="zeros", align_corners=False)
        .view(batch, count, people)
        .transpose(1, 2)
        for level in maps
    ]
    confidence = said[0] if near is None else said[0] + near[..., 0] * (said[1] - said[0])
    refined = grid.view(batch, count, people, 2).transpose(1, 2)
    return part.to_square(refined), confidence


def _level_shares(positions: Tensor, side: float) -> Tensor:
    """(B, levels, N): how much each level's window counts, so that windows grow with people, for
    positions in a square of so many cells along a side."""
    cells = keypoint_extent(positions).squeeze(-1) * (side / 2)
    wanted = (_WINDOW_SHARE * cells / _WINDOW_SIGMA).clamp(min=1).log2().clamp(max=_LEVELS - 1)
    levels = torch.arange(_LEVELS, device=positions.device, dtype=positions.dtype)
    return (1 - (wanted[:, None] - levels[:, None]).abs()).clamp(min=0)


def keypoint_extent(keypoints: Tensor) -> Tensor:
    """(*, 1) root mean square distance of keypoints (*, 17, 2) from their mean."""
    variance = (keypoints - keypoints.mean(-2, keepdim=True)).square().sum(-1).mean(-1)
    # Clamped before the root, whose slope at zero is infinite.
    return variance.clamp(min=_MINIMUM_EXTENT**2).sqrt()[..., None]


def _mean_shift(maps: Tensor) -> Tensor:
    """(M, 2, H, W) mean shift steps, in units of -1..1, of squared heatmaps (M, 1, H, W)."""
    if compiled.applies_to(maps):
        return compiled.mean_shift(maps, *_window(), _LEAST_MASS)
    height, width = maps.shape[-2:]
    bell_along, lever_along = _windows(width, maps.dtype, maps.device)
    bell_down, lever_down = _windows(height, maps.dtype, maps.device)
    # The window is a product of two: first along the rows, then down the columns. As products of
    # matrices they take half the time of convolutions with a single channel.
    along = maps @ torch.cat([bell_along, lever_along]).T
    mass, x = (bell_down @ along).split(width, -1)
    y = lever_down @ along[..., :width]
    # Where nothing is seen nearby, nothing moves.
    return torch.cat([x * (2 / width), y * (2 / height)], 1) / (mass + _LEAST_MASS)


def scaled(points: Tensor, x: float, y: float) -> Tensor:
    """(*, 2) points with their x and y multiplied by numbers."""
    if x == y == 1:
        return points
    # An export traces sizes as tensors; they are numbers all the same.
    return points * _constants(float(x), float(y), points.dtype, points.device)


@cache
@torch.inference_mode(False)  # what is kept must also serve where gradients are wanted
def _constants(x: float, y: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept for good: a graph of a GPU's work cannot take numbers from the host, and reads these
    whenever it runs. Shapes of images are few."""
    return torch.tensor([x, y], dtype=dtype, device=device)


@cache
def _window() -> np.ndarray:
    """(2, 11) float32: a Gaussian window, and it times the distance from its middle, in cells."""
    distance = np.arange(-_WINDOW, _WINDOW + 1.0)
    bell = np.exp(-(distance**2) / (2 * _WINDOW_SIGMA**2))
    return np.stack([bell, bell * distance]).astype(np.float32)


@cache
@torch.inference_mode(False)  # what is kept must also serve where gradients are wanted
def _windows(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2, size, size): rows of `_window` around each cell."""
    cells = torch.arange(size)
    place = cells - cells[:, None] + _WINDOW
    window = torch.from_numpy(_window()).to(device, dtype)
    within = ((place >= 0) & (place < window.shape[1])).to(device, dtype)
    return window[:, place.clamp(0, window.shape[1] - 1)] * within
