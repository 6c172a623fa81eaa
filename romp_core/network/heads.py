"""CoordConv and the heads that turn features into maps."""

import torch
from torch import Tensor, nn

from romp_core.network.blocks import BasicBlock


def append_coordinates(features: Tensor, side: int | None = None) -> Tensor:
    """Features followed by two channels that hold each cell's x and y (CoordConv).

    Args:
        features: (B, C, h, w).
        side: of the square whose middle they show, h or more and w or more cells; None: they
            show all there is.

    Returns:
        (B, C + 2, h, w); the coordinates run from -1 to 1 over all there is, both reached.
    """
    batch, _, height, width = features.shape

    def coordinates(count: int) -> Tensor:
        whole = side or count
        every = torch.linspace(-1, 1, whole, dtype=features.dtype, device=features.device)
        return every[(whole - count) // 2 :][:count]

    x = coordinates(width).view(1, 1, 1, width).expand(batch, 1, height, width)
    y = coordinates(height).view(1, 1, height, 1).expand(batch, 1, height, width)
    return torch.cat([features, x, y], 1)


def make_head(
    in_channels: int, out_channels: int, stride: int, blocks: int, width: int = 64
) -> nn.Sequential:
    """A head: strided 3x3 convolution, residual blocks, 1x1 convolution.

    Args:
        in_channels: channels of the features with coordinates.
        out_channels: channels of the map.
        stride: of the first convolution; the map is that much smaller than the features.
        blocks: number of residual blocks (the paper's has 2).
        width: channels in between (the paper's has 64).
    """
    # The nesting is that of the published checkpoints' keys.
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(in_channels, width, 3, stride, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ),
        nn.Sequential(*(nn.Sequential(BasicBlock(width, width)) for _ in range(blocks))),
        nn.Conv2d(width, out_channels, 1),
    )
