"""The recorder beside the node, each a process, and what it leaves behind."""

import json
import signal

import cv2
import numpy as np
import pytest
from node_driver import picture
from processes import finish, next_line

from romp_core import People
from romp_core.media import open_media, read_image
from ros2_romp.client import PeopleDecoder
from ros2_romp.recording import Recording


@pytest.fixture
def record(start_process, start_node, drive, tmp_path):
    """`record(*options)` runs node and recorder; gives the driver, its process, its folder."""

    def start(*options):
        start_node()
        process = start_process("-m", "ros2_romp.people_recorder", tmp_path / "out", *options)
        driver = drive()
        driver.spin_until(
            lambda: (
                driver.node.count_subscribers("/romp/people") == 2
                and driver.node.count_subscribers("/romp/overlay") == 1
            )
        )
        return driver, process, tmp_path / "out"

    return start


def test_people_overlay_body_and_summary(record):
    driver, process, out = record()
    messages = []
    while not has_written(out / "people.jsonl", 3):  # the node may not know of the recorder yet
        assert len(messages) < 100, "nothing is written"
        messages.append(driver.ask(picture(len(messages))))
    process.send_signal(signal.SIGINT)
    printed = finish(process)
    lines = [json.loads(line) for line in (out / "people.jsonl").read_text().splitlines()]
    by_second = {int(line["stamp"]): line for line in lines}
    heard = [message for message in messages if message.header.stamp.sec in by_second]
    assert len(heard) >= 3
    for message in heard:
        line = by_second[message.header.stamp.sec]
        assert line["frame_id"] == "camera_optical"
        poses = np.array([person.pose for person in message.people])
        np.testing.assert_allclose(line["pose"], poses, atol=1e-6)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == len(lines) >= 3
    assert summary["people"] == sum(len(line["confidence"]) for line in lines)
    assert summary["overlay"] in printed
    assert read_image(summary["overlay"]).shape == picture().shape
    assert {frame.shape for _, frame in open_media(out / "overlay.mp4")} == {picture().shape}
    with np.load(out / "body_model.npz") as body:
        assert body["template_vertices"].shape[1] == body["faces"].shape[1] == 3


def has_written(path, lines):
    return path.exists() and path.read_text().count("\n") >= lines


def test_npz_files_hold_the_people(record):
    driver, process, out = record("--format", "npz", "--frames", 2)
    messages = []
    while process.poll() is None:  # the node may not know of the recorder yet
        assert len(messages) < 100, "nothing is written"
        messages.append(driver.ask(picture(len(messages))))
    assert "frames" in finish(process)
    decode = PeopleDecoder(with_vertices=False)
    people = People.load(out / "people" / "000000.npz")
    heard = [decode(message).pose for message in messages]
    assert any(np.array_equal(people.pose, pose) for pose in heard)


def test_recorder_that_hears_nothing_says_so(start_process, tmp_path):
    process = start_process("-m", "ros2_romp.people_recorder", tmp_path / "out", "--topics", "rear")
    next_line(process)
    process.send_signal(signal.SIGTERM)
    assert "nothing came on rear/people" in finish(process, expected=2)


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    count = 0
    while video.read()[0]:
        count += 1
    return count


@pytest.mark.parametrize(
    ("stamps", "frames"),
    [
        ([0.0, 0.1, 0.2, 0.3], 4),
        ([0.0, 0.5, 1.0], 11),  # a slow node: the video still takes a second
        ([0.0, 0.01, 0.02, 0.1], 2),  # faster than the video
        ([5.0, 5.1, 1000.0, 1000.1], 4),  # a pause is not shown
        ([5.0, 5.1, 1.0, 1.1], 4),  # the clock was set back
    ],
)
def test_video_runs_as_the_stamps_say(tmp_path, stamps, frames):
    recording = Recording(tmp_path, fps=10.0)
    for stamp in stamps:
        recording.add_overlay(picture(), stamp)
    recording.close()
    assert frames_of(tmp_path / "overlay.mp4") == frames


def test_overlays_of_other_sizes_are_fitted_into_the_video(tmp_path):
    recording = Recording(tmp_path, fps=10.0)
    recording.add_overlay(np.zeros((64, 96, 3), np.uint8), 0.0)
    recording.add_overlay(np.full((64, 32, 3), 255, np.uint8), 0.1)
    recording.close()
    _, (_, second) = open_media(tmp_path / "overlay.mp4")
    assert second.shape == (64, 96, 3)
    assert second[:, 36:60].min() > 200
    assert second[:, [0, 28, 68, 95]].max() < 60


def test_picture_is_the_last_with_most_people(tmp_path):
    recording = Recording(tmp_path)
    for number, count in enumerate([1, 2, 2, 0]):
        people = People.empty()[np.zeros(0, int)]
        people = People(**{name: np.zeros((count, *values.shape[1:]), values.dtype)
                           for name, values in vars(people).items()})  # fmt: skip
        recording.add_people(people, float(number), 0.1, "camera")
        recording.add_overlay(np.full((32, 32, 3), 10 * number, np.uint8), float(number))
    summary = recording.close()
    assert (read_image(summary["overlay"]) == 20).all()
    assert (summary["frames"], summary["people"], summary["most_people_in_a_frame"]) == (4, 5, 2)
    assert summary["frames_per_second"] == 1.0
    assert summary["latency_p95_s"] == 0.1
