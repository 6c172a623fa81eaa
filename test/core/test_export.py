"""`romp-core export`: files that answer as PyTorch does, and refusal of those that do not."""

import importlib.util

import numpy as np
import pytest
import torch
from random_network import make_network

from romp_core.checkpoints import write_checkpoint
from romp_core.cli import main
from romp_core.errors import ExportError
from romp_core.network import NetworkConfig
from romp_core.runtime import export as module
from romp_core.runtime.export import export_network

CONFIGS = {
    "maps": NetworkConfig("resnet18", input_size=64),
    "lifting": NetworkConfig(
        "mobilenet", input_size=64, center_sigmoid=True, lifting=True, levels=2
    ),
}


def network_of(kind: str):
    if kind == "maps":
        return make_network(CONFIGS[kind])
    torch.manual_seed(0)
    network = type(make_network(CONFIGS["maps"]))(CONFIGS[kind]).eval()
    with torch.no_grad():
        network.lifting.output.weight.normal_(0, 0.1)
    return network


def run_file(path, images: np.ndarray) -> list[np.ndarray]:
    if path.suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(["center_map", "params_map"], {"images": images})
    compiled = pytest.importorskip("openvino").Core().compile_model(path, "CPU")
    return [compiled([images])[name] for name in ("center_map", "params_map")]


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(("to", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_files_answer_as_pytorch_whatever_the_batch(tmp_path, kind, to, package):
    pytest.importorskip(package)
    network = network_of(kind)
    path = tmp_path / f"network{module.SUFFIXES[to]}"
    assert export_network(network, to, path) < module.LARGEST_DIFFERENCE
    images = np.random.default_rng(0).uniform(0, 255, (5, 3, 64, 64)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images))
    for maps, found in zip(expected, run_file(path, images), strict=True):
        np.testing.assert_allclose(found, maps, atol=0.02 * float(maps.abs().max()))


def test_a_file_that_differs_is_refused_and_removed(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    network = network_of("maps")

    def fold_wrongly(folded):
        folded.final_layers["2"][-1].bias.data += 0.1

    monkeypatch.setattr(module, "fold_batch_norms", fold_wrongly)
    path, other = tmp_path / "network.onnx", tmp_path / "network.bin"
    other.write_bytes(b"somebody else's")
    with pytest.raises(ExportError, match="center_map of the exported network differs"):
        export_network(network, "onnx", path)
    assert not path.exists()
    assert other.exists()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    write_checkpoint(path, network_of("maps"), root_align=True, body="open_body")
    return path


def test_the_command_names_the_file_after_the_weights(tmp_path, weights, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--to", "onnx", "--weights", str(weights)]) == 0
    assert "light.onnx: resnet18, images (B, 3, 64, 64)" in capsys.readouterr().out
    assert (tmp_path / "light.onnx").stat().st_size > 1e6
    assert main(["export", "--to", "onnx", "--weights", str(weights)]) == 2
    assert "light.onnx exists" in capsys.readouterr().err


def test_weights_beside_openvino_files_are_not_overwritten(tmp_path, weights, capsys):
    (tmp_path / "network.bin").write_bytes(b"somebody else's")
    arguments = ["--to", "openvino", "--out", str(tmp_path / "network.xml")]
    assert main(["export", "--weights", str(weights), *arguments]) == 2
    assert "network.bin exists" in capsys.readouterr().err


def test_openvino_files_that_cannot_be_written_are_named(weights, capsys):
    pytest.importorskip("openvino")
    arguments = ["--to", "openvino", "--out", "/proc/network.xml"]
    assert main(["export", "--weights", str(weights), *arguments]) == 2
    assert "/proc/network.xml cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weights", "absent.pkl"], "absent.pkl does not exist"),
        (["--out", "absent/network.onnx"], "folder absent does not exist"),
        (["--out", "network.bin"], "ends in .onnx"),
        (["--to", "openvino"], "pip install openvino"),
    ],
)
def test_what_cannot_be_exported_is_named(tmp_path, weights, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name)
    )
    chosen = [] if "--weights" in arguments else ["--weights", str(weights)]
    assert main(["export", *chosen, *arguments]) == 2
    assert said in capsys.readouterr().err
