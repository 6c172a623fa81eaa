"""The topics of one camera: whose QoS is whose, and what is left when some cannot be had."""

import itertools

import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import ReliabilityPolicy

from romp_core import BodyModel
from ros2_romp.camera import Camera

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
