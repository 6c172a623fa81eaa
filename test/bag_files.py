"""Writes rosbag2 recordings of images for the tests of both layers."""

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
STORAGES = [StoragePlugin.SQLITE3, StoragePlugin.MCAP]
SECOND = 1_000_000_000

# Neither evenly spaced nor ascending, with the extremes of both fields.
STAMPS = [(1700000000, 1), (1700000000, 999_999_999), (0, 0), (2**31 - 1, 5), (12, 345_678_901)]


def header(stamp, frame_id="front_optical"):
    time = STORE.types["builtin_interfaces/msg/Time"](*stamp)
    return STORE.types["std_msgs/msg/Header"](time, frame_id)


def image(stamp, number=0, encoding="rgb8", channels=3, height=6, width=8):
    """Pixels that tell the frames apart."""
    row = width * channels
    data = (np.arange(height * row) + 40 * number).astype(np.uint8)
    return STORE.types["sensor_msgs/msg/Image"](
        header(stamp), height, width, encoding, 0, row, data
    )


def compressed_image(stamp, encoded):
    data = np.frombuffer(encoded, np.uint8)
    return STORE.types["sensor_msgs/msg/CompressedImage"](header(stamp), "jpeg", data)


def camera_info(stamp, focal=500.0, height=6, width=8):
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return STORE.types["sensor_msgs/msg/CameraInfo"](
        header(stamp),
        height,
        width,
        "plumb_bob",
        np.array([0.1, -0.2, 0.001, 0.002, 0.0]),
        np.array([focal, 0, 3.5, 0, focal, 2.5, 0, 0, 1]),
        np.eye(3).ravel(),
        np.array([focal, 0, 3.5, 0, 0, focal, 2.5, 0, 0, 0, 1, 0]),
        0,
        0,
        roi,
    )


def text(content):
    return STORE.types["std_msgs/msg/String"](content)


def write_bag(path: Path, messages, storage=StoragePlugin.MCAP) -> Path:
    """Bag of (topic, message, seconds of recording) triples, in this order."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, message, seconds in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, message.__msgtype__, typestore=STORE
                )
            data = STORE.serialize_cdr(message, message.__msgtype__)
            writer.write(connections[topic], 5 * SECOND + round(seconds * SECOND), data)
    return path
