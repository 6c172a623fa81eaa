"""How the commands end."""

import os
import re
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from processes import finish, next_line

from ros2_romp import image_player, people_recorder, start

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = re.findall(
    r'^(\S+) = "(\S+):(\S+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE
)


@pytest.fixture(params=[image_player, people_recorder], ids=["image_player", "people_recorder"])
def command(request, ros_environment, monkeypatch, tmp_path):
    """`command(*arguments)` runs it on a picture or folder, in the test's own process, which it
    leaves as it was."""
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((6, 8, 3), np.uint8))
    what = picture if request.param is image_player else tmp_path / "out"
    monkeypatch.setattr(request.param, "stop_on_signals", threading.Event)
    monkeypatch.setattr(image_player, "make_room_for_images", lambda: None)
    return lambda *arguments: request.param.main([str(what), *arguments])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-r", "bad"], "Couldn't parse remap rule: '-r bad'"),
        (
            ["--params-file", "absent.yaml"],
            "Couldn't parse params file: '--params-file absent.yaml'",
        ),
    ],
)
def test_wrong_ros_arguments_are_one_sentence(command, capsys, tmp_path, arguments, sentence):
    with pytest.raises(SystemExit, match="2"):
        command("--ros-args", *arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: wrong ROS arguments: Failed to parse ROS arguments: " in last
    assert sentence in last
    assert ", at /" not in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [image_player], indirect=True)
@pytest.mark.parametrize(("policy", "value"), [("reliability", "bad"), ("depth", "many")])
def test_qos_that_does_not_exist_is_one_sentence(command, capsys, policy, value):
    override = f"qos_overrides./image.publisher.{policy}:={value}"
    assert command("--ros-args", "-p", override) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("image_player: /image cannot be published: ")


@pytest.fixture
def interrupt_import(start_process, tmp_path):
    """`interrupt_import(script, module, *arguments)` sends SIGINT while the script of
    pyproject.toml imports that module, and gives the process."""

    def interrupt(script, module, *arguments):
        slow = "import time\nprint('importing', flush=True)\ntime.sleep(1000)\n"
        (tmp_path / "slow").mkdir()
        (tmp_path / "slow" / f"{module}.py").write_text(slow)
        _, where, function = script
        process = start_process(
            "-c",
            # As in the foreground of a shell: whoever runs the tests may ignore SIGINT.
            "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
            f"from {where} import {function}; sys.exit({function}())",
            *arguments,
            environment={"PYTHONPATH": f"{tmp_path / 'slow'}:{REPOSITORY}"},
        )
        assert next_line(process) == "importing\n"
        process.send_signal(signal.SIGINT)
        return process

    return interrupt


@pytest.mark.parametrize("script", SCRIPTS, ids=[name for name, *_ in SCRIPTS])
def test_ctrl_c_during_the_import_needs_no_word(interrupt_import, script):
    module = "json" if script[0] == "romp-core" else "rclpy"
    assert finish(interrupt_import(script, module), expected=-signal.SIGINT) == ""


@pytest.mark.parametrize(("asked", "used"), [(None, "passive"), ("active", "active")])
def test_threads_of_the_node_wait_without_spinning(monkeypatch, asked, used):
    """Wart: on two cores beside two busy processes, torch took five times as long."""
    monkeypatch.setenv("OMP_WAIT_POLICY", asked or "")
    if asked is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    node = SimpleNamespace(main=lambda: os.environ["OMP_WAIT_POLICY"])
    monkeypatch.setattr(start, "_imported", lambda module: node)
    assert start.romp_node() == used


def test_ctrl_c_is_still_a_keyboard_interrupt_in_romp_core(interrupt_import):
    (script,) = [script for script in SCRIPTS if script[0] == "romp-core"]
    assert finish(interrupt_import(script, "jsonargparse", "predict"), expected=130) == ""
