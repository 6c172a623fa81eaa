"""Records what the node publishes: people, overlay video, body, and a summary."""

import argparse
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from romp_core.errors import DataError, ImageError
from ros2_romp import command_line
from ros2_romp.client import PeopleDecoder
from ros2_romp.command_line import parse_own, positive, run_in_ros, stop_on_signals
from ros2_romp.image_decoding import to_bgr
from ros2_romp.msg import BodyModel, SmplPersonArray
from ros2_romp.recording import PeopleFormat, Recording

QUEUE_DEPTH = 50
"""Results that may wait while one is written."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


note = partial(command_line.note, "people_recorder")
"""Tells the user something on stderr."""


class PeopleRecorder(Node):
    """Writes the results of one camera to a recording.

    Topics: `people`, `overlay` and `body_model` below the name of the node that it records.

    Args:
        recording: where they go.
        topics: the common start of their names.
    """

    def __init__(self, recording: Recording, topics: str):
        super().__init__("people_recorder", start_parameter_services=False)
        self.recording = recording
        self._decode = PeopleDecoder(with_vertices=False)
        listen = self.create_subscription
        listen(SmplPersonArray, f"{topics}/people", self._on_people, QUEUE_DEPTH)
        listen(Image, f"{topics}/overlay", self._on_overlay, QUEUE_DEPTH)
        listen(BodyModel, f"{topics}/body_model", self._on_body, LATCHED)
        self.last_news = self._now()
        topic = self.resolve_topic_name(f"{topics}/people")
        note(f"waiting for {topic}")

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    @property
    def quiet_seconds(self) -> float:
        """Seconds since the last result; 0 before the first."""
        return self._now() - self.last_news if self.recording.arrivals else 0.0

    def _on_people(self, message: SmplPersonArray) -> None:
        self.last_news = self._now()
        seconds = _seconds(message.header)
        try:
            people = self._decode(message)
        except DataError as error:
            self.get_logger().warning(f"people left out: {error}", throttle_duration_sec=1.0)
            return
        latency = self.last_news - seconds
        self.recording.add_people(people, seconds, latency, message.header.frame_id)

    def _on_overlay(self, message: Image) -> None:
        self.last_news = self._now()
        try:
            self.recording.add_overlay(to_bgr(message), _seconds(message.header))
        except ImageError as error:
            self.get_logger().warning(f"overlay left out: {error}", throttle_duration_sec=1.0)

    def _on_body(self, message: BodyModel) -> None:
        self.recording.add_body(
            id=message.id,
            joint_names=np.array(message.joint_names),
            parents=np.array(message.parents),
            faces=np.reshape(message.faces, (-1, 3)),
            template_vertices=np.reshape(message.template_vertices, (-1, 3)),
        )


def _seconds(header: Header) -> float:
    return Time.from_msg(header.stamp).nanoseconds * 1e-9


def start_of_topics(text: str) -> str:
    """What the names of topics can begin with, for argparse."""
    try:
        validate_topic_name(f"{text}/people")
    except InvalidTopicNameException as error:
        reason = str(error).splitlines()[0].rstrip(":")  # below it is where in the name
        raise argparse.ArgumentTypeError(f"{text!r}: {reason}") from error
    return text


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of the command line, of which the ROS part is left to rclpy; it includes the name."""
    parser = argparse.ArgumentParser(
        "people_recorder",
        description=__doc__,
        epilog="It ends by Ctrl-C, or by --frames or --quiet, and prints the summary.",
    )
    add = parser.add_argument
    add("out", type=Path, help="folder to write to; made if need be")
    add("--overwrite", action="store_true", help="replace the recording that the folder holds")
    add(
        "--topics",
        type=start_of_topics,
        default="romp",
        help="common start of the topics (default: romp; romp/front for the camera front)",
    )
    add(
        "--format",
        choices=get_args(PeopleFormat),
        default="jsonl",
        help="people as one JSON line per image, or one .npz file each (default: jsonl)",
    )
    add("--fps", type=positive, default=10.0, help="frames per second of the video (default: 10)")
    add("--frames", type=int, help="end after so many people messages")
    add("--quiet", type=positive, help="end when nothing has come for so many seconds")
    return parse_own(parser, arguments)


def record(recorder: PeopleRecorder, options: argparse.Namespace, stop: threading.Event) -> None:
    """Record until it is enough."""
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
        if options.frames and len(recorder.recording.arrivals) >= options.frames:
            return
        if options.quiet and recorder.quiet_seconds > options.quiet:
            return


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Record what the options say; 0 when something came, 2 when nothing did."""
    recording = Recording(options.out, options.format, options.fps, overwrite=options.overwrite)
    try:
        recorder = PeopleRecorder(recording, options.topics)
        record(recorder, options, stop)
        recorder.destroy_node()
    finally:
        summary = recording.close()
    width = max(map(len, summary))
    for name, value in summary.items():
        print(f"{name:<{width}}  {value}")
    if not recording.arrivals:
        note(f"nothing came on {options.topics}/people")
        return 2
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when something was recorded, 2 when nothing came or could be written."""
    arguments = ["people_recorder", *(sys.argv[1:] if arguments is None else arguments)]
    options = parse_arguments(arguments)
    stop = stop_on_signals()  # first of all: an early signal must end in a summary too
    return run_in_ros(arguments, lambda: run(options, stop))


if __name__ == "__main__":
    sys.exit(main())
