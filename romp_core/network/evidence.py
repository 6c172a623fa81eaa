"""What a backbone's features say of the people in a picture: where their 2D keypoints are."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample

KEYPOINTS = 17  # COCO's
OFFSET_UNIT = 32.0
"""Cells of the features; brings offsets to the range of the other features."""

_WINDOW, _WINDOW_SIGMA = 5, 2.0  # cells of the heatmaps at a level
_LEVELS = 3  # heatmaps of a half and a quarter of the size, for near people
_WINDOW_SHARE = 0.25  # sigma over the extent of a person's keypoints
_SHIFTS = 3
_LEAST_MASS = 0.02
_MINIMUM_EXTENT = 0.01  # of the picture's half side


class Evidence(NamedTuple):
    """What the backbone says of the person at each of N cells.

    Attributes:
        keypoints: (B, N, 17, 2), -1..1 in the padded square, COCO's order.
        confidence: (B, N, 17), 0..1.
        depth: (B, N, 17) of the keypoints behind the middle of the hips, in units of the root
            mean square distance of the person's 3D keypoints from their mean; 0 where nothing is
            known.
    """

    keypoints: Tensor
    confidence: Tensor
    depth: Tensor


def read_evidence(
    features: Tensor, channels: Mapping[str, slice], stride: int, cells: Tensor | None = None
) -> Evidence:
    """What the backbone's features say of the people at some or all cells of the maps.

    Args:
        features: (B, C, H, W).
        channels: where in the features what is, see `MobileNetPyramid.evidence_channels`.
        stride: of the maps over the features.
        cells: (B, N) int64, flat numbers of cells of the maps; None for all of them.
    """

    def at_cells(flat: Tensor) -> Tensor:
        """(B, h * w, ...) -> (B, N, ...)."""
        if cells is None:
            return flat
        index = cells.view(*cells.shape, *[1] * (flat.ndim - 2))
        return flat.gather(1, index.expand(*cells.shape, *flat.shape[2:]))

    positions = at_cells(cell_keypoints(features[:, channels["keypoint_offsets"]], stride))
    # The layers that say where keypoints are learn from 2D keypoints alone.
    heatmaps = features[:, channels["keypoint_heatmaps"]].detach()
    keypoints, confidence = refine_keypoints(positions.detach(), heatmaps)
    return Evidence(keypoints, confidence, torch.zeros_like(confidence))


def cell_keypoints(offsets: Tensor, stride: int) -> Tensor:
    """Keypoints of the person at each cell of the maps, as the offsets alone say.

    Args:
        offsets: (B, 34, H, W) of the features, in `OFFSET_UNIT`s.
        stride: of the maps over the features, whose cells are averaged.

    Returns:
        (B, h * w, 17, 2) x and y, -1..1 from border to border, row by row.
    """
    in_cells = avg_pool2d(offsets, stride) * (OFFSET_UNIT / stride)
    return keypoint_positions(in_cells).flatten(1, 2)


def keypoint_positions(offsets: Tensor) -> Tensor:
    """Keypoints of the person at each cell.

    Args:
        offsets: (B, 34, h, w) from each cell to its keypoints, y then x, in cells.

    Returns:
        (B, h, w, 17, 2) x and y, -1..1 from border to border.
    """
    batch, _, height, width = offsets.shape
    y, x = offsets.view(batch, KEYPOINTS, 2, height, width).permute(0, 3, 4, 1, 2).unbind(-1)
    rows = torch.arange(height, device=offsets.device, dtype=offsets.dtype)
    columns = torch.arange(width, device=offsets.device, dtype=offsets.dtype)
    x = (x + columns[None, None, :, None] + 0.5) * (2 / width) - 1
    y = (y + rows[None, :, None, None] + 0.5) * (2 / height) - 1
    return torch.stack([x, y], -1)


def refine_keypoints(positions: Tensor, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Keypoints moved uphill to where the heatmaps see them.

    Offsets say which person a keypoint belongs to, heatmaps where exactly it is. Mean shift
    under a Gaussian window, the larger the nearer a person is, joins the two: its step is the
    same function of the place for everybody, so that it is computed once per picture and window
    by convolution and then looked up.

    Args:
        positions: (B, N, 17, 2), -1..1.
        heatmaps: (B, 17, H, W), 0..1.

    Returns:
        Positions (B, N, 17, 2), and the heatmaps' values there (B, N, 17).
    """
    batch, people, count, _ = positions.shape
    maps = heatmaps.flatten(0, 1)[:, None]
    fields = [_mean_shift(avg_pool2d(maps.square(), 2**level)) for level in range(_LEVELS)]
    # One grid per picture and keypoint, one window size per person.
    grid = positions.transpose(1, 2).reshape(batch * count, people, 1, 2)
    shares = _level_shares(positions, heatmaps.shape[-1]).repeat_interleave(count, 0)
    for _ in range(_SHIFTS):
        shift = sum(
            grid_sample(field, grid, padding_mode="border", align_corners=False)
            * shares[:, level, None, :, None]
            for level, field in enumerate(fields)
        )
        grid = grid + shift.permute(0, 2, 3, 1)
    confidence = grid_sample(maps, grid, padding_mode="zeros", align_corners=False)
    grid = grid.view(batch, count, people, 2).transpose(1, 2)
    return grid, confidence.view(batch, count, people).transpose(1, 2)


def _level_shares(positions: Tensor, size: int) -> Tensor:
    """(B, levels, N): how much each level's window counts, so that windows grow with people."""
    cells = keypoint_extent(positions).squeeze(-1) * (size / 2)
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
    reach = torch.arange(-_WINDOW, _WINDOW + 1, device=maps.device, dtype=maps.dtype)
    bell = torch.exp(-reach.square() / (2 * _WINDOW_SIGMA**2))
    lever, none = bell * reach, torch.zeros_like(bell)
    # The window is a product of two: first down the columns, then along the rows.
    down = conv2d(maps, torch.stack([bell, lever])[:, None, :, None], padding=(_WINDOW, 0))
    along = torch.stack([bell, none, lever, none, none, bell]).view(3, 2, 1, -1)
    mass, x, y = conv2d(down, along, padding=(0, _WINDOW)).split(1, 1)
    height, width = maps.shape[-2:]
    # Where nothing is seen nearby, nothing moves.
    return torch.cat([x * (2 / width), y * (2 / height)], 1) / (mass + _LEAST_MASS)
