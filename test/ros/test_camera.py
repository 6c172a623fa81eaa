"""The topics of one camera: whose QoS is whose, and what is left when some cannot be had."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.event_handler import (
    QoSSubscriptionEventType,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from romp_core import BodyModel, People
from ros2_romp.calibration import calibrate
from ros2_romp.camera import UNPLACED_LIMIT, Camera, Frame
from ros2_romp.markers import Stamp
from ros2_romp.parameters import Settings
from ros2_romp.statistics import FEWEST_LOST

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
RESULTS = ("people", "markers", "overlay", "body_model")


@pytest.fixture(scope="module")
def body():
    return BodyModel.load("open")


@pytest.fixture
def node_with(ros_environment):
    """`node_with(name=value, ...)` makes the node romp with these QoS overrides."""
    context = Context()
    rclpy.init(context=context)
    nodes = []

    def make(**overrides):
        settings = [f"qos_overrides.{name}:={value}" for name, value in overrides.items()]
        arguments = ["--ros-args", *(word for each in settings for word in ("-p", each))]
        nodes.append(LifecycleNode("romp", context=context, cli_args=arguments))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def cameras_of(node, body):
    ids = itertools.count(1)
    return [Camera(node, name, "raw", body, ids) for name in ("front", "rear")]


def test_override_of_one_topic_leaves_the_others_as_they_are(node_with, body):
    node = node_with(
        **{
            "/front/image.subscription.reliability": "reliable",
            "/romp/front/people.publisher.reliability": "best_effort",
        }
    )
    cameras = cameras_of(node, body)
    for _ in range(2):  # also of subscriptions that are made anew
        for camera in cameras:
            camera.stop()
            camera.start(lambda message: None)
    heard = {
        f"/{camera}/{name}": BEST_EFFORT
        for camera in ("front", "rear")
        for name in ("image", "camera_info", "depth")
    }
    told = {f"/romp/{camera}/{name}": RELIABLE for camera in ("front", "rear") for name in RESULTS}
    assert {
        topic: node.get_subscriptions_info_by_topic(topic)[0].qos_profile.reliability
        for topic in heard
    } == {**heard, "/front/image": RELIABLE}
    assert {
        topic: node.get_publishers_info_by_topic(topic)[0].qos_profile.reliability for topic in told
    } == {**told, "/romp/front/people": BEST_EFFORT}


def test_camera_that_cannot_be_listened_to_leaves_no_subscription(node_with, body):
    node = node_with(**{"/rear/depth.subscription.reliability": "besteffort"})
    front, rear = cameras_of(node, body)
    for _ in range(2):
        front.start(lambda message: None)
        with pytest.raises(RuntimeError, match="besteffort"):
            rear.start(lambda message: None)
        assert len(list(node.subscriptions)) == 5
        for camera in (front, rear):
            camera.stop()
        assert not list(node.subscriptions)


def test_camera_whose_results_cannot_be_published_leaves_no_topic(node_with, body):
    node = node_with(**{"/romp/overlay.publisher.reliability": "besteffort"})
    before = len(list(node.publishers))
    with pytest.raises(RuntimeError, match="besteffort"):
        Camera(node, "", "raw", body, itertools.count(1))
    assert len(list(node.publishers)) == before


def test_images_that_are_lost_on_the_way_are_counted_and_told_once(node_with, body, capfd):
    node = node_with()
    camera = Camera(node, "", "raw", body, itertools.count(1))
    camera.start(lambda message: None)
    lost = QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST
    (tell,) = [
        handler.callback
        for subscription in node.subscriptions
        for handler in subscription.event_handlers
        if handler.event_type == lost
    ]
    tell(SimpleNamespace(total_count_change=FEWEST_LOST))
    for _ in range(2):
        status = camera.diagnose("camera")
    assert status.level == DiagnosticStatus.WARN
    assert "100 % of the images are lost on the way" in status.message
    values = {pair.key: pair.value for pair in status.values}
    assert values["images lost on the way"] == str(FEWEST_LOST)
    told = capfd.readouterr().err
    assert told.count("qos_overrides./image.subscription.reliability:=reliable") == 1
    assert "fast_dds.xml" in told


def test_middleware_that_notices_no_loss_will_do(node_with, body, monkeypatch):
    create = SubscriptionEventCallbacks.create_event_handlers

    def unsupported(callbacks, *args):
        if callbacks.message_lost:
            raise UnsupportedEventTypeError("message_lost")
        return create(callbacks, *args)

    monkeypatch.setattr(SubscriptionEventCallbacks, "create_event_handlers", unsupported)
    node = node_with()
    Camera(node, "", "raw", body, itertools.count(1)).start(lambda message: None)
    assert len(list(node.subscriptions)) == 3


def test_log_tells_once_of_depth_that_does_not_serve(node_with, body, capfd):
    """Whether there is a camera_info, which would be told, too, or not."""
    camera = Camera(node_with(), "", "raw", body, itertools.count(1))
    depth = Image(height=6, width=8, encoding="rgb8")
    depth.header.frame_id = "camera"
    camera._on_depth(serialize_message(depth))
    calibration = calibrate(None, 96, 128, rectified=False, horizontal_fov_deg=60.0)
    frame = Frame(Stamp(0, 0, "camera"), np.zeros((96, 128, 3), np.uint8), calibration)
    for _ in range(UNPLACED_LIMIT + 2):
        camera.refine(frame, People.empty(), Settings(), with_vertices=False)
    assert "'rgb8'" in camera.statistics.report().depth_problem
    assert capfd.readouterr().err.count("(depth is expected on /depth)") == 1
