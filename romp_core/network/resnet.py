"""ResNet backbones with transposed convolutions back to a quarter of the input size."""

from collections.abc import Sequence

from torch import Tensor, nn

from romp_core.network.blocks import BasicBlock, Bottleneck, residual_stage

STAGE_PLANES = (64, 128, 256, 512)
DECONVOLUTION_CHANNELS = (256, 128, 64)


class ResNet(nn.Module):
    """ResNet followed by three transposed convolutions: (B, 3, S, S) -> (B, 64, S/4, S/4).

    Args:
        block: BasicBlock or Bottleneck.
        blocks: number of blocks in each of the four stages.
        lateral: add 1x1 projections of the first three stages to the transposed
            convolutions' outputs, as a feature pyramid does. The published networks have none.
    """

    out_channels = DECONVOLUTION_CHANNELS[-1]
    # ImageNet's, on a scale of 0..255.
    pixel_mean = (123.675, 116.28, 103.53)
    pixel_std = (58.395, 57.12, 57.375)

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: Sequence[int],
        *,
        lateral: bool = False,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [planes * block.expansion for planes in STAGE_PLANES]
        self.layer1 = residual_stage(block, 64, STAGE_PLANES[0], blocks[0])
        self.layer2 = residual_stage(block, widths[0], STAGE_PLANES[1], blocks[1], 2)
        self.layer3 = residual_stage(block, widths[1], STAGE_PLANES[2], blocks[2], 2)
        self.layer4 = residual_stage(block, widths[2], STAGE_PLANES[3], blocks[3], 2)
        inputs = (widths[3], *DECONVOLUTION_CHANNELS[:-1])
        layers: list[nn.Module] = []
        for in_channels, out_channels in zip(inputs, DECONVOLUTION_CHANNELS, strict=True):
            layers += [
                nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            ]
        self.deconv_layers = nn.Sequential(*layers)
        if lateral:
            self.lateral_layers = nn.ModuleList(
                nn.Conv2d(width, out_channels, 1)
                for width, out_channels in zip(widths[2::-1], DECONVOLUTION_CHANNELS, strict=True)
            )
        else:
            self.lateral_layers = None

    def forward(self, x: Tensor) -> Tensor:
        """Features of normalised images.

        Args:
            x: (B, 3, S, S), S a multiple of 32.

        Returns:
            (B, 64, S/4, S/4).
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        stages = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            stages.append(x)
        for level in range(3):
            for layer in self.deconv_layers[3 * level : 3 * level + 3]:
                x = layer(x)
            if self.lateral_layers is not None:
                x = x + self.lateral_layers[level](stages[2 - level])
        return x


def resnet50() -> ResNet:
    """The published ResNet-50 backbone."""
    return ResNet(Bottleneck, (3, 4, 6, 3))


def resnet18() -> ResNet:
    """A light backbone for small robots: ResNet-18 with lateral connections."""
    return ResNet(BasicBlock, (2, 2, 2, 2), lateral=True)
