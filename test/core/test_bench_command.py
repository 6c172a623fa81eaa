"""`romp-core bench`."""

import cv2
import numpy as np
import pytest

from romp_core.checkpoints import write_checkpoint
from romp_core.cli import main
from romp_core.timing import spread, time_in_turns


@pytest.fixture
def files(tmp_path, light_network):
    weights, picture = tmp_path / "light.safetensors", tmp_path / "picture.png"
    write_checkpoint(weights, light_network, root_align=True, body="open_body")
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    return weights, picture


def test_every_runtime_has_a_line_and_the_one_that_auto_takes_comes_first(files, capsys):
    weights, picture = files
    words = ["bench", "--source", str(picture), "--weights", str(weights), "--device", "cpu"]
    assert main([*words, "--precision", "float32", "--runs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "resnet18, one image of 80x60" in printed
    table = printed.partition("images/s")[2].splitlines()[1:]
    assert table[0].startswith("auto: ")
    taken = table[0].partition("auto: ")[2].split("  ")[0]
    names = [taken, *(line.split("  ")[0] for line in table[1:])]
    assert "torch, float32" in names
    assert len(set(names)) == len(names)
    for line in table:
        median, low, high = (float(part.split()[-1]) for part in line.split(" ms")[:3])
        assert 0 < low <= median <= high


def test_one_runtime_alone(files, capsys):
    weights, picture = files
    words = ["bench", "--source", str(picture), "--weights", str(weights), "--device", "cpu"]
    assert main([*words, "--runtime", "torch", "--precision", "float32", "--runs", "1"]) == 0
    assert capsys.readouterr().out.count("float32") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--runs", "0"], "runs is 0"),
        (["--source", "nowhere.png"], "nowhere.png"),
        (["--runtime", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_said_in_a_sentence(words, complaint, capsys):
    assert main(["bench", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_functions_take_turns_and_warm_up_does_not_count():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = time_in_turns(functions, rounds=3, warm_up=1)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in times.values()] == [3, 3]


def test_spread_is_of_the_values():
    found = spread(np.arange(101.0))
    assert found == {"median": 50.0, "p10": 10.0, "p90": 90.0, "runs": 101}
