"""Weights files: round trips, the published forms, and everything that must be refused."""

import os
from types import SimpleNamespace

import pytest
import torch

from romp_core.checkpoints import body_family, read_checkpoint, write_checkpoint
from romp_core.cli import main
from romp_core.commands.convert import weights as convert_weights
from romp_core.errors import CheckpointError
from romp_core.network import NetworkConfig, build_network


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Random weights under the published ResNet-50's keys."""
    torch.manual_seed(0)
    return build_network(NetworkConfig("resnet50")).state_dict()


@pytest.fixture
def own(light_network, tmp_path):
    path = tmp_path / "light.safetensors"
    write_checkpoint(path, light_network, root_align=True, body="open")
    return path


def equal(first, second) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) for key, value in first.items()
    )


def test_own_files_round_trip(own, light_network):
    checkpoint = read_checkpoint(own)
    assert checkpoint.config == light_network.config
    assert (checkpoint.root_align, checkpoint.body) == (True, "open")
    assert equal(checkpoint.build().state_dict(), light_network.state_dict())


def test_half_precision_files_are_half_the_size_and_load_as_float32(own, light_network, tmp_path):
    half = tmp_path / "half.safetensors"
    write_checkpoint(half, light_network, root_align=True, body="open", dtype=torch.float16)
    assert half.stat().st_size < 0.51 * own.stat().st_size
    state = read_checkpoint(half).build().state_dict()
    for key, value in light_network.state_dict().items():
        assert state[key].dtype == value.dtype
        torch.testing.assert_close(state[key], value, atol=1e-4, rtol=1e-3)


def test_weights_too_large_for_half_precision_stay_as_they_are(tmp_path, capsys):
    network = build_network(NetworkConfig("resnet18", input_size=64))
    variance = network.state_dict()["backbone.bn1.running_var"]
    variance[0] = 7e4
    source, half = tmp_path / "source.safetensors", tmp_path / "half.safetensors"
    write_checkpoint(source, network, root_align=True, body="open")
    assert main(["convert", "weights", str(source), str(half), "--half"]) == 0
    assert half.stat().st_size < 0.51 * source.stat().st_size
    state = read_checkpoint(half).build().state_dict()
    assert torch.equal(state["backbone.bn1.running_var"], variance)


def test_weights_that_cannot_be_written_are_named(light_network, tmp_path):
    path = tmp_path / "missing" / "weights.safetensors"
    with pytest.raises(CheckpointError, match=rf"weights {path} cannot be written: "):
        write_checkpoint(path, light_network, root_align=True, body="open")


def test_weights_say_whether_they_have_learnt_bodies(light_network, tmp_path):
    path, copy = tmp_path / "weights.safetensors", tmp_path / "copy.safetensors"
    for bodies in (True, False):
        write_checkpoint(path, light_network, root_align=True, body="open", bodies=bodies)
        convert_weights(path, copy, overwrite=True)
        assert read_checkpoint(path).bodies == read_checkpoint(copy).bodies == bodies


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("SMPL_NEUTRAL", "smpl"),
        ("basicmodel_neutral_lbs_10_207_0_v1.1.0", "smpl"),
        ("mine", "smpl"),
        ("SMPL_MALE", "smpl_male"),
        ("basicmodel_m_lbs_10_207_0_v1.1.0", "smpl_male"),
        ("smpl-female", "smpl_female"),
        ("basicModel_f_lbs_10_207_0_v1.0.0", "smpl_female"),
    ],
)
def test_bodies_of_smpl_have_a_shape_space_per_gender(name, family):
    assert body_family(SimpleNamespace(name=name, mesh=SimpleNamespace(count=6890))) == family
    assert body_family(SimpleNamespace(name=name, mesh=SimpleNamespace(count=6891))) == name


@pytest.mark.parametrize("backbone", ["hrnet32", "resnet50"])
def test_published_inference_file(backbone, tmp_path):
    network = build_network(NetworkConfig(backbone))
    torch.save(network.state_dict(), tmp_path / "ROMP.pkl")
    checkpoint = read_checkpoint(tmp_path / "ROMP.pkl")
    assert checkpoint.config.backbone == backbone
    assert checkpoint.root_align == (backbone == "resnet50")
    assert checkpoint.body == "smpl"
    assert equal(checkpoint.build().state_dict(), network.state_dict())


@pytest.mark.parametrize("wrapper", [None, "model_state_dict", "state_dict"])
def test_published_training_file(published, wrapper, tmp_path):
    """Wart: the published code loads nothing from these, silently."""
    content = {"module." + key: value for key, value in published.items()}
    content["module._result_parser.params_map_parser.smpl_model.faces"] = torch.zeros(3)
    content["module._calc_loss.faces"] = torch.zeros(3)
    torch.save({wrapper: content} if wrapper else content, tmp_path / "trained.pkl")
    assert equal(read_checkpoint(tmp_path / "trained.pkl").build().state_dict(), published)


def test_root_alignment_that_a_file_does_not_say_is_said(tmp_path):
    state = build_network(NetworkConfig("hrnet32")).state_dict()
    torch.save({"module." + key: value for key, value in state.items()}, tmp_path / "mine.pkl")
    with pytest.warns(UserWarning, match="set root_align"):
        assert read_checkpoint(tmp_path / "mine.pkl").root_align is False


def test_weights_of_another_type_are_refused(published, tmp_path):
    state = dict(published) | {"final_layers.2.2.bias": torch.zeros(1, dtype=torch.int64)}
    torch.save(state, tmp_path / "wrong.pkl")
    with pytest.raises(CheckpointError, match=r"of another type: final_layers\.2\.2\.bias"):
        read_checkpoint(tmp_path / "wrong.pkl").build()
    torch.save({"sparse": torch.eye(3).to_sparse()}, tmp_path / "sparse.pkl")
    with pytest.raises(CheckpointError, match="dense tensors"):
        read_checkpoint(tmp_path / "sparse.pkl")


def test_old_files_without_counters_load(published, tmp_path):
    old = {key: value for key, value in published.items() if "num_batches" not in key}
    torch.save(old, tmp_path / "old.pkl", _use_new_zipfile_serialization=False)
    assert equal(read_checkpoint(tmp_path / "old.pkl").build().state_dict(), published)


def spoil(state: dict, how: str) -> str:
    """Spoils one weight and returns what the error must say."""
    key = "final_layers.2.2.weight"
    value = state.pop(key)
    if how == "renamed":
        state["final_layers.2.2.wait"] = value
        return r"missing: final_layers\.2\.2\.weight; unexpected: final_layers\.2\.2\.wait"
    if how == "misshaped":
        state[key] = value[:, :3].clone()
        return r"final_layers\.2\.2\.weight \(1, 3, 1, 1\) instead of \(1, 64, 1, 1\)"
    if how == "nan":
        state[key] = value * torch.nan
        return r"NaN or infinite: final_layers\.2\.2\.weight"
    return r"missing: final_layers\.2\.2\.weight"


@pytest.mark.parametrize("how", ["renamed", "missing", "misshaped", "nan"])
def test_wrong_weights_are_refused_by_name(published, how, tmp_path):
    state = dict(published)
    message = spoil(state, how)
    torch.save(state, tmp_path / "wrong.pkl")
    with pytest.raises(CheckpointError, match=message) as raised:
        read_checkpoint(tmp_path / "wrong.pkl").build()
    assert str(raised.value).startswith(f"{tmp_path / 'wrong.pkl'}: weights do not fit")
    what_to_do = "get or write it again" if how == "nan" else "made with the settings"
    assert what_to_do in str(raised.value)


class RunsACommand:
    """Pickles as a call of os.system."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_that_run_commands_do_not(published, zipped, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pkl"
    content = dict(published) | {"evil": RunsACommand(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="nothing in it was run") as caught:
        read_checkpoint(path)
    assert not marker.exists()
    assert "system" in str(caught.value)
    assert "weights_only" not in str(caught.value)  # PyTorch advises to run it


@pytest.mark.parametrize("keep", [0, 5, 1000, -1000])
def test_truncated_files_are_named(own, published, keep, tmp_path):
    torch.save(published, tmp_path / "whole.pkl")
    for whole in (own, tmp_path / "whole.pkl"):
        path = tmp_path / "cut"
        path.write_bytes(whole.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="cut"):
            read_checkpoint(path)


def test_foreign_content_is_named(light_network, tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="without romp_core's description"):
        read_checkpoint(tmp_path / "foreign.safetensors")
    torch.save({"layer": torch.zeros(2)}, tmp_path / "foreign.pkl")
    with pytest.raises(CheckpointError, match="found layer"):
        read_checkpoint(tmp_path / "foreign.pkl")
    torch.save([1, 2], tmp_path / "list.pkl")
    with pytest.raises(CheckpointError, match="a list that is no state dict"):
        read_checkpoint(tmp_path / "list.pkl")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_checkpoint(tmp_path / "nowhere")


def test_convert_command(published, tmp_path, capsys):
    source, output = tmp_path / "ROMP.pkl", tmp_path / "romp.safetensors"
    torch.save(published, source)
    assert main(["convert", "weights", str(source), str(output)]) == 0
    assert "resnet50, 33.1 million parameters, root_align true" in capsys.readouterr().out
    assert equal(read_checkpoint(output).build().state_dict(), published)
    assert main(["convert", "weights", str(source), str(output)]) == 2
    assert "exists" in capsys.readouterr().err
    assert (
        main(
            [
                "convert",
                "weights",
                str(source),
                str(output),
                "--overwrite",
                "--root_align",
                "false",
            ]
        )
        == 0
    )
    assert read_checkpoint(output).root_align is False


@pytest.mark.parametrize(
    "arguments",
    [["missing.pkl", "out.safetensors"], ["missing.pkl", "out.pkl"]],
    ids=str,
)
def test_convert_command_names_bad_input(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "weights", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("romp-core convert weights: ")
