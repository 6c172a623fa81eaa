"""From maps to people: local maxima of the center map, and the parameters found there."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

PEAK_WINDOW = 5
"""Cells across the square within which only the highest value is a person."""


class Centers(NamedTuple):
    """The N best body centers of each image, best first.

    Attributes:
        valid: (B, N) bool; where false, the other fields hold some cell that is no person. In
            each row the valid ones come first.
        confidence: (B, N) float32, the center map's value (`find_centers`), or what is made of it.
        cells: (B, N) int64, flat numbers of the cells, row by row.
    """

    valid: Tensor
    confidence: Tensor
    cells: Tensor


class Detections(NamedTuple):
    """The N best body centers of each image, best first.

    Attributes:
        valid: (B, N) bool; where false, the other fields hold some cell that is no person.
        confidence: (B, N) float32, the center map's value.
        cells: (B, N, 2) int64, x and y of the cell.
        params: (B, N, C), the parameter map there.
    """

    valid: Tensor
    confidence: Tensor
    cells: Tensor
    params: Tensor


def _peaks(center_map: Tensor) -> Tensor:
    """(B, h, w) bool: cells that no cell of their window exceeds, one per tie."""
    height, width = center_map.shape[-2:]

    def window_maximum(values: Tensor) -> Tensor:
        return max_pool2d(values[:, None], PEAK_WINDOW, 1, PEAK_WINDOW // 2)[:, 0]

    highest = center_map == window_maximum(center_map)
    # Of equal values in one window the first in reading order is the person. Of a chain of
    # equal values, each in the next one's window, so is the first of them all.
    order = torch.arange(height * width, 0, -1, device=center_map.device)
    order = torch.where(highest, order.view(height, width).to(center_map.dtype), 0)
    return highest & (order == window_maximum(order))


def find_centers(
    center_map: Tensor, threshold: float | Tensor = 0.2, max_people: int = 64
) -> Centers:
    """Body centers of a batch.

    Everything stays on the map's device and no shape depends on its values, so that nothing
    waits for the device and the whole can be captured in a CUDA graph.

    Args:
        center_map: (B, 1, h, w).
        threshold: a person's confidence must exceed it (paper: 0.2). A tensor on the device
            can be changed without capturing again.
        max_people: N, at most h * w of which are returned.

    Returns:
        `Centers` with N = min(max_people, h * w).

    Raises:
        ValueError: a map of another shape, or max_people below 1.
    """
    if center_map.ndim != 4 or center_map.shape[1] != 1:
        raise ValueError(f"center_map has shape {tuple(center_map.shape)}; expected (B, 1, h, w)")
    if max_people < 1:
        raise ValueError(f"max_people is {max_people}; expected at least 1")
    heat = center_map[:, 0].float()
    scores = torch.where(_peaks(heat) & (heat > threshold), heat, -torch.inf).flatten(1)
    best, cells = scores.topk(min(max_people, scores.shape[1]), dim=1)
    return Centers(best > -torch.inf, heat.flatten(1).gather(1, cells), cells)


def sample_params(params_map: Tensor, cells: Tensor) -> Tensor:
    """Parameters at cells of a map.

    Args:
        params_map: (B, C, h, w).
        cells: (B, N) int64, flat numbers of cells.

    Returns:
        (B, N, C).
    """
    index = cells[:, None].expand(-1, params_map.shape[1], -1)
    return params_map.flatten(2).gather(2, index).transpose(1, 2)


def cell_positions(cells: Tensor, width: int) -> Tensor:
    """(*, 2) int64 x and y of flat cell numbers (*) of a map of that width."""
    return torch.stack([cells % width, cells // width], -1)


def decode(
    center_map: Tensor, params_map: Tensor, threshold: float | Tensor = 0.2, max_people: int = 64
) -> Detections:
    """Body centers of a batch, and the parameters sampled at them.

    Args:
        center_map: (B, 1, h, w).
        params_map: (B, C, h, w).
        threshold, max_people: as in `find_centers`.

    Returns:
        `Detections` with N = min(max_people, h * w).

    Raises:
        ValueError: maps of other or unlike shapes, or max_people below 1.
    """
    if (
        center_map.ndim != 4
        or params_map.ndim != 4
        or params_map.shape[::2] != center_map.shape[::2]
        or params_map.shape[3] != center_map.shape[3]
    ):
        raise ValueError(
            f"maps have shapes {tuple(center_map.shape)} and {tuple(params_map.shape)}; "
            "expected (B, 1, h, w) and (B, C, h, w)"
        )
    valid, confidence, cells = find_centers(center_map, threshold, max_people)
    return Detections(
        valid=valid,
        confidence=confidence,
        cells=cell_positions(cells, center_map.shape[3]),
        params=sample_params(params_map, cells),
    )
