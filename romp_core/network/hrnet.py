"""HRNet-W32: parallel branches of four resolutions that keep exchanging features."""

from collections.abc import Sequence

from torch import Tensor, nn

from romp_core.network.blocks import BasicBlock, Bottleneck, conv3x3, residual_stage

WIDTHS = (32, 64, 128, 256)
MODULES_PER_STAGE = (1, 4, 3)
BLOCKS_PER_BRANCH = 4


def _downsample(in_channels: int, out_channels: int, *, activate: bool = True) -> nn.Sequential:
    layers = [conv3x3(in_channels, out_channels, 2), nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if activate else nn.Sequential(*layers)


def _fuse_layer(widths: Sequence[int], target: int, source: int) -> nn.Sequential | None:
    """What brings branch `source` to the resolution and width of branch `target`."""
    if source == target:
        return None
    if source > target:
        return nn.Sequential(
            nn.Conv2d(widths[source], widths[target], 1, bias=False),
            nn.BatchNorm2d(widths[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    halvings = target - source
    between = [_downsample(widths[source], widths[source]) for _ in range(halvings - 1)]
    return nn.Sequential(*between, _downsample(widths[source], widths[target], activate=False))


class ExchangeModule(nn.Module):
    """Four residual blocks on each branch, then every branch receives all the others.

    Args:
        widths: channels per branch, finest first.
        outputs: how many of the fused branches leave, finest first.
    """

    def __init__(self, widths: Sequence[int], outputs: int):
        super().__init__()
        self.branches = nn.ModuleList(
            residual_stage(BasicBlock, width, width, BLOCKS_PER_BRANCH) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(widths, target, source) for source in range(len(widths)))
            for target in range(outputs)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Fused features, finest first."""
        branches = [layers(x) for layers, x in zip(self.branches, branches, strict=True)]
        fused = []
        for target, layers in enumerate(self.fuse_layers):
            total = branches[target]
            for layer, x in zip(layers, branches, strict=True):
                if layer is not None:
                    total = total + layer(x)
            fused.append(self.relu(total))
        return fused


class HRNet(nn.Module):
    """HRNet-W32 whose finest branch leaves: (B, 3, S, S) -> (B, 32, S/4, S/4)."""

    out_channels = WIDTHS[0]
    pixel_mean = (127.5, 127.5, 127.5)
    pixel_std = (127.5, 127.5, 127.5)

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv3x3(3, 64, 2), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = conv3x3(64, 64, 2), nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = residual_stage(Bottleneck, 64, 64, 4)
        stem = 64 * Bottleneck.expansion
        keep = nn.Sequential(
            conv3x3(stem, WIDTHS[0]), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)
        )
        # Published keys nest the convolution that opens a coarser branch one level deeper.
        opened = [nn.Sequential(_downsample(stem, WIDTHS[1]))]
        opened += [nn.Sequential(_downsample(WIDTHS[i - 1], WIDTHS[i])) for i in (2, 3)]
        self.transition1 = nn.ModuleList([keep, opened[0]])
        self.transition2 = nn.ModuleList([None, None, opened[1]])
        self.transition3 = nn.ModuleList([None, None, None, opened[2]])
        self.stage2, self.stage3, self.stage4 = (
            self._make_stage(stage) for stage in range(len(MODULES_PER_STAGE))
        )

    @staticmethod
    def _make_stage(stage: int) -> nn.Sequential:
        widths = WIDTHS[: stage + 2]
        count = MODULES_PER_STAGE[stage]
        last = stage == len(MODULES_PER_STAGE) - 1
        outputs = [len(widths)] * (count - 1) + [1 if last else len(widths)]
        return nn.Sequential(*(ExchangeModule(widths, out) for out in outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Features of normalised images.

        Args:
            x: (B, 3, S, S), S a multiple of 32.

        Returns:
            (B, 32, S/4, S/4).
        """
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)
        branches = self.stage2([layer(x) for layer in self.transition1])
        branches = self.stage3([*branches, self.transition2[-1](branches[-1])])
        return self.stage4([*branches, self.transition3[-1](branches[-1])])[0]
