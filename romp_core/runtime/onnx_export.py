"""Networks as ONNX models."""

import io
import warnings

import torch
from torch import Tensor, nn

from romp_core.network import RompNetwork
from romp_core.runtime.dense import DenseMaps, DenseNetwork

OPSET = 17
DENSE_INPUT = "squares"
_EXAMPLE_BATCH = 2  # with 1 the exporter takes some sizes for constants


def dense_to_onnx(network: RompNetwork, height: int, width: int) -> bytes:
    """The dense part of a network: "squares" in, the fields of `DenseMaps` out, float32.

    Args:
        network: what is exported.
        height, width: of the squares, or of the middle of them that comes in.
    """
    squares = torch.zeros((_EXAMPLE_BATCH, height, width, 3), dtype=torch.uint8)
    return to_onnx(DenseNetwork(network), squares, DENSE_INPUT, DenseMaps._fields)


def to_onnx(
    module: nn.Module, example: Tensor, input_name: str, output_names: tuple[str, ...]
) -> bytes:
    """An ONNX model whose batch size is free.

    Args:
        module: in evaluation mode, on the CPU; one tensor in, a tuple of tensors out.
        example: an input.
        input_name, output_names: what the model calls them.
    """
    stored = io.BytesIO()
    names = [input_name, *output_names]
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter warns that shape checks become constants, and that its successor, which
        # needs two more packages, will replace it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            stored,
            dynamo=False,
            opset_version=OPSET,
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return stored.getvalue()
