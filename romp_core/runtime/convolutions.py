"""Convolutions of the compiled module (src/convolution.c): float32 maps with channels last."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from romp_core import compiled
from romp_core.network import RompNetwork

_LEAST = 64  # pixels of an image that all networks take
_PLAIN_LANES = 4  # what is compiled for any processor, and was not measured on its own ground

# G of F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3): Lavin and Gray, Fast Algorithms for Convolutional
# Neural Networks, CVPR 2016. Smaller tiles make less of the rounding to bfloat16.
_TRANSFORMS = {
    "float32": [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    "bfloat16": [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
}


def best_lanes() -> int:
    """Floats in the registers that convolutions use here; 0 where nothing was compiled."""
    return compiled.library.convolution_lanes()[0] if compiled.library else 0


def are_fast() -> bool:
    """Whether convolutions are made for this processor, and use all of torch's threads."""
    if best_lanes() <= _PLAIN_LANES:
        return False
    return torch.get_num_threads() == 1 or compiled.library.has_team()


def has_avx512_bf16() -> bool:
    """Whether factors can be bfloat16 here."""
    return compiled.library is not None and compiled.library.has_avx512_bf16()


def is_possible(layer: nn.Module | None) -> bool:
    """Whether a layer is a convolution that the compiled module does."""
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros":
        return False
    size, stride = layer.kernel_size[0], layer.stride[0]
    return (
        layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.kernel_size == (size, size)
        and size % 2 == 1
        and layer.stride == (stride, stride)
        and layer.padding == (size // 2, size // 2)
    )


def is_winograd(layer: nn.Module, lanes: int = 16) -> bool:
    """Whether a layer is computed by Winograd's minimal filtering.

    Args:
        layer: any.
        lanes: floats of a register; numbers of channels must be multiples of it.
    """
    return (
        is_possible(layer)
        and layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.in_channels % lanes == 0
        and layer.out_channels % lanes == 0
    )


def winograd_share(network: RompNetwork) -> float:
    """Share of the multiplications of a network's convolutions that Winograd's filtering saves
    most of, 0 to 1."""
    counts = {True: 0, False: 0}

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        cells = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        counts[is_winograd(layer)] += cells[:, 0].numel() * layer.weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    try:
        with torch.inference_mode():
            features = network.features(network.pixel_mean.expand(1, 3, _LEAST, _LEAST))
            for head in network.final_layers.values():
                head(features)
    finally:
        for hook in hooks:
            hook.remove()
    return counts[True] / sum(counts.values())


class Convolution:
    """A convolution, and what is done with each of its cells before they leave the registers.

    Args:
        layer: one that `is_possible`; its weights are copied.
        precision: of the factors, "float32" or "bfloat16". An odd number of inputs (colours) is
            float32 in any case, and up to 32 by Winograd's filtering, whose larger tiles then save
            more than bfloat16 does. Sums are float32.
        relu: limit the result to positive numbers, after all else.
        scale: repeat each cell so many times in both directions.
        lanes: floats of a register.
    """

    def __init__(self, layer: nn.Conv2d, precision: str, relu: bool, scale: int, lanes: int):
        self.winograd = is_winograd(layer, lanes) and scale == 1
        if layer.in_channels % 2 or (self.winograd and layer.in_channels <= 32):
            precision = "float32"
        self.precision, self.relu, self.scale, self.lanes = precision, relu, scale, lanes
        self.outputs, self.inputs, self.kernel_size, _ = layer.weight.shape
        self.stride = layer.stride[0]
        weight = layer.weight.detach()
        if self.winograd:
            transform = torch.tensor(_TRANSFORMS[precision], dtype=torch.float64)
            weight = torch.einsum("ai,bj,ocij->ocab", transform, transform, weight.double())
        self.weights = _packed(weight.flatten(2), precision, lanes)
        self.bias = np.zeros(len(self.weights) * 2 * lanes, np.float32)
        if layer.bias is not None:
            self.bias[: self.outputs] = layer.bias.detach().numpy()

    def shape(self, image: Tensor) -> tuple[int, int, int, int]:
        """Of the result, (B, H', W', C'), for maps (B, H, W, C)."""
        batch, height, width, _ = image.shape
        rows, columns = (((side - 1) // self.stride + 1) * self.scale for side in (height, width))
        return batch, rows, columns, self.outputs

    def workspace(self, image: Tensor, threads: int) -> int:
        """Floats that `call` needs beside maps."""
        return compiled.library.convolution_workspace(*self._sizes(image, threads))

    def call(
        self,
        image: Tensor,
        shortcut: Tensor | None,
        result: Tensor,
        workspace: Tensor,
        threads: int,
    ) -> Callable[[], None]:
        """What fills the result each time that it is called.

        Args:
            image: (B, H, W, C) contiguous float32.
            shortcut: added; of the result's shape, perhaps the result itself.
            result: (B, H', W', C') contiguous float32, see `shape`.
            workspace: (N,) float32, as many as `workspace` says or more, from a line of the caches
                on.
            threads: how many share the work.
        """
        return partial(
            compiled.library.convolve,
            self._sizes(image, threads),
            self.relu,
            image.numpy(),
            self.weights,
            self.bias,
            None if shortcut is None else shortcut.numpy(),
            result.numpy(),
            workspace.numpy(),
        )

    def _sizes(self, image: Tensor, threads: int) -> tuple:
        layer = (self.outputs, self.kernel_size, self.stride, self.scale)
        kind = (self.winograd, self.precision == "bfloat16", self.lanes)
        return (threads, *image.shape, *layer, *kind)


def _packed(weight: Tensor, precision: str, lanes: int) -> np.ndarray:
    """Weights (out, in, T) as the compiled module reads them.

    Returns:
        (panels, T, in, 2 lanes) float32, outputs filled up with zeros, or, bfloat16 in pairs of
        inputs, (panels, T, in / 2, 2 lanes, 2) as uint16.
    """
    outputs, inputs, taps = weight.shape
    panels = -(-outputs // (2 * lanes))
    packed = weight.new_zeros(panels * 2 * lanes, inputs, taps)
    packed[:outputs] = weight
    packed = packed.unflatten(0, (panels, 2 * lanes)).permute(0, 3, 2, 1)
    if precision == "float32":
        return packed.float().contiguous().numpy()
    pairs = packed.unflatten(2, (inputs // 2, 2)).transpose(3, 4).bfloat16().contiguous()
    return pairs.view(torch.int16).numpy().view(np.uint16)
