"""From 2D keypoints to bodies, cell by cell.

A backbone that already says where a person's keypoints are, seen from the person's center, has
solved what differs between photographs and rendered pictures. What remains, 17 points in the
plane to a posed body and its camera, can be learnt from recorded poses alone, without a picture.
"""

import math

import torch
from torch import Tensor, nn

SCALE_BASE = 1.1
"""The camera's scale is this to the power of the map's first channel."""

KEYPOINTS = 17  # COCO's
BODY_EXTENT = 0.45
"""Root mean square distance in metres of an upright person's keypoints from their mean."""

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
        self.input = nn.Linear(2 * KEYPOINTS + 2, width)
        self.layers = nn.Sequential(*(ResidualLayer(width) for _ in range(layers)))
        self.output = nn.Linear(width, channels)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Parameters to be added to those of the heads.

        Args:
            keypoints: (*, 17, 2), -1..1 in the padded square, COCO's order.

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
        x = torch.cat([(centred / extent[..., None]).flatten(-2), middle], -1)
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
