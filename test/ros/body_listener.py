"""Writes what it hears on /tf and below /humans/bodies to a file, one JSON object per line."""

import json
import sys

import rclpy
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D, Skeleton2D
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from tf2_msgs.msg import TFMessage

OF_BODY = {
    "roi": NormalizedRegionOfInterest2D,
    "cropped": Image,
    "skeleton2d": Skeleton2D,
    "joint_states": JointState,
}


def plain(value):
    """A message, or a field of one, as JSON has it."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, str | int | float):
        return value
    return [plain(each) for each in value]


class BodyListener(Node):
    """Listens to each body as soon as the list has it."""

    def __init__(self):
        super().__init__("body_listener")
        self.file = open(sys.argv[1], "w", buffering=1)  # noqa: SIM115
        self.known = set()
        self.hear(TFMessage, "/tf")
        self.hear(IdsList, "/humans/bodies/tracked", self.on_list)

    def hear(self, message_type, topic, and_then=lambda message: None):
        def on_message(message):
            self.file.write(json.dumps({"topic": topic, "message": plain(message)}) + "\n")
            and_then(message)

        self.create_subscription(message_type, topic, on_message, 10)

    def on_list(self, message):
        for number in set(message.ids) - self.known:
            self.known.add(number)
            for name, message_type in OF_BODY.items():
                self.hear(message_type, f"/humans/bodies/{number}/{name}")


rclpy.init()
rclpy.spin(BodyListener())
