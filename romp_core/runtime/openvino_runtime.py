"""OpenVINO: the fastest on x86 processors, above all on those that multiply bfloat16."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from romp_core.network import RompNetwork
from romp_core.runtime.dense import DenseMaps
from romp_core.runtime.onnx_export import dense_to_onnx

if TYPE_CHECKING:
    from openvino import InferRequest


class OpenVinoRuntime:
    """The network compiled by OpenVINO for the CPU, once for each batch size that comes.

    Args:
        network: what is run; copied.
        precision: "float32" or "bfloat16".
    """

    name = "openvino"

    def __init__(self, network: RompNetwork, precision: str):
        import openvino

        self.precision = precision
        self._core = openvino.Core()
        self._model = self._core.read_model(dense_to_onnx(network))
        self._options = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._requests: dict[int, InferRequest] = {}

    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        batch = len(squares)
        if batch not in self._requests:
            self._requests[batch] = self._compile(squares.shape)
        request = self._requests[batch]
        # Shared memory on both sides: nothing is copied, nothing allocated.
        request.infer([squares.numpy()], share_inputs=True, share_outputs=True)
        outputs = (request.get_output_tensor(index).data for index in range(2))
        return DenseMaps(*(torch.from_numpy(np.asarray(maps)) for maps in outputs))

    def _compile(self, shape: torch.Size) -> "InferRequest":
        # Fixed shapes run a third faster than a free batch size.
        model = self._model.clone()
        model.reshape(list(shape))
        return self._core.compile_model(model, "CPU", self._options).create_infer_request()
