"""Convolutions of the compiled module (src/convolution.c): float32 maps with channels last."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from romp_core import compiled
from romp_core.network import RompNetwork

MOST_THREADS = 256
"""So many at most share a convolution."""

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


def lanes() -> int:
    """Floats in the registers that convolutions use here; 0 where nothing was compiled."""
    return compiled.library.convolution_lanes()[0] if compiled.library else 0


def are_fast() -> bool:
    """Whether convolutions are made for this processor, and use all of torch's threads."""
    several = compiled.library is not None and torch.get_num_threads() > 1
    return lanes() > _PLAIN_LANES and (not several or compiled.library.has_team())


def multiplies_bfloat16() -> bool:
    """Whether factors can be bfloat16 here."""
    return compiled.library is not None and compiled.library.multiplies_bfloat16()


def is_possible(layer: nn.Module | None) -> bool:
    """Whether a layer is a convolution that the compiled module does."""
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros":
        return False
    window, stride = layer.kernel_size[0], layer.stride[0]
    return (
        layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.kernel_size == (window, window)
        and window % 2 == 1
        and layer.stride == (stride, stride)
        and layer.padding == (window // 2, window // 2)
    )


def is_winograd(layer: nn.Module, width: int = 16) -> bool:
    """Whether a layer is computed by Winograd's minimal filtering.

    Args:
        layer: any.
        width: floats of a register; numbers of channels must be multiples of it.
    """
    return (
        is_possible(layer)
        and layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.in_channels % width == 0
        and layer.out_channels % width == 0
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
        precision: of the factors, "float32" or "bfloat16", which few inputs never are: colours are
            exact, and with up to 32 of them Winograd's larger tiles save more. Sums are float32.
        relu: limit the result to positive numbers, after all else.
        scale: repeat each cell so many times in both directions.
        width: floats of a register.
    """

    def __init__(self, layer: nn.Conv2d, precision: str, relu: bool, scale: int, width: int):
        self.winograd = is_winograd(layer, width) and scale == 1
        few = layer.in_channels % 2 or (self.winograd and layer.in_channels <= 32)
        precision = "float32" if few else precision
        self.precision, self.relu, self.scale, self.width = precision, relu, scale, width
        self.outputs, self.inputs, self.window, _ = layer.weight.shape
        self.stride = layer.stride[0]
        weight = layer.weight.detach()
        if self.winograd:
            transform = torch.tensor(_TRANSFORMS[precision], dtype=torch.float64)
            weight = torch.einsum("ai,bj,ocij->ocab", transform, transform, weight.double())
        self.weights = _packed(weight.flatten(2), precision, width)
        self.bias = np.zeros(len(self.weights) * 2 * width, np.float32)
        if layer.bias is not None:
            self.bias[: self.outputs] = layer.bias.detach().numpy()

    def shape(self, image: Tensor) -> tuple[int, int, int, int]:
        """Of the result, (B, H', W', C'), for maps (B, H, W, C)."""
        batch, height, width, _ = image.shape
        rows, columns = (((side - 1) // self.stride + 1) * self.scale for side in (height, width))
        return batch, rows, columns, self.outputs

    def room(self, image: Tensor, threads: int) -> int:
        """Floats that `call` needs beside maps."""
        return compiled.library.convolution_room(*self._sizes(image, threads))

    def call(
        self, image: Tensor, shortcut: Tensor | None, result: Tensor, room: Tensor, threads: int
    ) -> Callable[[], None]:
        """What fills the result each time that it is called.

        Args:
            image: (B, H, W, C) contiguous float32.
            shortcut: added; of the result's shape, perhaps the result itself.
            result: (B, H', W', C') contiguous float32, see `shape`.
            room: (N,) float32, as many as `room` says or more, from a line of the caches on.
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
            room.numpy(),
        )

    def _sizes(self, image: Tensor, threads: int) -> tuple:
        layer = (self.outputs, self.window, self.stride, self.scale)
        kind = (self.winograd, self.precision == "bfloat16", self.width)
        return (threads, *image.shape, *layer, *kind)


def _packed(weight: Tensor, precision: str, width: int) -> np.ndarray:
    """Weights (out, in, T) as the compiled module reads them.

    Returns:
        (panels, T, in, 2 width) float32, outputs filled up with zeros, or, bfloat16 in pairs of
        inputs, (panels, T, in / 2, 2 width, 2) as uint16.
    """
    outputs, inputs, taps = weight.shape
    panels = -(-outputs // (2 * width))
    packed = weight.new_zeros(panels * 2 * width, inputs, taps)
    packed[:outputs] = weight
    packed = packed.unflatten(0, (panels, 2 * width)).permute(0, 3, 2, 1)
    if precision == "float32":
        return packed.float().contiguous().numpy()
    pairs = packed.unflatten(2, (inputs // 2, 2)).transpose(3, 4).bfloat16().contiguous()
    return pairs.view(torch.int16).numpy().view(np.uint16)
