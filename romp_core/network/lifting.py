"""From 2D keypoints to bodies, cell by cell.

A backbone that already says where a person's keypoints are, seen from the person's center, has
solved what differs between photographs and rendered pictures. What remains, 17 points in the
plane to a posed body and its camera, can be learnt from recorded poses alone, without a picture.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, grid_sample

SCALE_BASE = 1.1
"""The camera's scale is this to the power of the map's first channel."""

KEYPOINTS = 17  # COCO's
BODY_EXTENT = 0.45
"""Root mean square distance in metres of an upright person's keypoints from their mean."""

_WINDOW, _WINDOW_SIGMA = 5, 2.0  # cells of the heatmaps
_SHIFTS = 2
_LEAST_MASS = 0.02
_MINIMUM_EXTENT = 0.01  # of the picture's half side


class ResidualLayer(nn.Module):
    """x + W2 relu(W1 norm(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(*, width) -> (*, width)."""
        return x + self.project(self.expand(self.norm(x)).relu())


class KeypointLifting(nn.Module):
    """Mesh parameters out of keypoints.

    Place and size are taken out before and put back into the camera after the layers, so that
    what is learnt holds for people of any size anywhere in a picture of any size.

    Args:
        channels: numbers of the parameters, camera first.
        width: of the hidden layers.
        layers: number of residual layers.
    """

    def __init__(self, channels: int, width: int = 256, layers: int = 3):
        super().__init__()
        self.input = nn.Linear(3 * KEYPOINTS + 2, width)
        self.layers = nn.Sequential(*(ResidualLayer(width) for _ in range(layers)))
        self.output = nn.Linear(width, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, keypoints: Tensor, confidence: Tensor) -> Tensor:
        """Parameters to be added to those of the heads.

        Args:
            keypoints: (*, 17, 2), -1..1 in the padded square, COCO's order.
            confidence: (*, 17), 0..1, that a keypoint is seen where it is said to be.

        Returns:
            (*, C): camera (raw scale, tx, ty) first.
        """
        middle = keypoints.mean(-2, keepdim=True)
        centred = keypoints - middle
        # Clamped before the root, whose slope at zero is infinite.
        variance = centred.square().sum(-1).mean(-1).clamp(min=_MINIMUM_EXTENT**2)
        extent = variance.sqrt()[..., None]
        middle = middle.squeeze(-2)
        # Perspective makes the place matter, though little.
        x = torch.cat([(centred / extent[..., None]).flatten(-2), confidence, middle], -1)
        lifted = self.output(self.layers(self.input(x)))
        scale = lifted[..., :1] + (extent / BODY_EXTENT).log() / math.log(SCALE_BASE)
        return torch.cat([scale, middle + extent * lifted[..., 1:3], lifted[..., 3:]], -1)


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
    under a Gaussian window joins the two: its step is the same function of the place for
    everybody, so that it is computed once per picture by convolution and then looked up.

    Args:
        positions: (B, h, w, 17, 2), -1..1.
        heatmaps: (B, 17, H, W), 0..1.

    Returns:
        Positions (B, h, w, 17, 2), and the heatmaps' values there (B, h, w, 17).
    """
    batch, height, width, count, _ = positions.shape
    maps = heatmaps.flatten(0, 1)[:, None]
    steps = _mean_shift(maps)
    # One grid per picture and keypoint.
    grid = positions.permute(0, 3, 1, 2, 4).reshape(batch * count, height, width, 2)
    for _ in range(_SHIFTS):
        shift = grid_sample(steps, grid, padding_mode="border", align_corners=False)
        grid = grid + shift.permute(0, 2, 3, 1)
    confidence = grid_sample(maps, grid, padding_mode="zeros", align_corners=False)
    grid = grid.view(batch, count, height, width, 2).permute(0, 2, 3, 1, 4)
    return grid, confidence.view(batch, count, height, width).permute(0, 2, 3, 1)


def _mean_shift(maps: Tensor) -> Tensor:
    """(M, 2, H, W) mean shift steps, in units of -1..1, of maps (M, 1, H, W)."""
    reach = torch.arange(-_WINDOW, _WINDOW + 1, device=maps.device, dtype=maps.dtype)
    bell = torch.exp(-reach.square() / (2 * _WINDOW_SIGMA**2))
    window = bell[:, None] * bell
    kernels = torch.stack([window, window * reach, window * reach[:, None]])[:, None]
    mass, x, y = conv2d(maps.square(), kernels, padding=_WINDOW).split(1, 1)
    height, width = maps.shape[-2:]
    # Where nothing is seen nearby, nothing moves.
    return torch.cat([x * (2 / width), y * (2 / height)], 1) / (mass + _LEAST_MASS)
