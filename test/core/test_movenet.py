"""MoveNet's weights as a start: read from files of its form, refused where they are none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from romp_core.errors import CheckpointError
from romp_core.network.mobilenet import MobileNetPyramid
from romp_core.training import movenet
from romp_core.training.movenet import load_movenet


def write_tensorflow_js(path: Path, backbone: MobileNetPyramid, drop: str = "") -> None:
    """A file of MoveNet's form with the backbone's weights, as `load_movenet` reads them."""
    recorded: dict[str, np.ndarray] = {}

    class Recorder(dict):
        def __getitem__(self, name):
            return name

    def record(layer, weight, bias=None):
        order = (2, 3, 0, 1) if layer.groups > 1 else (2, 3, 1, 0)
        recorded[weight] = layer.weight.detach().permute(*order).numpy()
        if bias is not None:
            recorded[bias] = layer.bias.detach().numpy()

    original, movenet._assign = movenet._assign, record
    try:
        movenet._load_trunk(backbone, Recorder())
        movenet._load_pyramid(backbone, Recorder())
    finally:
        movenet._assign = original
    entries = [
        {
            "name": name,
            "shape": list(value.shape),
            "dtype": "float32",
            "quantization": {"dtype": "float16", "original_dtype": "float32"},
        }
        for name, value in recorded.items()
        if name != drop
    ]
    content = b"".join(
        value.astype(np.float16).tobytes() for name, value in recorded.items() if name != drop
    )
    path.with_suffix(".bin").write_bytes(content)
    manifest = [{"paths": [path.with_suffix(".bin").name], "weights": entries}]
    path.write_text(json.dumps({"weightsManifest": manifest}))


def test_movenet_files_fill_the_backbone(tmp_path):
    torch.manual_seed(1)
    original, loaded = MobileNetPyramid(), MobileNetPyramid()
    write_tensorflow_js(tmp_path / "model.json", original)
    load_movenet(loaded, tmp_path / "model.json")
    for (name, value), other in zip(original.named_parameters(), loaded.parameters(), strict=True):
        if not name.startswith(("wide_", "correction")):
            torch.testing.assert_close(other, value, atol=2e-3, rtol=2e-3, msg=name)
    assert not any(values.any() for values in loaded.correction[-1].parameters())


def test_movenet_files_that_are_none_are_named(tmp_path):
    path = tmp_path / "model.json"
    write_tensorflow_js(
        path,
        MobileNetPyramid(),
        drop="StatefulPartitionedCall/center_0/conv2d_4/BiasAdd/ReadVariableOp",
    )
    with pytest.raises(CheckpointError, match=r"it lacks .*center_0"):
        load_movenet(MobileNetPyramid(), path)
    path.write_text("{}")
    with pytest.raises(CheckpointError, match="no readable"):
        load_movenet(MobileNetPyramid(), path)
    with pytest.raises(FileNotFoundError):
        load_movenet(MobileNetPyramid(), tmp_path / "missing.json")
