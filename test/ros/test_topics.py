"""Where a camera's images, and what belongs to them, are looked for."""

import itertools

import pytest
import rclpy
from rclpy.context import Context

from romp_core import BodyModel
from ros2_romp.camera import Camera
from ros2_romp.topics import topic_beside


@pytest.mark.parametrize(
    ("prefix", "remappings", "expected"),
    [
        ("", [], "/robot/camera_info"),
        ("", ["image:=/front/image_raw"], "/front/camera_info"),
        ("", ["image:=front/image_raw"], "/robot/front/camera_info"),
        ("", ["image:=/image"], "/camera_info"),
        ("", ["image:=/front/image", "camera_info:=/calibration"], "/calibration"),
        ("front/", [], "/robot/front/camera_info"),
        ("front/", ["front/image:=/left/image_raw"], "/left/camera_info"),
    ],
)
def test_camera_info_is_beside_the_image_unless_it_is_remapped(
    ros_environment, prefix, remappings, expected
):
    context = Context()
    rclpy.init(context=context)
    arguments = ["--ros-args", *(word for rule in remappings for word in ("-r", rule))]
    node = rclpy.create_node("romp", namespace="robot", context=context, cli_args=arguments)
    image = node.resolve_topic_name(f"{prefix}image")
    assert topic_beside(node, f"{prefix}camera_info", image) == expected
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("transport", "remappings", "images", "folder"),
    [
        ("raw", [], "/front/image", "/front"),
        ("raw", ["front/image:=/a/image_raw"], "/a/image_raw", "/a"),
        # Each rule counts once, so that two cameras can exchange their topics.
        ("raw", ["front/image:=/rear/image", "rear/image:=/front/image"], "/rear/image", "/rear"),
        ("compressed", ["front/image:=/a/image_raw"], "/a/image_raw/compressed", "/a"),
        ("compressed", ["front/image/compressed:=/a/jpeg/compressed"], "/a/jpeg/compressed", "/a"),
    ],
)
def test_camera_listens_where_the_remappings_say(
    ros_environment, transport, remappings, images, folder
):
    context = Context()
    rclpy.init(context=context)
    arguments = ["--ros-args", *(word for rule in remappings for word in ("-r", rule))]
    node = rclpy.create_node("romp", context=context, cli_args=arguments)
    camera = Camera(node, "front", transport, BodyModel.load("open"), itertools.count(1))
    camera.start(lambda message: None)
    assert camera.image_topic == images
    assert [subscription.topic_name for subscription in node.subscriptions] == [
        images,
        f"{folder}/camera_info",
        f"{folder}/depth",
    ]
    node.destroy_node()
    rclpy.shutdown(context=context)
