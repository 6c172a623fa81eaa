"""One camera of the node: its topics, its counts, its markers."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import QoSMessageLostInfo
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from romp_core import BodyModel, People
from romp_core.errors import ImageError
from ros2_romp.calibration import Calibration, calibrate
from ros2_romp.complaints import Complaints
from ros2_romp.depth import DepthBuffer
from ros2_romp.diagnostics import camera_status, depth_trouble, loss_on_the_way
from ros2_romp.image_decoding import read_image, to_bgr
from ros2_romp.images import to_image
from ros2_romp.markers import MarkerStyle, MarkerWriter, Stamp
from ros2_romp.messages import body_message, serialized_people
from ros2_romp.middleware import FAST_DDS_PROFILE
from ros2_romp.msg import BodyModel as BodyModelMessage
from ros2_romp.msg import SmplPersonArray
from ros2_romp.parameters import Settings
from ros2_romp.refinement import Moment, Refiner
from ros2_romp.statistics import Statistics
from ros2_romp.topics import subscribe, topic_beside

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Best effort hears reliable and best-effort publishers; nothing queues behind a slow network."""

DEPTHS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""None is skipped: which one belongs to an image is only known later."""

RESULTS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)

UNPLACED_LIMIT = 10
"""Images in a row without good calibration, or with depth that does not serve, after which the log
says so: camera_info and depth may come late."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The last message also reaches whoever subscribes later."""


@dataclass(frozen=True)
class Frame:
    """An image that is ready for the network.

    Attributes:
        stamp: its header.
        pixels: (H, W, 3) uint8 BGR.
        calibration: of its camera.
    """

    stamp: Stamp
    pixels: np.ndarray
    calibration: Calibration

    @property
    def header(self) -> Header:
        """The image's own header, which is that of everything that follows from it."""
        header = Header(frame_id=self.stamp.frame_id)
        header.stamp.sec, header.stamp.nanosec = self.stamp.seconds, self.stamp.nanoseconds
        return header


@dataclass(frozen=True)
class Wanted:
    """What is to be published beside the people."""

    vertices: bool
    markers: bool
    overlay: bool

    @property
    def needs_meshes(self) -> bool:
        """Whether any of it shows the bodies' surface."""
        return self.vertices or self.markers or self.overlay


class Camera:
    """Publishers of one camera and, while it is started, its subscriptions.

    Args:
        node: that it belongs to.
        name: prefix of its topics; empty: none.
        transport: ``raw`` or ``compressed``.
        body: whose people it publishes.
        ids: where track ids come from; one for all cameras.

    Attributes:
        statistics: of the time since it was started.
        image_topic: where its images come from.
    """

    def __init__(
        self, node: LifecycleNode, name: str, transport: str, body: BodyModel, ids: Iterator[int]
    ):
        self.name = name
        self.statistics = Statistics()
        self._node = node
        self._prefix = f"{name}/" if name else ""
        self._compressed = transport == "compressed"
        topic = self.image_topic = node.resolve_topic_name(f"{self._prefix}image")
        if self._compressed:
            # As image_transport does it: remapping `image` also moves its compressed form, which
            # can be remapped by itself, too.
            self.image_topic = node.resolve_topic_name(f"{topic}/compressed")
            topic = self.image_topic.removesuffix("/compressed")
        self._info_topic = topic_beside(node, f"{self._prefix}camera_info", topic)
        self._depth_topic = topic_beside(node, f"{self._prefix}depth", topic)
        self._body = body
        self._depth = DepthBuffer()
        self._refiner = Refiner(body, ids)
        self._info: CameraInfo | None = None
        self._frame_id = ""
        self._calibration_complaints = self._complaints(
            f"camera_info is expected on {self._info_topic}", UNPLACED_LIMIT
        )
        self._depth_complaints = self._complaints(
            f"depth is expected on {self._depth_topic}", UNPLACED_LIMIT
        )
        self._loss_complaints = self._complaints(self._against_loss(), 1)
        self._marker_writer = MarkerWriter(name or "people", body.faces, body.mesh.count)
        self._subscriptions: list[Subscription] = []
        self._publishers: list[Publisher] = []
        try:
            self._people = self._create_publisher(SmplPersonArray, "people", RESULTS)
            self._markers = self._create_publisher(MarkerArray, "markers", RESULTS)
            self._overlay = self._create_publisher(Image, "overlay", RESULTS)
            self._body_model = self._create_publisher(BodyModelMessage, "body_model", LATCHED)
        except Exception:
            self.destroy()  # nobody else will: those before the one that cannot be had
            raise
        self._body_model.publish(body_message(body))

    def start(self, on_image: Callable[[bytes], None]) -> None:
        """Listen to the camera; when that fails, `stop` ends what it has begun.

        Args:
            on_image: called with each image, serialised: one that is replaced before its turn is
                never unpacked, and a damaged one raises nothing in the executor.
        """
        self.statistics = Statistics()
        image_type = CompressedImage if self._compressed else Image
        self._subscribe(
            image_type, "image", self.image_topic, on_image, raw=True, on_lost=self._on_lost
        )
        self._subscribe(CameraInfo, "camera_info", self._info_topic, self._on_info)
        self._subscribe(Image, "depth", self._depth_topic, self._on_depth, raw=True, qos=DEPTHS)

    def stop(self) -> None:
        """Listen no more, and take the markers back."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._info = None
        self._depth = DepthBuffer()
        self._refiner.tracker.reset()
        if self.shows_markers:
            now = self._node.get_clock().now().to_msg()
            self._take_markers_back(Stamp(now.sec, now.nanosec, ""))

    def destroy(self) -> None:
        """Take its topics away."""
        self.stop()
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers = []

    def unpack(self, message: bytes, settings: Settings) -> Frame | None:
        """Make a serialised image ready for the network; None, and counted, if that cannot be."""
        try:
            image = read_image(message, compressed=self._compressed)
            stamp = Stamp(image.seconds, image.nanoseconds, image.frame_id)
            if 0 < settings.max_image_age < self._age(stamp):
                self.statistics.stale()
                return None
            pixels = to_bgr(image.fields)
        except ImageError as error:
            self.statistics.refused(str(error))
            self._node.get_logger().warning(
                f"{self.image_topic}: {error}", throttle_duration_sec=1.0
            )
            return None
        self._depth.await_moment(stamp)
        return Frame(stamp, pixels, self._calibration(*pixels.shape[:2], settings))

    @property
    def needs_meshes(self) -> bool:
        """Whether people are to be compared with depth."""
        return bool(self._depth)

    def refine(
        self, frame: Frame, people: People, settings: Settings, *, with_vertices: bool
    ) -> People:
        """The people of an image in their place by depth, with ids, smoothed.

        Args:
            frame: the image.
            people: as predicted, with vertices if `needs_meshes`.
            settings: of this moment.
            with_vertices: whether the result needs meshes.
        """
        if frame.stamp.frame_id != self._frame_id:  # places before are those of another frame
            self._refiner.tracker.reset()
            self._frame_id = frame.stamp.frame_id
        seconds = frame.stamp.seconds + frame.stamp.nanoseconds * 1e-9
        moment = Moment(seconds, frame.pixels.shape[:2], frame.calibration, depth=None)
        people = self._placed(frame, people, moment, settings)
        people = self._refiner.track(people, moment, settings, with_vertices=with_vertices)
        tracker = self._refiner.tracker
        self.statistics.stamps(tracker.resets, tracker.repeated_stamps)
        return people

    def _placed(self, frame: Frame, people: People, moment: Moment, settings: Settings) -> People:
        """The people in their place by depth, where there is some that serves."""
        source = "monocular"
        # The first depth image may come while the network works without meshes.
        if self._depth and (not len(people) or people.vertices.shape[1]):
            try:
                depth = self._depth.at(frame.stamp, settings.max_depth_delay)
                placed = self._refiner.place(people, replace(moment, depth=depth))
                people, source = placed.people, placed.source
                self._note_depth("")
            except ImageError as error:
                self._note_depth(str(error))
        self.statistics.translation_source(source)
        return people

    def _note_depth(self, problem: str) -> None:
        self.statistics.depth_problem(problem)
        self._depth_complaints.note(depth_trouble(problem))

    def wanted(self, settings: Settings) -> Wanted:
        """What parameters and listeners ask for at this moment."""
        return Wanted(
            vertices=settings.publish_vertices,
            markers=settings.publish_markers and self._markers.get_subscription_count() > 0,
            overlay=self._overlay.get_subscription_count() > 0,
        )

    def publish(self, frame: Frame, people: People, wanted: Wanted) -> None:
        """Publish the people of an image, also when there are none.

        Args:
            frame: the image.
            people: in it; with vertices if `wanted.vertices`.
            wanted: what goes with them.
        """
        size = frame.pixels.shape[:2]
        self._people.publish(
            serialized_people(people, frame.header, self._body.id, size, wanted.vertices)
        )

    @property
    def shows_markers(self) -> bool:
        """Whether there are markers that are still to be taken back."""
        return self._marker_writer.shows_something

    def publish_markers(
        self, frame: Frame, people: People, wanted: Wanted, settings: Settings
    ) -> None:
        """Publish the markers of an image, or take back those that nobody asks for any more.

        Args:
            frame: the image.
            people: in it; with vertices if `wanted.markers`.
            wanted: whether there are to be markers.
            settings: what they look like.
        """
        if wanted.markers:
            style = MarkerStyle(
                alpha=settings.marker_alpha,
                lifetime=settings.marker_lifetime,
                shading=settings.marker_shading,
                skeleton=settings.marker_skeleton,
                labels=settings.marker_labels,
            )
            self._markers.publish(self._marker_writer.write(people, frame.stamp, style))
        elif self.shows_markers:
            self._take_markers_back(frame.stamp)

    def publish_overlay(self, frame: Frame, picture: np.ndarray) -> None:
        """Publish (H, W, 3) uint8 BGR with the image's header."""
        message = to_image(picture)
        message.header = frame.header
        self._overlay.publish(message)

    def count_answer(self, frame: Frame, people: int, network: float, overhead: float) -> None:
        """Note that everything about an image is published; times as in `Report`, in seconds."""
        self.statistics.answered(self._age(frame.stamp), network, overhead, people)

    def diagnose(self, name: str) -> DiagnosticStatus:
        """Its status, under this name; the log is told when images begin to get lost."""
        report = self.statistics.report()
        self._loss_complaints.note(loss_on_the_way(report))
        return camera_status(name, report, self.image_topic)

    def _against_loss(self) -> str:
        """What helps against images that are lost on the way."""
        compressed = "" if self._compressed else ", or set image_transport: compressed"
        return (
            f"start the camera's driver with FASTRTPS_DEFAULT_PROFILES_FILE={FAST_DDS_PROFILE}, or "
            f"this node with -p qos_overrides.{self.image_topic}.subscription.reliability:=reliable"
            f"{compressed}"
        )

    def _complaints(self, remedy: str, patience: int) -> Complaints:
        return Complaints(self._node.get_logger().warning, self.image_topic, remedy, patience)

    def _on_lost(self, event: QoSMessageLostInfo) -> None:
        self.statistics.lost(event.total_count_change)

    def _take_markers_back(self, stamp: Stamp) -> None:
        nobody = People.empty(vertices=self._body.mesh.count)
        while self.shows_markers:
            self._markers.publish(self._marker_writer.write(nobody, stamp, MarkerStyle()))

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_depth(self, message: bytes) -> None:
        try:
            self._depth.put(message)
        except ImageError as error:
            self._note_depth(str(error))

    def _calibration(self, height: int, width: int, settings: Settings) -> Calibration:
        calibration = calibrate(
            self._info,
            height,
            width,
            rectified=settings.rectified,
            horizontal_fov_deg=settings.horizontal_fov_deg,
        )
        self.statistics.calibration_problem(calibration.problem)
        self._calibration_complaints.note(calibration.problem)
        return calibration

    def _age(self, stamp: Stamp) -> float:
        """Seconds since a stamp, by the node's clock."""
        then = stamp.seconds * 1_000_000_000 + stamp.nanoseconds
        return (self._node.get_clock().now().nanoseconds - then) * 1e-9

    def _subscribe(
        self,
        message_type: type,
        name: str,
        topic: str,
        callback: Callable,
        qos: QoSProfile = NEWEST,
        **options: Any,
    ) -> None:
        name = self._prefix + name
        if self._node.resolve_topic_name(name) == topic:
            topic = name  # to be remapped once: of two cameras, one may have the other's topics
        self._subscriptions.append(
            subscribe(self._node, message_type, topic, callback, qos, **options)
        )

    def _create_publisher(self, message_type: type, name: str, qos: QoSProfile) -> Publisher:
        overrides = QoSOverridingOptions.with_default_policies()
        topic = f"~/{self._prefix}{name}"
        # The profile is copied: an override is written into it.
        publisher = self._node.create_publisher(
            message_type, topic, copy.copy(qos), qos_overriding_options=overrides
        )
        self._publishers.append(publisher)
        return publisher
