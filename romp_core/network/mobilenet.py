"""MobileNetV2 with a feature pyramid and 2D keypoint evidence, for real-time use.

Trunk, narrow pyramid and evidence layers have the shapes of MoveNet MultiPose (Google,
Apache-2.0: MobileNetV2 of width 1.5, a pyramid of depthwise separable convolutions, CenterNet
heads), so that its weights can be the starting point of training; see
`romp_core.training.movenet`. Batch norms are folded into the convolutions there, hence the biases.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from romp_core.network.evidence import OFFSET_UNIT

# Output channels, stride and number of blocks of each stage; all but the first expand six times.
STAGES = ((24, 1, 1), (40, 2, 2), (48, 2, 3), (96, 2, 4), (144, 1, 3), (240, 2, 3), (480, 1, 1))
STEM_CHANNELS, TOP_CHANNELS, EXPANSION = 48, 1280, 6
NARROW_CHANNELS = (64, 32, 24, 24)  # pyramid at strides 32, 16, 8 and 4
WIDE_CHANNELS = 64
EVIDENCE = {"center": 1, "keypoint_offsets": 34, "keypoint_heatmaps": 17, "box_size": 2}
EVIDENCE_HIDDEN = 96
CORRECTED = ("keypoint_offsets", "keypoint_heatmaps")


def _channels_of_evidence() -> dict[str, slice]:
    start, channels = 0, {}
    parts = {"wide": WIDE_CHANNELS, "narrow": NARROW_CHANNELS[-1], **EVIDENCE}
    for name, count in parts.items():
        channels[name] = slice(start, start + count)
        start += count
    return channels


class SameConv(nn.Module):
    """A 3x3 convolution padded as TensorFlow's "SAME": with stride 2 only right and below."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        groups: int = 1,
        *,
        bias: bool = True,
    ):
        super().__init__()
        self.stride = stride
        padding = 1 if stride == 1 else 0
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, stride, padding, groups=groups, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h/stride, w/stride)."""
        return self.conv(pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3, 1x1 projection, around a shortcut where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int):
        super().__init__()
        hidden = in_channels * expansion
        self.expand = nn.Conv2d(in_channels, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, out_channels, 1)
        self.activation = nn.ReLU6(inplace=True)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h/stride, w/stride)."""
        features = x if self.expand is None else self.activation(self.expand(x))
        features = self.project(self.activation(self.depthwise(features)))
        return x + features if self.shortcut else features


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 without bias, 1x1 with bias, ReLU."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            SameConv(in_channels, in_channels, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1),
            nn.ReLU(inplace=True),
        )


class MobileNetPyramid(nn.Module):
    """(B, 3, S, S) -> (B, 142, S/4, S/4): two pyramids and what MoveNet's layers say of keypoints.

    The wide pyramid (64 channels) is this network's own; the narrow one (24) feeds the evidence
    (54): center and keypoint probabilities, keypoint offsets and box sizes. What the wide one
    sees corrects the evidence on keypoints, so that it can learn from other pictures without
    forgetting those that MoveNet was trained on.
    """

    out_channels = WIDE_CHANNELS + NARROW_CHANNELS[-1] + sum(EVIDENCE.values())
    evidence_channels = _channels_of_evidence()
    """Where among the channels what is; offsets and sizes in units of `OFFSET_UNIT`."""

    delicate_layers = ("stem", "stages.0", "stages.1", "stages.2", "stages.3")
    """Layers whose rounding to bfloat16 moves people's joints most; a third of the work."""

    pixel_mean = (127.5, 127.5, 127.5)
    pixel_std = (127.5, 127.5, 127.5)

    def __init__(self):
        super().__init__()
        self.activation = nn.ReLU6(inplace=True)
        self.stem = SameConv(3, STEM_CHANNELS, 2)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for index, (out_channels, stride, count) in enumerate(STAGES):
            blocks = []
            for block in range(count):
                blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        stride if block == 0 else 1,
                        EXPANSION if index else 1,
                    )
                )
                channels = out_channels
            self.stages.append(nn.Sequential(*blocks))
        self.top = nn.Conv2d(channels, TOP_CHANNELS, 1)
        # Strides 32, 16, 8, 4. MoveNet leaves the trunk before the last widening at stride 16.
        inputs = (TOP_CHANNELS, STAGES[3][0], STAGES[2][0], STAGES[1][0])
        self.narrow_lateral = nn.ModuleList(
            nn.Conv2d(source, target, 1)
            for source, target in zip(inputs, (64, 64, 32, 24), strict=True)
        )
        self.narrow_smooth = nn.ModuleList(
            SeparableConv(source, target) for source, target in pairwise(NARROW_CHANNELS)
        )
        self.evidence = nn.ModuleDict(
            {
                name: nn.Sequential(
                    SeparableConv(NARROW_CHANNELS[-1], EVIDENCE_HIDDEN),
                    nn.Conv2d(EVIDENCE_HIDDEN, count, 1),
                )
                for name, count in EVIDENCE.items()
            }
        )
        wide_inputs = (TOP_CHANNELS, STAGES[4][0], STAGES[2][0], STAGES[1][0])
        self.wide_lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(source, WIDE_CHANNELS, 1, bias=False), nn.BatchNorm2d(WIDE_CHANNELS)
            )
            for source in wide_inputs
        )
        self.wide_smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(WIDE_CHANNELS, WIDE_CHANNELS, 3, 1, 1, bias=False),
                nn.BatchNorm2d(WIDE_CHANNELS),
                nn.ReLU(inplace=True),
            )
            for _ in wide_inputs[1:]
        )
        self.correction = nn.Sequential(
            nn.Conv2d(WIDE_CHANNELS, WIDE_CHANNELS, 3, 1, 1, bias=False),
            nn.BatchNorm2d(WIDE_CHANNELS),
            nn.ReLU(inplace=True),
            nn.Conv2d(WIDE_CHANNELS, sum(EVIDENCE[name] for name in CORRECTED), 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of normalised images.

        Args:
            x: (B, 3, S, S), S a multiple of 32.

        Returns:
            (B, 142, S/4, S/4).
        """
        x = self.activation(self.stem(x))
        stages = []
        for stage in self.stages:
            x = stage(x)
            stages.append(x)
        top = self.activation(self.top(x))
        narrow = self._narrow([top, stages[3], stages[2], stages[1]])
        wide = self._wide([top, stages[4], stages[2], stages[1]])
        return torch.cat([wide, narrow, self._evidence(narrow, wide)], 1)

    def _narrow(self, levels: list[Tensor]) -> Tensor:
        x = self.narrow_lateral[0](levels[0])
        for lateral, smooth, level in zip(
            self.narrow_lateral[1:], self.narrow_smooth, levels[1:], strict=True
        ):
            x = interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = smooth(x + lateral(level))
        return x

    def _wide(self, levels: list[Tensor]) -> Tensor:
        x = self.wide_lateral[0](levels[0])
        for lateral, smooth, level in zip(
            self.wide_lateral[1:], self.wide_smooth, levels[1:], strict=True
        ):
            x = smooth(interpolate(x, scale_factor=2.0, mode="nearest") + lateral(level))
        return x

    def start_without_correction(self) -> None:
        """Let the evidence be what the narrow pyramid says alone."""
        nn.init.zeros_(self.correction[-1].weight)
        nn.init.zeros_(self.correction[-1].bias)

    def _evidence(self, narrow: Tensor, wide: Tensor) -> Tensor:
        said = {name: layers(narrow) for name, layers in self.evidence.items()}
        corrections, start = self.correction(wide), 0
        for name in CORRECTED:
            end = start + EVIDENCE[name]
            said[name] = said[name] + corrections[:, start:end]
            start = end
        return torch.cat(
            [
                said["center"].sigmoid(),
                said["keypoint_offsets"] / OFFSET_UNIT,
                said["keypoint_heatmaps"].sigmoid(),
                said["box_size"] / OFFSET_UNIT,
            ],
            1,
        )
