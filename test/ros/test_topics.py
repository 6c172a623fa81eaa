"""Where what belongs to a camera's images is looked for."""

import pytest
import rclpy
from rclpy.context import Context

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
