"""ONNX Runtime: on any processor; on NVIDIA GPUs by TensorRT or CUDA."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from romp_core.errors import ConfigError
from romp_core.kept import Kept
from romp_core.network import RompNetwork
from romp_core.runtime.dense import KEPT_SHAPES, DenseMaps
from romp_core.runtime.onnx_export import DENSE_INPUT, dense_to_onnx


class OnnxRuntime:
    """The network in an ONNX Runtime session whose inputs and outputs are torch's memory.

    Args:
        network: what is run; copied.
        device: the CPU, or a GPU that ONNX Runtime was built for.
        precision: "float32", or "float16" with TensorRT.

    Raises:
        ConfigError: this ONNX Runtime cannot use the device.
    """

    name = "onnxruntime"

    def __init__(self, network: RompNetwork, device: torch.device, precision: str):
        import onnxruntime

        self.precision = precision
        self._device = device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(
            dense_to_onnx(network),
            options,
            providers=_providers(device, precision, onnxruntime.get_available_providers()),
        )
        self._outputs: Kept[DenseMaps] = Kept(KEPT_SHAPES)

    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        outputs = self._outputs.get(squares.shape, lambda: self._allocate(squares.shape))
        binding = self._session.io_binding()
        squares = squares.contiguous()
        binding.bind_input(DENSE_INPUT, *self._memory(squares))
        for name, output in outputs._asdict().items():
            binding.bind_output(name, *self._memory(output))
        if self._device.type == "cuda":  # the session has a stream of its own
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(binding)
        return outputs

    def _allocate(self, shape: torch.Size) -> DenseMaps:
        """Memory for the maps of squares; the model does not tell their sizes, a run does."""
        first = self._session.run(None, {DENSE_INPUT: np.zeros(shape, np.uint8)})
        return DenseMaps(*(torch.empty(maps.shape, device=self._device) for maps in first))

    def _memory(self, tensor: Tensor) -> tuple[Any, ...]:
        """Device, index, type, shape and address, as ONNX Runtime wants them."""
        kind = str(tensor.dtype).removeprefix("torch.")
        shape = list(tensor.shape)
        return self._device.type, self._device.index or 0, kind, shape, tensor.data_ptr()


def _providers(
    device: torch.device, precision: str, available: list[str]
) -> list[str | tuple[str, dict[str, Any]]]:
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    choice = {"device_id": device.index or 0}
    providers = []
    if "TensorrtExecutionProvider" in available:
        half = precision == "float16"
        providers.append(("TensorrtExecutionProvider", {**choice, "trt_fp16_enable": half}))
    if "CUDAExecutionProvider" in available and precision == "float32":
        providers.append(("CUDAExecutionProvider", choice))
    if not providers:
        needed = "TensorRT" if precision == "float16" else "CUDA or TensorRT"
        raise ConfigError(
            f"this ONNX Runtime has {', '.join(available)}, which cannot run {precision} on "
            f"{device}; for {needed} `pip install onnxruntime-gpu` in place of onnxruntime"
        )
    return providers
