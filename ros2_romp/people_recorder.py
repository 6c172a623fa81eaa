"""Records what the node publishes: people, overlay video, body, and a summary."""

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from romp_core.errors import ImageError
from ros2_romp.client import PeopleDecoder
from ros2_romp.image_decoding import to_bgr
from ros2_romp.image_player import positive, stop_on_signals
from ros2_romp.msg import BodyModel, SmplPersonArray
from ros2_romp.recording import PeopleFormat, Recording

QUEUE_DEPTH = 50
"""Results that may wait while one is written."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


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
        print(f"people_recorder: waiting for {topic}", file=sys.stderr, flush=True)

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    @property
    def quiet_seconds(self) -> float:
        """Seconds since the last result; 0 before the first."""
        return self._now() - self.last_news if self.recording.arrivals else 0.0

    def _on_people(self, message: SmplPersonArray) -> None:
        self.last_news = self._now()
        seconds = _seconds(message.header)
        people = self._decode(message)
        latency = self.last_news - seconds
        self.recording.add_people(people, seconds, latency, message.header.frame_id)

    def _on_overlay(self, message: Image) -> None:
        self.last_news = self._now()
        try:
            self.recording.add_overlay(to_bgr(message), _seconds(message.header))
        except ImageError as error:
            self.get_logger().warning(f"overlay left out: {error}", throttle_duration_sec=1.0)

    def _on_body(self, message: BodyModel) -> None:
        np.savez_compressed(
            self.recording.folder / "body_model.npz",
            id=message.id,
            joint_names=np.array(message.joint_names),
            parents=np.array(message.parents),
            faces=np.reshape(message.faces, (-1, 3)),
            template_vertices=np.reshape(message.template_vertices, (-1, 3)),
        )


def _seconds(header: Header) -> float:
    return Time.from_msg(header.stamp).nanoseconds * 1e-9


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of the command line, without its ROS part."""
    parser = argparse.ArgumentParser(
        "people_recorder",
        description=__doc__,
        epilog="It ends by Ctrl-C, or by --frames or --quiet, and prints the summary.",
    )
    add = parser.add_argument
    add("out", type=Path, help="folder to write to; made if need be")
    add(
        "--topics",
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
    return parser.parse_args(arguments)


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when something was recorded, 2 when nothing came."""
    arguments = sys.argv if arguments is None else ["people_recorder", *arguments]
    options = parse_arguments(remove_ros_args(arguments)[1:])
    stop = stop_on_signals()  # first of all: an early signal must end in a summary too
    recording = Recording(options.out, options.format, options.fps)
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        recorder = PeopleRecorder(recording, options.topics)
        record(recorder, options, stop)
        recorder.destroy_node()
    finally:
        rclpy.try_shutdown()
        summary = recording.close()
    width = max(map(len, summary))
    for name, value in summary.items():
        print(f"{name:<{width}}  {value}")
    if not recording.arrivals:
        print(f"people_recorder: nothing came on {options.topics}/people", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
