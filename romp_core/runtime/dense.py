"""The part of a network that runtimes run: convolutions over whole pictures.

What is left, reading the parameters of the people found, costs little, depends on how many there
are, and stays in PyTorch and float32.
"""

import copy
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from romp_core.network import RompNetwork

KEPT_SHAPES = 8
"""For so many shapes of batches a runtime keeps what it prepared: some 100 MiB each for one or two
images, 400 to 800 for `compiled`."""


class DenseMaps(NamedTuple):
    """What convolutions see in a batch of squares.

    Attributes:
        center_map: (B, 1, h, w) float32.
        source: what parameters are read from, float32: `Maps.params_map` (B, 145, h, w), or with
            `NetworkConfig.lifting` the features (B, C, H, W) for `RompNetwork.lift`.
    """

    center_map: Tensor
    source: Tensor


class Runtime(Protocol):
    """Runs the dense part of one network.

    Attributes:
        name: one of `RUNTIMES`.
        precision: one of `PRECISIONS`, of the convolutions.
    """

    name: str
    precision: str

    def __call__(self, squares: Tensor) -> DenseMaps:
        """Maps of a batch of squares; for one thread at a time.

        Args:
            squares: (B, S, S, 3) uint8 RGB, S the network's input size; on the runtime's device.
                With `NetworkConfig.lifting` also (B, H, W, 3), the middle of squares, H and W
                multiples of 64: maps are then of that part.

        Returns:
            `DenseMaps` on the same device. They may live in the runtime's own memory: the next
            call overwrites them.
        """


class DenseNetwork(nn.Module):
    """A copy of the dense part, made for inference: batch norms folded, convolutions in `dtype`.

    Pixels are normalised in float32, whatever the dtype.

    Args:
        network: what is copied; later changes of its weights do not arrive here.
        dtype: of the convolutions.
    """

    def __init__(self, network: RompNetwork, dtype: torch.dtype = torch.float32):
        super().__init__()
        network = copy.deepcopy(network).eval().requires_grad_(False)
        fold_batch_norms(network)
        network.backbone = nn.Sequential(_Cast(dtype), network.backbone.to(dtype))
        network.final_layers.to(dtype)
        self.lifts = network.lifting is not None
        network.refinement = network.size = network.lifting = None
        self.network = network

    def forward(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """The fields of `DenseMaps` in the module's dtype; `squares` as for a `Runtime`."""
        side = self.network.config.input_size
        features = self.network.features(squares.permute(0, 3, 1, 2).float(), side)
        if self.lifts:
            return self.network.center_map(features), features
        return tuple(self.network.maps(features))


class _Cast(nn.Module):
    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


def fold_batch_norms(module: nn.Module) -> None:
    """Multiply batch norms into the convolutions before them, in place.

    A batch norm belongs to the convolution after which its module was registered, as in all
    networks of this package.
    """
    for parent in list(module.modules()):
        for (name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(
                norm, nn.BatchNorm2d
            ):
                transposed = isinstance(conv, nn.ConvTranspose2d)
                setattr(parent, name, fuse_conv_bn_eval(conv, norm, transposed))
                setattr(parent, norm_name, nn.Identity())
