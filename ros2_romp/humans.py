"""Tracked people as ROS4HRI (REP 155) has them, for libhri and what builds on it."""

import array
import threading
import time
from typing import NamedTuple

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from romp_core import BodyModel, People
from ros2_romp.human_joints import HUMAN_JOINTS, body_id, human_joint_angles
from ros2_romp.images import to_image

BODIES = "/humans/bodies"
KEPT_S = 5.0
"""Seconds that the topics of somebody stay who is not seen, and that those in the last image of a
camera stay in the list when it sends no more."""

_TIDY_PERIOD = 1.0

SKELETON_JOINTS = (
    "nose", "neck_lsp",
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip_lsp", "right_knee", "right_ankle", "left_hip_lsp", "left_knee", "left_ankle",
    "left_eye", "right_eye", "left_ear", "right_ear",
)  # fmt: skip
"""The points of hri_msgs/Skeleton2D in its order."""


class _BodyTopics(NamedTuple):
    roi: Publisher
    cropped: Publisher
    skeleton: Publisher
    joints: Publisher


class _InView(NamedTuple):
    """Bodies in a camera's last image, and when that came."""

    numbers: list[int]
    seen: float


class Humans:
    """Publishes `tracked`, and `roi`, `cropped`, `skeleton2d` and `joint_states` of each body.

    One for all cameras: REP 155 knows one list of bodies. Topics of a body are made and taken
    away by the executor, so that no thread changes what it waits for; the first images of
    somebody new may therefore only be in the list. Who was in the last image of a camera that has
    fallen silent is gone after a while.

    Args:
        node: that publishes. The package hri_msgs must be installed.
        body: of the people.
    """

    def __init__(self, node: Node, body: BodyModel):
        from hri_msgs.msg import (  # an option: not every robot has it
            IdsList,
            NormalizedPointOfInterest2D,
            NormalizedRegionOfInterest2D,
            Skeleton2D,
        )

        self._node = node
        self._ids, self._point = IdsList, NormalizedPointOfInterest2D
        self._region, self._skeleton = NormalizedRegionOfInterest2D, Skeleton2D
        names = body.joint_names
        self._skeleton_joints = [
            names.index(joint) if joint in names else None for joint in SKELETON_JOINTS
        ]
        self._tracked = node.create_publisher(IdsList, f"{BODIES}/tracked", 1)
        self._topics: dict[int, _BodyTopics] = {}
        self._lock = threading.Lock()  # of the next three; images come by another thread
        self._seen: dict[int, float] = {}
        self._of_camera: dict[str, _InView] = {}
        self._listed: list[int] = []
        # Not the node's clock: a simulation may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_TIDY_PERIOD, self._tidy, clock=steady)

    def publish(self, camera: str, people: People, header: Header, pixels: np.ndarray) -> None:
        """Publish everybody in an image who has an id.

        Args:
            camera: that took it; the others' bodies stay in the list.
            people: in it.
            header: of it.
            pixels: (H, W, 3) uint8 BGR, the image itself, not kept.
        """
        people, size = people[people.track_ids > 0], pixels.shape[:2]
        numbers, now = people.track_ids.tolist(), time.monotonic()
        with self._lock:
            self._of_camera[camera] = _InView(numbers, now)
            self._seen |= dict.fromkeys(numbers, now)
            self._list_bodies(header)
        angles = human_joint_angles(people.pose)
        for index, number in enumerate(people.track_ids.tolist()):
            topics = self._topics.get(number)
            if topics is not None:
                topics.roi.publish(self._roi_message(people, index, header, size))
                topics.skeleton.publish(self._skeleton_message(people, index, header, size))
                topics.joints.publish(joint_message(number, angles[index], header))
                if topics.cropped.get_subscription_count():
                    crop = cropped(pixels, people.boxes[index])
                    if crop.size:
                        message = to_image(crop)
                        message.header = header
                        topics.cropped.publish(message)
        self._node.executor.create_task(self._match_topics)

    def clear(self) -> None:
        """Tell that nobody is tracked, and take the bodies' topics away."""
        with self._lock:
            self._of_camera, self._seen = {}, {}
            if self._listed:
                self._list_bodies(self._now())
        self._match_topics()

    def destroy(self) -> None:
        """Take all topics away."""
        self.clear()
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._tracked)

    def _tidy(self) -> None:
        """Forget who was last seen by cameras that have fallen silent."""
        oldest = time.monotonic() - KEPT_S
        with self._lock:
            for camera in [name for name, view in self._of_camera.items() if view.seen < oldest]:
                del self._of_camera[camera]
            if self._in_view() != self._listed:
                self._list_bodies(self._now())
        self._match_topics()

    def _list_bodies(self, header: Header) -> None:
        self._listed = self._in_view()
        ids = [body_id(number) for number in self._listed]
        self._tracked.publish(self._ids(header=header, ids=ids))

    def _in_view(self) -> list[int]:
        return sorted({number for view in self._of_camera.values() for number in view.numbers})

    def _now(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg())

    def _match_topics(self) -> None:
        """Make topics for who is new, and take those of who is gone away."""
        oldest = time.monotonic() - KEPT_S
        with self._lock:
            self._seen = {number: seen for number, seen in self._seen.items() if seen >= oldest}
            present = set(self._seen)
        for number in present - self._topics.keys():
            self._topics[number] = self._advertise(number)
        for number in self._topics.keys() - present:
            for publisher in self._topics.pop(number):
                self._node.destroy_publisher(publisher)

    def _advertise(self, number: int) -> _BodyTopics:
        def publisher(message_type: type, name: str) -> Publisher:
            return self._node.create_publisher(
                message_type, f"{BODIES}/{body_id(number)}/{name}", 1
            )

        return _BodyTopics(
            publisher(self._region, "roi"),
            publisher(Image, "cropped"),
            publisher(self._skeleton, "skeleton2d"),
            publisher(JointState, "joint_states"),
        )

    def _roi_message(self, people: People, index: int, header: Header, size: tuple[int, int]):
        corners = _normalized(people.boxes[index].reshape(2, 2), size).ravel().tolist()
        names = ("xmin", "ymin", "xmax", "ymax")
        confidence = _confidence(people, index)
        return self._region(header=header, c=confidence, **dict(zip(names, corners, strict=True)))

    def _skeleton_message(self, people: People, index: int, header: Header, size: tuple[int, int]):
        confidence = _confidence(people, index)
        points = []
        for joint in self._skeleton_joints:
            if joint is None:
                points.append(self._point())
                continue
            pixel = people.keypoints_2d[index, joint]
            inside = bool(((pixel >= -0.5) & (pixel <= np.subtract(size[::-1], 0.5))).all())
            x, y = _normalized(pixel, size).tolist()
            points.append(self._point(x=x, y=y, c=confidence * inside))
        return self._skeleton(header=header, skeleton=points)


def joint_message(number: int, angles: np.ndarray, header: Header) -> JointState:
    """Angles (20,) of one body, under the names that the URDF model of this body has."""
    names = [f"{joint}_{body_id(number)}" for joint in HUMAN_JOINTS]
    return JointState(header=header, name=names, position=array.array("d", angles.tolist()))


def cropped(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of an image that a box touches, not copied.

    Args:
        pixels: (H, W, 3).
        box: (4,) xyxy, pixels; it may reach out of the image.

    Returns:
        (h, w, 3); empty where the box lies beside the image.
    """
    height, width = pixels.shape[:2]
    limits = (width, height, width, height)
    # A pixel reaches half of its size to each side of its centre.
    left, top, right, bottom = np.clip(np.floor(box + 0.5) + (0, 0, 1, 1), 0, limits).astype(int)
    return pixels[top:bottom, left:right]


def _normalized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Points (*, 2) in pixels as shares 0..1 of the image's width and height."""
    return np.clip((pixels + 0.5) / size[::-1], 0, 1)


def _confidence(people: People, index: int) -> float:
    return float(np.clip(people.confidence[index], 0, 1))
