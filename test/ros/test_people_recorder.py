"""The recorder beside the node, each a process, and what it leaves behind."""

import json
import os
import signal
import threading

import cv2
import numpy as np
import pytest
import rclpy
from node_driver import picture
from processes import finish, next_line

from romp_core import People
from romp_core.errors import DataError, ImageError
from romp_core.media import open_media, read_image
from ros2_romp import people_recorder
from ros2_romp.client import PeopleDecoder
from ros2_romp.msg import SmplPerson, SmplPersonArray
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


@pytest.fixture
def main(ros_environment, monkeypatch):
    """The command in the test's own process, whose signals it leaves alone."""
    monkeypatch.setattr(people_recorder, "stop_on_signals", threading.Event)
    return people_recorder.main


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("file", "file is not a folder; expected one to write to, or a free name"),
        ("file/below", "file/below cannot be made (Not a directory): name another"),
        ("locked", "locked cannot be written to: change who may, or name another folder"),
        ("full", "full already holds a recording (overlay.png): name another folder, or replace"),
    ],
)
def test_folder_that_cannot_be_written_to_is_one_sentence(
    tmp_path, monkeypatch, capsys, main, out, sentence
):
    (tmp_path / "file").touch()
    for name in ("locked", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "overlay.png").write_text("mine")
    real_access = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, how: (
        "locked" not in str(path) and real_access(path, how)))  # fmt: skip
    assert main([str(tmp_path / out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"people_recorder: {tmp_path}/")
    assert sentence in line
    assert (tmp_path / "full" / "overlay.png").read_text() == "mine"


def test_topics_that_cannot_be_are_one_sentence(tmp_path, capsys, main):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "out"), "--topics", "the robot"])
    assert "'the robot': Invalid topic name: " in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_people_that_do_not_fit_are_left_out(ros_environment, tmp_path):
    rclpy.init()
    recorder = people_recorder.PeopleRecorder(Recording(tmp_path), "romp")
    for people in ([SmplPerson()], []):
        recorder._on_people(SmplPersonArray(people=people))
    recorder.destroy_node()
    rclpy.shutdown()
    assert [arrival.count for arrival in recorder.recording.arrivals] == [0]


def people(count):
    none = vars(People.empty())
    return People(**{name: np.zeros((count, *values.shape[1:]), values.dtype)
                     for name, values in none.items()})  # fmt: skip


def record_all(folder, count, people_format="jsonl", **options):
    recording = Recording(folder, people_format, **options)
    recording.add_body(id="body")
    for number in range(count):
        recording.add_people(people(1), float(number), 0.1, "camera")
        recording.add_overlay(picture(), float(number))
    return recording.close()


def test_recording_is_not_mixed_with_an_earlier_one(tmp_path):
    record_all(tmp_path, 3, "npz")
    before = files_of(tmp_path)
    assert {"people/000002.npz", "overlay.mp4", "body_model.npz"} < set(before)
    with pytest.raises(DataError, match=r"holds a recording.*--overwrite"):
        Recording(tmp_path)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("people_format", ["npz", "jsonl"])
def test_overwriting_removes_the_earlier_recording_and_nothing_else(tmp_path, people_format):
    record_all(tmp_path, 3, people_format)
    for name in ("notes.txt", "overlay.txt", "people.npz"):
        (tmp_path / name).write_text("mine")
    record_all(tmp_path, 1, "npz", overwrite=True)
    assert set(files_of(tmp_path)) == {
        *("notes.txt", "overlay.txt", "people.npz", "people/000000.npz"),
        *("overlay.mp4", "overlay.png", "body_model.npz", "summary.json"),
    }
    (tmp_path / "people" / "best.npz").write_text("mine")
    summary = record_all(tmp_path, 0, overwrite=True)
    assert summary["frames"] == 0
    # What nobody came for can be begun again without a word.
    mine = {"notes.txt", "overlay.txt", "people.npz", "people/best.npz"}
    assert set(files_of(tmp_path)) == mine
    Recording(tmp_path)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


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
        ([0.0, 0.0, 0.0, 0.0], 4),  # a driver that sets no stamps
        ([7.0, 7.0, 7.1, 7.2], 4),
    ],
)
def test_video_runs_as_the_stamps_say(tmp_path, stamps, frames):
    recording = Recording(tmp_path, fps=10.0)
    for stamp in stamps:
        recording.add_overlay(picture(), stamp)
    recording.close()
    assert frames_of(tmp_path / "overlay.mp4") == frames


def test_overlay_that_is_no_video_is_not_counted_and_does_not_set_the_size(tmp_path):
    recording = Recording(tmp_path, fps=10.0)
    for _ in range(2):
        with pytest.raises(ImageError, match="cannot write a 1x1 MPEG-4 video"):
            recording.add_overlay(np.zeros((1, 1, 3), np.uint8), 0.0)
    recording.add_overlay(picture(), 0.1)
    assert recording.close()["overlays"] == frames_of(tmp_path / "overlay.mp4") == 1
    assert {frame.shape for _, frame in open_media(tmp_path / "overlay.mp4")} == {picture().shape}


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
        recording.add_people(people(count), float(number), 0.1, "camera")
        recording.add_overlay(np.full((32, 32, 3), 10 * number, np.uint8), float(number))
    summary = recording.close()
    assert (read_image(summary["overlay"]) == 20).all()
    assert (summary["frames"], summary["people"], summary["most_people_in_a_frame"]) == (4, 5, 2)
    assert summary["frames_per_second"] == 1.0
    assert summary["latency_p95_s"] == 0.1
