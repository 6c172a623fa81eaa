"""`romp-core compare-runtimes`."""

import cv2
import pytest
import torch
from random_network import make_network

from romp_core.checkpoints import write_checkpoint
from romp_core.cli import main
from romp_core.commands import compare_runtimes as command
from romp_core.errors import ConfigError
from romp_core.network import NetworkConfig
from romp_core.runtime import choices
from romp_core.runtime.guard import check_pictures


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "light.safetensors"
    network = make_network(NetworkConfig("resnet18", input_size=128))
    write_checkpoint(path, network, root_align=True, body="open_body")
    return path


def test_every_runtime_has_a_row(tmp_path, weights, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, picture in enumerate(check_pictures()[:3]):
        cv2.imwrite(str(pictures / f"{number}.jpg"), picture)
    arguments = ["--source", str(pictures), "--weights", str(weights), "--count", "2"]
    assert main(["compare-runtimes", *arguments, "--device", "cpu"]) == 0
    title, _, heading, _, *rows = capsys.readouterr().out.splitlines()
    assert title == "2 pictures, resnet18 on cpu"
    columns = len(heading.split(" | "))
    others = choices("auto", "auto", torch.device("cpu"))[:-1]
    assert [row.split(" | ")[0] for row in rows] == [f"| {a}, {b}" for a, b in others]
    assert all(len(row.split(" | ")) == columns for row in rows)
    exact = [row.split(" | ") for row in rows if "float32" in row]
    assert all(row[1] == row[2] == row[3] and float(row[4]) < 0.1 for row in exact)


def test_a_runtime_that_does_not_start_has_its_reason_and_the_next_go_on(
    tmp_path, weights, capsys, monkeypatch
):
    cv2.imwrite(str(tmp_path / "0.jpg"), check_pictures()[0])
    start = command.start_runtime

    def failing(choice, *rest):
        if choice == ("onnxruntime", "float16"):
            raise ConfigError("it cannot run float16\nhere")
        return start(choice, *rest)

    offered = [("onnxruntime", "float16"), ("torch", "bfloat16"), ("torch", "float32")]
    monkeypatch.setattr(command, "start_runtime", failing)
    monkeypatch.setattr(command, "choices", lambda *_: offered)
    arguments = ["--source", str(tmp_path / "0.jpg"), "--weights", str(weights), "--device", "cpu"]
    assert main(["compare-runtimes", *arguments]) == 0
    heading, _, failed, other = capsys.readouterr().out.splitlines()[2:]
    cells = failed.strip("| ").split(" | ")
    assert (cells[0], cells[-1]) == ("onnxruntime, float16", "no: it cannot run float16")
    assert len(cells) == len(heading.split(" | "))
    assert other.startswith("| torch, bfloat16 | ")


def test_a_folder_of_damaged_pictures_is_refused(tmp_path, weights, capsys):
    (tmp_path / "damaged.jpg").write_bytes(b"no picture")
    arguments = ["--source", str(tmp_path), "--weights", str(weights), "--device", "cpu"]
    assert main(["compare-runtimes", *arguments]) == 2
    assert "damaged.jpg cannot be decoded" in capsys.readouterr().err


def test_a_count_of_nothing_is_refused(capsys):
    assert main(["compare-runtimes", "--count", "0"]) == 2
    assert "count is 0" in capsys.readouterr().err
