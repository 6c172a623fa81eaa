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


def dense_to_onnx(network: RompNetwork) -> bytes:
    """The dense part of a network: "squares" in, the fields of `DenseMaps` out, float32.

    Where a runtime may be given the middle of squares, height and width are free too.
    """
    side = network.config.input_size
    squares = torch.zeros((_EXAMPLE_BATCH, side, side, 3), dtype=torch.uint8)
    free = {name: {0: "batch"} for name in (DENSE_INPUT, *DenseMaps._fields)}
    if network.config.lifting:
        free[DENSE_INPUT] = {0: "batch", 1: "height", 2: "width"}
        for name in DenseMaps._fields:
            free[name] = {0: "batch", 2: f"{name}_height", 3: f"{name}_width"}
    return to_onnx(DenseNetwork(network), squares, free)


def to_onnx(module: nn.Module, example: Tensor, free: dict[str, dict[int, str]]) -> bytes:
    """An ONNX model some of whose sizes are free.

    Args:
        module: in evaluation mode, on the CPU; one tensor in, a tuple of tensors out.
        example: an input.
        free: by what the model calls its input and its outputs, in this order, which dimensions
            may have any size.
    """
    stored = io.BytesIO()
    input_name, *output_names = free
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
            output_names=output_names,
            dynamic_axes=free,
        )
    return stored.getvalue()
