"""Plays images, a video, a rosbag2 or a webcam to an image topic, with its camera_info."""

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from romp_core.errors import DataError, ImageError
from ros2_romp import command_line
from ros2_romp.camera_info import pinhole, read_calibration, uncalibrated
from ros2_romp.command_line import parse_own, positive, run_in_ros, stop_on_signals
from ros2_romp.image_decoding import to_bgr
from ros2_romp.images import to_image, to_jpeg
from ros2_romp.middleware import make_room_for_images
from ros2_romp.progress import progress
from ros2_romp.sources import DEFAULT_RATE, Frame, RecordedImage, Source, open_source, timed_frames
from ros2_romp.topics import topic_beside

DEFAULT_FRAME_ID = "camera"

MESSAGE_TYPES = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}

QUEUE_DEPTH = 10
"""Frames that are kept for subscribers which have not confirmed them yet."""

UNCONFIRMED_BYTES = 256 * 1024
"""Half of the memory through which Fast DDS talks to the processes of one machine by default. What
does not fit is lost at first and has to be sent again."""

HOLD_UP = Duration(seconds=0.2)
"""How long a slow subscriber may hold up one frame."""

LAST_CONFIRMATION = Duration(seconds=10)
"""How long the last frames may take to arrive before the player ends."""

MATCHING_TIME = 0.5
"""Seconds for the first subscriber's other subscriptions, camera_info for one, to be found too."""

note = partial(command_line.note, "image_player")
"""Tells the user something on stderr."""


class SkippedFrames:
    """The frames that could not be read; names each of them once, however often it is played."""

    def __init__(self) -> None:
        self.reasons: set[str] = set()

    def add(self, reason: object) -> None:
        """Note that a frame was left out."""
        if str(reason) not in self.reasons:
            self.reasons.add(str(reason))
            note(f"left out: {reason}")


class ImagePlayer(Node):
    """Publishes the frames of a source on ``image`` or ``image/compressed``, and ``camera_info``.

    Both topics are reliable. Before more is on its way than fits, the player waits until its
    reliable subscribers have confirmed what came before, so that each frame arrives once however
    fast it plays. A live source is not held up: there the newest frame counts.

    Args:
        source: what to play.
        options: as `parse_arguments` gives them.
        skipped: where frames go that cannot be published.

    Raises:
        FileNotFoundError, DataError: the calibration file is absent or wrong.
    """

    def __init__(self, source: Source, options: argparse.Namespace, skipped: SkippedFrames):
        super().__init__("image_player", start_parameter_services=False)
        self.source = source
        self.options = options
        self.skipped = skipped
        self.calibration = read_calibration(options.camera_info) if options.camera_info else None
        self.image_type = CompressedImage if options.compressed else Image
        # As image_transport does it: remapping `image` also moves its compressed form.
        image_topic = self.resolve_topic_name("image")
        self.image_publisher = self._create_publisher(
            self.image_type, image_topic + "/compressed" * options.compressed
        )
        info_topic = topic_beside(self, "camera_info", image_topic)
        self.info_publisher = self._create_publisher(CameraInfo, info_topic)
        self.recorded_size: tuple[int, int] | None = None
        self.sent = 0
        self.unconfirmed_bytes = 0

    def _create_publisher(self, message_type: type, topic: str) -> Publisher:
        qos = QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        overrides = QoSOverridingOptions.with_default_policies()
        try:
            return self.create_publisher(message_type, topic, qos, qos_overriding_options=overrides)
        except (ParameterException, RuntimeError) as error:  # the latter: no such policy
            raise DataError(f"{topic} cannot be published: {error}") from error

    def wait_for_subscriber(self, stop: threading.Event) -> None:
        """Return when somebody subscribes to the images, or when `stop` is set."""
        note(f"waiting for a subscriber on {self.image_publisher.topic_name}")
        while not self.image_publisher.get_subscription_count() and not stop.wait(0.02):
            pass
        stop.wait(MATCHING_TIME)

    def play(self, stop: threading.Event) -> None:
        """Publish the frames when they are due, until the last one or until `stop` is set.

        Raises:
            DataError: no frame could be published, or the calibration is for another image size.
        """
        length = None if self.options.loop else self.source.length
        start = time.monotonic()
        with progress("frames", length) as advance:
            for due, frame in timed_frames(self.source, self.options.rate, self.options.loop):
                if stop.wait(max(0.0, start + due - time.monotonic())):
                    break
                self._publish(frame)
                advance()
        if not self._confirmed(LAST_CONFIRMATION):
            note("some subscriber did not confirm the last frames")
        if not self.sent and not stop.is_set():
            raise DataError(f"{self.source.name}: none of its frames could be published")

    def _publish(self, frame: Frame) -> None:
        try:
            image = self._image_message(frame.image)
            info = self._info_message(frame.image, image)
        except ImageError as error:
            stamp = ", frame of {}.{:09d} s".format(*frame.stamp) if frame.stamp else ""
            self.skipped.add(f"{self.source.name}{stamp}: {error}")
            return
        self._make_room(len(image.data))
        if self.options.frame_id is not None:
            image.header.frame_id = self.options.frame_id
        if self.options.keep_stamps:
            image.header.stamp.sec, image.header.stamp.nanosec = frame.stamp
        else:
            image.header.stamp = Clock().now().to_msg()
        info.header = image.header
        # First the camera_info: it is there when the image asks for it.
        self.info_publisher.publish(info)
        self.image_publisher.publish(image)
        self.sent += 1

    def _make_room(self, size: int) -> None:
        """Wait until an image of this many bytes pushes no other one out."""
        if self.source.live:
            return
        # Small images fill the queue before they fill the memory.
        size = max(size, UNCONFIRMED_BYTES // QUEUE_DEPTH)
        if self.unconfirmed_bytes + size > UNCONFIRMED_BYTES and self._confirmed(HOLD_UP):
            self.unconfirmed_bytes = 0
        self.unconfirmed_bytes += size

    def _image_message(self, image: np.ndarray | RecordedImage) -> Image | CompressedImage:
        """The message to publish; a recorded one keeps its header, and all of it if it can."""
        if isinstance(image, np.ndarray):
            message = self._encode(image)
            message.header.frame_id = DEFAULT_FRAME_ID
            return message
        recorded_type = MESSAGE_TYPES[image.message_type]
        recorded = _deserialize(image.message, recorded_type)
        if recorded_type is self.image_type:
            return recorded
        message = self._encode(to_bgr(recorded))
        message.header = recorded.header
        return message

    def _encode(self, pixels: np.ndarray) -> Image | CompressedImage:
        return to_jpeg(pixels) if self.options.compressed else to_image(pixels)

    def _info_message(
        self, image: np.ndarray | RecordedImage, message: Image | CompressedImage
    ) -> CameraInfo:
        """The given calibration, else the recorded one, else what the field of view makes of it."""
        if isinstance(image, RecordedImage) and image.camera_info and not self.calibration:
            return _deserialize(image.camera_info, CameraInfo)
        height, width = self._size(image, message)
        if self.calibration is None:
            degrees = self.options.horizontal_fov_deg
            return pinhole(height, width, degrees) if degrees else uncalibrated(height, width)
        if (self.calibration.height, self.calibration.width) != (height, width):
            raise DataError(
                f"{self.options.camera_info} calibrates images of {self.calibration.width}x"
                f"{self.calibration.height} pixels, but {self.source.name} has one of {width}x"
                f"{height}: use a calibration for that size"
            )
        return self.calibration

    def _size(
        self, image: np.ndarray | RecordedImage, message: Image | CompressedImage
    ) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(image, np.ndarray):
            return image.shape[:2]
        if isinstance(message, Image):
            return message.height, message.width
        # Only decoding tells the size of a compressed image; a recording has one size throughout.
        if self.recorded_size is None:
            self.recorded_size = to_bgr(message).shape[:2]
        return self.recorded_size

    def _confirmed(self, timeout: Duration) -> bool:
        """Whether every reliable subscriber confirms all frames before the timeout."""
        publishers = (self.info_publisher, self.image_publisher)
        return all(publisher.wait_for_all_acked(timeout) for publisher in publishers)


def _deserialize(message: bytes, message_type: type) -> Image | CompressedImage | CameraInfo:
    try:
        return deserialize_message(message, message_type)
    except RuntimeError as error:
        raise ImageError(f"a damaged {message_type.__name__} message") from error


def field_of_view(text: str) -> float:
    """Degrees between 0 and 180, for argparse."""
    degrees = float(text)
    if not 0 < degrees < 180:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 180 degrees")
    return degrees


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of the command line, of which the ROS part is left to rclpy; it includes the name."""
    parser = argparse.ArgumentParser(
        "image_player",
        description=__doc__,
        epilog="ROS arguments follow --ros-args: -r image:=/front/image_raw -r __ns:=/front",
    )
    add = parser.add_argument
    add(
        "source",
        help="an image, a folder of images, a video, a rosbag2 (its folder, .mcap or .db3), or a "
        "webcam as 0 or /dev/video0",
    )
    add("--topic", default="", help="image topic of the bag (default: its first one)")
    add(
        "--rate",
        type=positive,
        help=f"frames per second (default: the source's own timing, {DEFAULT_RATE:g} for images)",
    )
    add("--loop", action="store_true", help="start again after the last frame")
    add("--compressed", action="store_true", help="publish JPEG on image/compressed")
    add(
        "--keep-stamps",
        action="store_true",
        help="a bag's own stamps, or the position in a video, in place of the current time",
    )
    add("--frame-id", help=f"frame (default: the bag's own, else {DEFAULT_FRAME_ID!r})")
    add("--camera-info", metavar="YAML", help="calibration file of the camera")
    add(
        "--horizontal-fov-deg",
        type=field_of_view,
        help="field of view that camera_info tells of where no calibration is known (default: "
        "none, camera_info is uncalibrated then)",
    )
    add("--wait-for-subscriber", action="store_true", help="begin when somebody listens")
    return parse_own(parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Play what the options say, to the end or to a signal; gives the exit code."""
    skipped = SkippedFrames()
    source = open_source(
        options.source, topic=options.topic, rate=options.rate, on_unreadable=skipped.add
    )
    if options.keep_stamps and not source.has_stamps:
        raise DataError(
            f"{source.name} holds no stamps to keep; --keep-stamps serves bags and videos"
        )
    stop = stop_on_signals()
    player = ImagePlayer(source, options, skipped)
    if options.wait_for_subscriber:
        player.wait_for_subscriber(stop)
    start = time.monotonic()
    player.play(stop)
    note(
        f"sent {player.sent} frames of {source.name} to {player.image_publisher.topic_name} in "
        f"{time.monotonic() - start:.1f} s; left out {len(skipped.reasons)}"
    )
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it played or was told to stop, 2 when it could not play."""
    arguments = ["image_player", *(sys.argv[1:] if arguments is None else arguments)]
    options = parse_arguments(arguments)
    # The decoders' own remarks would bury the one sentence that helps.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    make_room_for_images()
    return run_in_ros(arguments, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
