"""OpenVINO: the fastest on x86 processors, above all on those that multiply bfloat16."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from romp_core.errors import ConfigError
from romp_core.kept import Kept
from romp_core.network import RompNetwork
from romp_core.runtime.dense import KEPT_SHAPES, DenseMaps
from romp_core.runtime.onnx_export import dense_to_onnx

if TYPE_CHECKING:
    from openvino import InferRequest, Model

_SOURCE = DenseMaps._fields.index("source")
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime:
    """The network compiled by OpenVINO for the CPU, once for each of the last shapes that came.

    Args:
        network: what is run; copied.
        precision: "float32", or "bfloat16" for all but `delicate_layers` of the backbone.
    """

    name = "openvino"

    def __init__(self, network: RompNetwork, precision: str):
        import openvino

        self.precision = precision
        self._core = openvino.Core()
        self._model = _channels_last(
            self._core.read_model(dense_to_onnx(network)), outputs=[_SOURCE]
        )
        delicate = getattr(network.backbone, "delicate_layers", ())
        self._delicate = delicate if precision == "bfloat16" else ()
        self._requests: Kept[list[InferRequest]] = Kept(KEPT_SHAPES)

    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        requests = self._requests.get(squares.shape, lambda: self._compile(squares.shape))
        # Shared memory on all sides: nothing is copied, nothing allocated.
        inputs = [squares.contiguous().numpy()]
        for request in requests:
            request.infer(inputs, share_inputs=True, share_outputs=True)
            inputs = None
        outputs = (request.get_output_tensor(index).data for index in range(2))
        center_map, source = (torch.from_numpy(np.asarray(maps)) for maps in outputs)
        return DenseMaps(center_map, source.permute(0, 3, 1, 2))

    def _compile(self, shape: torch.Size) -> "list[InferRequest]":
        """What runs one after the other, each reading what the one before it has written."""
        from openvino import passes

        # Fixed shapes run a third faster than a free batch size. Biases become constants only by
        # folding, and are then added within the convolutions.
        model = self._model.clone()
        model.reshape(list(shape))
        manager = passes.Manager()
        manager.register_pass(passes.ConstantFolding())
        manager.run_passes(model)
        if not self._delicate:
            return [self._request(model, self.precision)]
        first, second = _split(model, self._delicate)
        requests = [self._request(first, "float32"), self._request(second, self.precision)]
        for index in range(len(second.inputs)):
            requests[1].set_input_tensor(index, requests[0].get_output_tensor(index))
        return requests

    def _request(self, model: "Model", precision: str) -> "InferRequest":
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        return self._core.compile_model(model, "CPU", options).create_infer_request()


def _channels_last(
    model: "Model", inputs: Sequence[int] = (), outputs: Sequence[int] = ()
) -> "Model":
    """The model with the channels of a place together in some maps, as OpenVINO keeps them."""
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    wrapped = PrePostProcessor(model)
    for port in [*map(wrapped.input, inputs), *map(wrapped.output, outputs)]:
        port.model().set_layout(Layout("NCHW"))
        port.tensor().set_layout(Layout("NHWC"))
    return wrapped.build()


def _split(model: "Model", layers: Sequence[str]) -> "tuple[Model, Model]":
    """Cut a model in two behind some layers of the backbone. It is used up.

    Args:
        model: of a `DenseNetwork`.
        layers: the backbone's names of them.

    Returns:
        The layers with all that they need; what is left, with an input per output of the first.

    Raises:
        ConfigError: the model has no such layers.
    """
    import openvino
    from openvino import opset13

    first = [
        operation
        for operation in model.get_ordered_ops()
        if any(f"/backbone.1/{layer}/" in operation.get_friendly_name() for layer in layers)
    ]
    if not first:
        raise ConfigError(f"the network has no layers {', '.join(layers)} to keep in float32")
    names = set()
    while first:
        operation = first.pop()
        if operation.get_friendly_name() not in names:
            names.add(operation.get_friendly_name())
            first += [source.get_source_output().get_node() for source in operation.inputs()]
    outputs, inputs = [], []
    for operation in model.get_ordered_ops():
        if operation.get_friendly_name() not in names or operation.get_type_name() == "Constant":
            continue
        for output in operation.outputs():
            readers = [
                reader
                for reader in output.get_target_inputs()
                if reader.get_node().get_friendly_name() not in names
            ]
            if readers:
                parameter = opset13.parameter(output.get_shape(), output.get_element_type())
                outputs.append(output)
                inputs.append(parameter)
                for reader in readers:
                    reader.replace_source_output(parameter.output(0))
    cuts = range(len(inputs))
    return (
        _channels_last(openvino.Model(outputs, model.get_parameters(), "first"), outputs=cuts),
        _channels_last(openvino.Model(model.get_results(), inputs, "second"), inputs=cuts),
    )
