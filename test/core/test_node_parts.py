"""What the node is made of, as far as it needs no ROS."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from romp_core import People
from romp_core.checkpoints import body_family, write_checkpoint
from romp_core.errors import ConfigError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from ros2_romp import parameters as parameters_module
from ros2_romp import predictor as predictor_module
from ros2_romp.cdr import CdrError, CdrReader, CdrWriter
from ros2_romp.complaints import Complaints
from ros2_romp.middleware import make_room_for_images
from ros2_romp.parameters import FIELDS, Settings, refusal, rule_of
from ros2_romp.predictor import PredictionError, Predictor
from ros2_romp.statistics import FEWEST_LOST, RATE_WINDOW, Statistics
from ros2_romp.worker import Worker

REPOSITORY = Path(__file__).resolve().parents[2]

# Worker


class Gate:
    """A function for a worker that stops in every call until it is let through."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.calls = []

    def __call__(self, items):
        self.calls.append(items)
        self.entered.release()
        self.allowed.acquire()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    for _ in range(10):
        gate.allowed.release()


def test_worker_takes_the_newest_of_each_source_at_once(gate):
    worker = Worker(gate)
    worker.start()
    assert not worker.put("front", 1)
    gate.entered.acquire()
    assert [worker.put("front", number) for number in (2, 3, 4)] == [False, True, True]
    assert not worker.put("rear", 5)
    gate.allowed.release()
    gate.entered.acquire()
    assert gate.calls == [{"front": 1}, {"front": 4, "rear": 5}]


def test_stopped_worker_drops_what_waits(gate):
    worker = Worker(gate)
    worker.start()
    worker.put("front", 1)
    gate.entered.acquire()
    worker.put("front", 2)
    assert not worker.stop(timeout=0.0)
    gate.allowed.release()
    assert worker.stop()
    assert gate.calls == [{"front": 1}]


def test_idle_worker_stops():
    worker = Worker(lambda items: None)
    worker.start()
    assert worker.stop()


# Parameters


def test_defaults_are_within_their_own_rules():
    for name, value in vars(Settings()).items():
        assert refusal(name, value) is None


@pytest.mark.parametrize("name", [name for name in FIELDS if rule_of(name).low is not None])
def test_numbers_outside_of_the_range_are_refused(name):
    rule = rule_of(name)
    for value in (rule.low, rule.high):
        assert refusal(name, value) is None
    for value in (rule.low - 1, rule.high + 1, float("nan"), float("inf")):
        assert f"expected {rule.low:g} to {rule.high:g}" in refusal(name, value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("runtime", "abacus", "expected one of auto"),
        ("image_transport", "theora", "expected one of raw, compressed"),
        ("model", "", "is empty"),
        ("device", "", "is empty"),
        ("publish_tf", True, "needs the package tf2_msgs, which is not installed"),
        ("cameras", [], "is empty"),
        ("cameras", ["front", "front"], "twice"),
        ("cameras", ["the front"], "can stand in a topic"),
        ("cameras", ["/front"], "can stand in a topic"),
        ("cameras", ["3d"], "can stand in a topic"),
    ],
)
def test_values_that_make_no_sense_are_refused(monkeypatch, name, value, reason):
    monkeypatch.setattr(parameters_module, "find_spec", lambda module: None)
    assert reason in refusal(name, value)


def test_parameter_file_explains_all_parameters_with_their_defaults():
    text = (REPOSITORY / "config" / "romp.yaml").read_text()
    listed = yaml.safe_load(text)["/**"]["ros__parameters"]
    defaults = {name: list(value) if isinstance(value, tuple) else value
                for name, value in vars(Settings()).items()}  # fmt: skip
    assert listed == defaults
    for name in FIELDS:  # the comment above each says whether it may change while the node runs
        lines = text[: text.index(f"\n    {name}:")].splitlines()
        assert lines[-1].rstrip().endswith("live") == rule_of(name).live


@pytest.mark.parametrize("names", [("",), ("front", "rear"), ("", "rear"), ("robot/front",)])
def test_camera_names(names):
    assert refusal("cameras", names) is None


# Statistics


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_rates_count_the_last_seconds_only():
    clock = FakeClock()
    statistics = Statistics(clock)
    for _ in range(100):
        clock.now += 0.1
        statistics.received()
    assert statistics.report().input_rate == pytest.approx(10, rel=0.05)
    clock.now += RATE_WINDOW + 1
    report = statistics.report()
    assert report.input_rate == 0
    assert report.silence == pytest.approx(RATE_WINDOW + 1)
    assert report.received == 100


def test_share_of_lost_images_is_that_of_the_last_seconds():
    clock = FakeClock()
    statistics = Statistics(clock)
    statistics.lost(FEWEST_LOST - 1)  # as a camera starts
    assert statistics.report().loss_share == 0
    statistics.lost(1)
    for _ in range(3 * FEWEST_LOST):
        statistics.received()
    assert statistics.report().loss_share == pytest.approx(0.25)
    clock.now += RATE_WINDOW + 1
    report = statistics.report()
    assert (report.lost, report.loss_share) == (FEWEST_LOST, 0)


def test_the_log_is_told_once_of_each_trouble_that_lasts():
    told = []
    complaints = Complaints(told.append, "/depth", "help", patience=3)
    for reason in ["0.1 s late", "another frame", ""] * 3:
        complaints.note(reason)
    assert told == []
    for reason in ["0.1 s late", "another frame", "0.25 s late", "another frame", "0.3 s late"]:
        complaints.note(reason)
    assert told == ["/depth: 0.25 s late (help)", "/depth: another frame (help)"]


def test_the_last_loss_is_told_whatever_was_lost_before():
    statistics = Statistics()
    assert statistics.report().last_loss == ""
    for _ in range(9):
        statistics.dropped()
    assert statistics.report().last_loss == "slow"
    statistics.refused("no such encoding")
    assert statistics.report().last_loss == "images cannot be used: no such encoding"
    statistics.stale()
    assert statistics.report().last_loss == "images are older than max_image_age"


def test_every_image_is_counted_once():
    statistics = Statistics()
    for _ in range(15):
        statistics.received()
    statistics.answered(0.2, 0.1, 0.01, people=3)
    for count, note in ((2, statistics.dropped), (3, statistics.stale)):
        for _ in range(count):
            note()
    for number in range(4):
        statistics.refused(f"reason {number}")
    for _ in range(5):
        statistics.failed("no memory")
    report = statistics.report()
    counts = (report.answered, report.dropped, report.stale, report.refused, report.failed)
    assert counts == (1, 2, 3, 4, 5)
    assert sum(counts) == report.received
    assert (report.last_refusal, report.failure, report.people) == ("reason 3", "no memory", 3)


def test_failure_is_over_with_the_next_answer():
    statistics = Statistics()
    statistics.failed("no memory")
    statistics.answered(0.2, 0.1, 0.01, people=0)
    assert statistics.report().failure == ""


def test_latency_percentiles():
    statistics = Statistics()
    assert statistics.report().latency.p95 is None
    for number in range(1, 101):
        statistics.answered(number / 100, number / 1000, number / 1e4, people=0)
    report = statistics.report()
    assert report.latency.p50 == pytest.approx(0.505)
    assert report.latency.p95 == pytest.approx(0.9505)
    assert report.network.p95 == pytest.approx(0.09505)
    assert report.overhead.p95 == pytest.approx(0.009505)


# CDR


def test_cdr_reads_what_it_wrote():
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    writer = CdrWriter()
    writer.numbers("BI", 7, 70_000)
    writer.string("grüße")
    writer.numbers("id", -3, 0.25)
    writer.sequence(np.array([1, 2, 3], np.uint8))
    writer.sequence(array)
    reader = CdrReader(writer.finish())
    assert [reader.number("B"), reader.number("I"), reader.string()] == [7, 70_000, "grüße"]
    assert [reader.number("i"), reader.number("d")] == [-3, 0.25]
    assert bytes(reader.byte_sequence()) == b"\1\2\3"
    assert reader.number("I") == 2
    assert [reader.number("d") for _ in range(6)] == list(range(6))


def test_big_endian_message_is_read_as_such():
    assert CdrReader(b"\0\0\0\0" + (70_000).to_bytes(4, "big")).number("I") == 70_000


@pytest.mark.parametrize("message", [b"", b"\0\1", b"\7\1\0\0rest", b"\0\1\0\0\1"])
def test_bytes_that_are_no_message_are_refused(message):
    with pytest.raises(CdrError):
        CdrReader(message).number("I")


def test_sequence_longer_than_its_message_is_refused():
    writer = CdrWriter()
    writer.numbers("I", 0xFFFFFFFF)
    with pytest.raises(CdrError, match="ends before"):
        CdrReader(writer.finish()).byte_sequence()


# Predictor


class FakeRomp:
    """A model that holds only so many images, or none that is dark."""

    device = torch.device("cpu")

    def __init__(self, capacity=100, error=None):
        self.capacity, self.error, self.batches = capacity, error, []

    def predict_batch(self, images, intrinsics, *, with_vertices):
        self.batches.append(len(images))
        if len(images) > self.capacity:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 2 GiB\nstack")
        if self.error:
            raise self.error
        return [replace(People.empty(), center=np.full((0, 2), i)) for i in range(len(images))]


IMAGES = [np.zeros((48, 64, 3), np.uint8)] * 3
CAMERAS = [CameraModel(intrinsics_from_fov(48, 64))] * 3


@pytest.fixture
def predictor_of(monkeypatch):
    def make(romp):
        monkeypatch.setattr(predictor_module, "load", lambda *args, **options: romp)
        predictor = Predictor(Settings())
        romp.batches.clear()
        return predictor

    return make


def test_images_of_all_cameras_share_a_forward_pass(predictor_of):
    romp = FakeRomp()
    prediction = predictor_of(romp).predict(IMAGES, CAMERAS, Settings(), with_vertices=False)
    assert len(prediction.people) == 3
    assert prediction.seconds > 0
    assert romp.batches == [3]


def test_settings_reach_the_model(predictor_of):
    romp = FakeRomp()
    settings = Settings(center_threshold=0.7, max_people=3)
    predictor_of(romp).predict(IMAGES, CAMERAS, settings, with_vertices=False)
    assert (romp.center_threshold, romp.max_people) == (0.7, 3)


def test_too_little_memory_for_all_images_is_enough_for_one_by_one(predictor_of):
    romp = FakeRomp(capacity=1)
    predictor = predictor_of(romp)
    for _ in range(2):
        assert len(predictor.predict(IMAGES, CAMERAS, Settings(), with_vertices=False).people) == 3
    assert romp.batches == [3, 1, 1, 1, 1, 1, 1]
    assert predictor.batch_limit == 1


def test_too_little_memory_for_one_image_is_an_error(predictor_of):
    romp = FakeRomp()
    predictor = predictor_of(romp)
    romp.capacity = 0
    with pytest.raises(PredictionError, match="memory of cpu does not suffice for one image") as e:
        predictor.predict(IMAGES, CAMERAS, Settings(), with_vertices=False)
    assert "stack" not in str(e.value)
    assert romp.batches == [3, 1]


def test_whatever_fails_in_the_model_is_named(predictor_of):
    romp = FakeRomp()
    predictor = predictor_of(romp)
    romp.error = RuntimeError("the driver is gone")
    with pytest.raises(PredictionError, match="RuntimeError: the driver is gone"):
        predictor.predict(IMAGES, CAMERAS, Settings(), with_vertices=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, light_network):
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    write_checkpoint(path, light_network, root_align=True, body="open_body")
    return path


def test_model_is_loaded_as_the_settings_say(weights, monkeypatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    predictor = Predictor(Settings(model=f"~/{weights.name}", device="cpu"))
    prediction = predictor.predict(IMAGES, CAMERAS, Settings(), with_vertices=True)
    assert len(prediction.people) == 3
    assert body_family(predictor.romp.body) == "open_body"
    assert predictor.describe()["network"] == "resnet18, 256x256 pixels"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"model": "absent.pkl"}, FileNotFoundError),
        ({"body_model": "absent.npz"}, FileNotFoundError),
        ({"device": "toaster"}, ConfigError),
    ],
)
def test_model_that_cannot_be_had_is_named(weights, settings, error):
    with pytest.raises(error):
        Predictor(replace(Settings(model=str(weights)), **settings))


def test_fast_dds_profile_gives_way_to_the_users_own(monkeypatch):
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    make_room_for_images()
    assert Path(os.environ.pop("FASTRTPS_DEFAULT_PROFILES_FILE")).is_file()
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA")
    make_room_for_images()
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in os.environ
    monkeypatch.delenv("FASTDDS_BUILTIN_TRANSPORTS")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    make_room_for_images()
    assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "/mine.xml"
