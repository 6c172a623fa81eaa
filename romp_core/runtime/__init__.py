"""What runs a network: PyTorch, convolutions of our own, CUDA graphs, ONNX Runtime or OpenVINO."""

from romp_core.runtime.dense import DenseMaps, Runtime
from romp_core.runtime.selection import PRECISIONS, RUNTIMES, choices, start_runtime

__all__ = [
    "PRECISIONS",
    "RUNTIMES",
    "DenseMaps",
    "Runtime",
    "choices",
    "start_runtime",
]
