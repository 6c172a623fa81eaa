"""The network: images to a body-center heatmap and a mesh-parameter map."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from romp_core.errors import ConfigError
from romp_core.network.evidence import WHOLE, Evidence, Part, read_evidence
from romp_core.network.heads import append_coordinates, make_head
from romp_core.network.hrnet import HRNet
from romp_core.network.lifting import KeypointLifting
from romp_core.network.mobilenet import MobileNetPyramid
from romp_core.network.parameters import (
    CAMERA_CHANNELS,
    PARAMETER_CHANNELS,
    ROTATION_CHANNELS,
    SMPL_CHANNELS,
)
from romp_core.network.refinement import KeypointRefinement
from romp_core.network.resnet import resnet18, resnet50
from romp_core.network.size import SizeEstimate

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "hrnet32": HRNet,
    "resnet50": resnet50,
    "resnet18": resnet18,
    "mobilenet": MobileNetPyramid,
}
"""Backbones by name. Each has `out_channels`, `pixel_mean` and `pixel_std`, perhaps
`delicate_layers` (see `MobileNetPyramid`). Features have a quarter of the input's size."""

SIZE_MULTIPLE = 64


class Maps(NamedTuple):
    """What the network sees in a batch of images.

    Attributes:
        center_map: (B, 1, h, w), about 1 at body centers, 0 elsewhere; limited to 0..1 only
            with `NetworkConfig.center_sigmoid`.
        params_map: (B, 145, h, w), channels: camera (raw scale, tx, ty), 22 rotations in 6D,
            10 betas. The camera's scale is 1.1 ** raw.
    """

    center_map: Tensor
    params_map: Tensor


class Lifted(NamedTuple):
    """People at N cells of each image.

    Attributes:
        params: (B, N, 145).
        certainty: (B, N) 0..1, mean confidence of their keypoints.
    """

    params: Tensor
    certainty: Tensor


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides a network's layers.

    Attributes:
        backbone: a name in `BACKBONES`.
        input_size: side in pixels of the square that inference feeds, a multiple of 64. The
            layers fit any such size.
        map_stride: input pixels per map cell: 8 (the paper's 64x64 maps at 512), 4 or 16.
        head_blocks: residual blocks per head, 1 to 3 (the paper's has 2).
        shared_head: one head for all maps instead of three (the paper's ablation "SH").
        center_sigmoid: squash the center map into 0..1, which trains more steadily; the
            published networks leave it linear.
        lifting: parameters come from the backbone's own 2D keypoints instead of from convolutions
            over the map; `mobilenet` only.
        head_channels: width of the heads (the paper's: 64).
        levels: 2: in the same forward pass the backbone also sees the picture at half its size,
            which shows it near people as it knows them; with `lifting` only.
    """

    backbone: str = "hrnet32"
    input_size: int = 512
    map_stride: int = 8
    head_blocks: int = 2
    shared_head: bool = False
    center_sigmoid: bool = False
    lifting: bool = False
    head_channels: int = 64
    levels: int = 1

    def __post_init__(self):
        if self.backbone not in BACKBONES:
            raise ConfigError(
                f"backbone is {self.backbone!r}; expected one of {', '.join(sorted(BACKBONES))}"
            )
        if self.input_size <= 0 or self.input_size % SIZE_MULTIPLE:
            raise ConfigError(
                f"input_size is {self.input_size}; expected a multiple of {SIZE_MULTIPLE}"
            )
        if self.map_stride not in (4, 8, 16):
            raise ConfigError(f"map_stride is {self.map_stride}; expected 4, 8 or 16")
        if self.lifting and not hasattr(BACKBONES[self.backbone], "evidence_channels"):
            raise ConfigError(f"lifting is true, but {self.backbone} finds no 2D keypoints")
        if self.lifting and self.shared_head:
            raise ConfigError("shared_head is true, but with lifting the only head is the centers'")
        if self.levels not in (1, 2) or (self.levels == 2 and not self.lifting):
            raise ConfigError(f"levels is {self.levels}; expected 1, or 2 with lifting")
        if self.levels == 2 and self.map_stride < 8:
            raise ConfigError(f"map_stride is {self.map_stride}; with two levels expected 8 or 16")
        if self.head_channels < 1:
            raise ConfigError(f"head_channels is {self.head_channels}; expected 1 or more")
        if self.head_blocks not in (1, 2, 3):
            raise ConfigError(f"head_blocks is {self.head_blocks}; expected 1, 2 or 3")


class RompNetwork(nn.Module):
    """ROMP's network (paper, section 3.2), with the published checkpoints' parameter names.

    Args:
        config: the architecture.

    Attributes:
        feature_stride: input pixels per cell of the features.
    """

    feature_stride = 4

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone]()
        features = config.levels * self.backbone.out_channels + 2
        stride = config.map_stride // self.feature_stride

        def head(channels: int) -> nn.Module:
            return make_head(features, channels, stride, config.head_blocks, config.head_channels)

        if config.lifting:
            heads = {"2": head(1)}
        elif config.shared_head:
            heads = {"shared": head(1 + PARAMETER_CHANNELS)}
        else:  # the published names: SMPL parameters, center, camera
            heads = {"1": head(SMPL_CHANNELS), "2": head(1), "3": head(CAMERA_CHANNELS)}
        self.final_layers = nn.ModuleDict(heads)
        self.refinement = self.size = self.lifting = None
        if config.lifting:
            self.refinement = KeypointRefinement(self.backbone.evidence_channels, config.levels)
            self.size = SizeEstimate(self.backbone.evidence_channels, config.levels)
            self.lifting = KeypointLifting()
        for name in ("pixel_mean", "pixel_std"):
            values = torch.tensor(getattr(self.backbone, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        self._initialize()

    def _initialize(self) -> None:
        """Start training from an upright person in rest pose that faces the camera."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, head in self.final_layers.items():
            nn.init.normal_(head[-1].weight, std=1e-3)
            if self.config.center_sigmoid and name in ("2", "shared"):
                head[-1].bias.data[0] = -2.2  # one tenth: nearly all cells are nobody's
            start = {"1": 0, "shared": 1 + CAMERA_CHANNELS}.get(name)
            if start is not None:
                _rest(head[-1].bias.data[start:])
        if self.lifting is not None:
            _rest(self.lifting.output.bias.data[CAMERA_CHANNELS:])

    def features(self, images: Tensor, side: int | None = None) -> Tensor:
        """What the maps are made of.

        Args:
            images: as in `forward`.
            side: of the squares in pixels, if the images are but the middle of them.

        Returns:
            (B, C, H/4, W/4), coordinates last; before them, with two levels, those of the picture
            at half its size, each cell four times.
        """
        return self.joined(self.pyramids(images), side)

    def pyramids(self, images: Tensor) -> list[Tensor]:
        """The backbone's features of images as in `forward`: (B, C, H/4, W/4) and, with two
        levels, (B, C, H/8, W/8) of the picture at half its size."""
        images = (images - self.pixel_mean) / self.pixel_std
        pictures = [images, avg_pool2d(images, 2)][: self.config.levels]
        return [self.backbone(picture) for picture in pictures]

    def joined(self, pyramids: list[Tensor], side: int | None = None) -> Tensor:
        """What `features` gives, of what `pyramids` gives."""
        enlarged = [interpolate(half, scale_factor=2.0) for half in pyramids[1:]]
        features = torch.cat([pyramids[0], *enlarged], 1) if enlarged else pyramids[0]
        return append_coordinates(features, side and side // self.feature_stride)

    def levels(self, features: Tensor) -> list[Tensor]:
        """What `pyramids` gives, of what `features` gives."""
        channels = self.backbone.out_channels
        return [
            features[:, number * channels : (number + 1) * channels, :: 1 << number, :: 1 << number]
            for number in range(self.config.levels)
        ]

    def maps(self, features: Tensor) -> Maps:
        """Maps of features."""
        if self.config.shared_head:
            maps = self.final_layers["shared"](features)
            return Maps(self._squash(maps[:, :1]), maps[:, 1:])
        center = self.center_map(features)
        if self.lifting is None:
            params = torch.cat([self.final_layers[name](features) for name in "31"], 1)
        else:
            params = self.lift(features).params.unflatten(1, center.shape[2:])
            params = params.permute(0, 3, 1, 2)
        return Maps(center, params)

    def center_map(self, features: Tensor) -> Tensor:
        """(B, 1, h, w) of features, by the centers' own head."""
        return self._squash(self.final_layers["2"](features))

    def lift(self, features: Tensor, cells: Tensor | None = None, part: Part = WHOLE) -> Lifted:
        """People at some or all cells; networks with `lifting` only.

        Args:
            features: (B, C, H/4, W/4).
            cells: (B, N) int64, flat numbers of cells; None for all of them.
            part: of the squares that the features show.
        """
        levels = self.levels(features)
        refined = self.refinement(levels, self.evidence(levels, cells, part), part)
        refined = self.size(levels, refined, part)
        return Lifted(self.lifting(refined), refined.confidence.mean(-1))

    def evidence(
        self, levels: list[Tensor], cells: Tensor | None = None, part: Part = WHOLE
    ) -> Evidence:
        """Where the people at cells have their keypoints, before the refinement; see above."""
        stride = self.config.map_stride // self.feature_stride
        return read_evidence(levels, self.backbone.evidence_channels, stride, cells, part)

    def _squash(self, center: Tensor) -> Tensor:
        if not self.config.center_sigmoid:
            return center
        if torch.is_autocast_enabled(center.device.type):
            center = center.float()  # bfloat16 rounds to 1, where no gradient is, what is above 6.2
        return center.sigmoid()

    def forward(self, images: Tensor) -> Maps:
        """Maps of a batch of images.

        Args:
            images: (B, 3, H, W) floating point, RGB, 0..255, H and W multiples of 64.

        Returns:
            `Maps` with h = H / map_stride and w = W / map_stride.

        Raises:
            ValueError: another shape.
        """
        if (
            images.ndim != 4
            or images.shape[1] != 3
            or any(size == 0 or size % SIZE_MULTIPLE for size in images.shape[2:])
        ):
            raise ValueError(
                f"images have shape {tuple(images.shape)}; expected (B, 3, S, S) "
                f"with S a multiple of {SIZE_MULTIPLE}"
            )
        return self.maps(self.features(images))


def _rest(bias: Tensor) -> None:
    """Write the 6D rotations of the resting pose to where a bias of rotations begins."""
    identity = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(22)
    identity[3] = -1  # the optical frame's y points down: half a turn about x
    bias[:ROTATION_CHANNELS] = identity


def build_network(config: NetworkConfig) -> RompNetwork:
    """A network with random weights, in evaluation mode."""
    return RompNetwork(config).eval()
