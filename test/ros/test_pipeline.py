"""What one camera's trouble does to the images of the others."""

from types import SimpleNamespace

import pytest
from rclpy.logging import get_logger

from romp_core import BodyModel, People
from ros2_romp import pipeline as pipeline_module
from ros2_romp.camera import Frame, Wanted
from ros2_romp.parameters import Settings
from ros2_romp.pipeline import Pipeline, SharedOutputs
from ros2_romp.predictor import Prediction, PredictionError
from ros2_romp.statistics import Statistics


class FakeCamera:
    """Takes every message for an image, and fails at one step if told to."""

    needs_meshes = shows_markers = False

    def __init__(self, name, fails_at=""):
        self.name, self._fails_at = name, fails_at
        self.statistics = Statistics()

    def _step(self, name):
        if name == self._fails_at:
            raise TypeError(f"{self.name} cannot {name}")

    def unpack(self, message, settings):
        self._step("unpack")
        return Frame(None, message, SimpleNamespace(camera=None))

    def wanted(self, settings):
        return Wanted(vertices=False, markers=False, overlay=False)

    def refine(self, frame, people, settings, *, with_vertices):
        self._step("refine")
        return people

    def publish(self, frame, people, wanted):
        self._step("publish")

    def count_answer(self, frame, people, network, overhead):
        self.statistics.answered(0.1, network, overhead, people)


class FakePredictor:
    """Sees nobody in any image."""

    def __init__(self, error=None):
        self.romp = SimpleNamespace(body=BodyModel.load("open"))
        self._error = error

    def predict(self, images, cameras, settings, *, with_vertices):
        if self._error:
            raise self._error
        return Prediction([People.empty()] * len(images), 0.0)


@pytest.fixture
def process(monkeypatch):
    """`process(cameras, predictor)` gives each of them one image, and one to a camera unknown."""
    monkeypatch.setattr(pipeline_module.rclpy, "ok", lambda: True)
    pipelines = []

    def run(cameras, predictor=None):
        pipelines.append(
            Pipeline(
                predictor or FakePredictor(),
                {camera.name: camera for camera in cameras},
                SharedOutputs(),
                Settings,
                get_logger("test"),
            )
        )
        pipelines[-1].start()
        pipelines[-1].process(dict.fromkeys(["gone", *(each.name for each in cameras)], b""))

    yield run
    for pipeline in pipelines:
        pipeline.stop()


def outcome(camera):
    report = camera.statistics.report()
    return report.answered, report.failed, report.failure


def test_image_of_a_camera_that_is_gone_takes_no_other_with_it(process):
    front = FakeCamera("front")
    process([front])
    assert outcome(front) == (1, 0, "")


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        ("unpack", "the image cannot be unpacked: TypeError: front cannot unpack"),
        ("refine", "TypeError: front cannot refine"),
        ("publish", "TypeError: front cannot publish"),
    ],
)
def test_trouble_with_one_image_is_that_camera_s_alone(process, step, failure):
    front, rear = FakeCamera("front", fails_at=step), FakeCamera("rear")
    process([front, rear])
    assert outcome(front) == (0, 1, failure)
    assert outcome(rear) == (1, 0, "")


def test_failing_model_fails_every_image_once(process):
    cameras = [FakeCamera("front"), FakeCamera("rear")]
    process(cameras, FakePredictor(PredictionError("the driver is gone")))
    for camera in cameras:
        assert outcome(camera) == (0, 1, "model failed: the driver is gone")
