"""How the commands beside the node end, in the test's own process."""

import threading

import cv2
import numpy as np
import pytest

from ros2_romp import image_player, people_recorder


@pytest.fixture(params=[image_player, people_recorder], ids=["image_player", "people_recorder"])
def command(request, ros_environment, monkeypatch, tmp_path):
    """`command(*arguments)` runs it on a picture or folder, and leaves the process as it was."""
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
