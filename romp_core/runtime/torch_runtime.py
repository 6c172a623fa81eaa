"""PyTorch itself, with the network laid out for inference."""

import torch
from torch import Tensor

from romp_core.network import RompNetwork
from romp_core.runtime.dense import DenseMaps, DenseNetwork


class TorchRuntime:
    """Channels-last convolutions with folded batch norms, in any precision.

    Args:
        network: what is run; copied.
        device: where.
        precision: "float32", "bfloat16" or "float16".
        name: "torch", or "cuda-graph" where it is to be recorded.
    """

    def __init__(
        self, network: RompNetwork, device: torch.device, precision: str, name: str = "torch"
    ):
        self.name = name
        self.precision = precision
        dense = DenseNetwork(network, getattr(torch, precision))
        self._dense = dense.to(device, memory_format=torch.channels_last)

    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        return DenseMaps(*(maps.float() for maps in self._dense(squares)))
