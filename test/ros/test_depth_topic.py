"""A depth camera beside the colour camera, over real topics."""

from array import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_driver import picture
from place_factory import depth_of
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from romp_core import BodyModel
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from ros2_romp.camera_info import pinhole
from ros2_romp.client import PeopleDecoder

SIZE = (96, 128)
FARTHER = 1.1


def depth_message(metres: np.ndarray, encoding: str) -> Image:
    """(H, W) metres as a depth image without a header; unknown: NaN."""
    values = metres.astype("<f4")
    if encoding == "16UC1":
        values = np.nan_to_num(1000 * metres + 0.5).astype("<u2")
    height, width = metres.shape
    data = array("B", values.tobytes())
    return Image(
        height=height, width=width, encoding=encoding, step=width * values.itemsize, data=data
    )


class DepthCamera:
    """Publishes depth with the images of a driver."""

    def __init__(self, driver):
        self.driver = driver
        self.publisher = driver.node.create_publisher(Image, "depth", QoSProfile(depth=5))

    def ask(self, depth: Image, seconds_late: int = 0, frame_id: str = "camera_optical"):
        """An answer to an image that depth was published with, again and again."""
        message = self.driver.stamped()
        depth.header.stamp.sec = message.header.stamp.sec + seconds_late
        depth.header.stamp.nanosec = message.header.stamp.nanosec
        depth.header.frame_id = frame_id
        answers = len(self.driver.people)

        def answered() -> bool:
            self.publisher.publish(depth)
            return len(self.driver.people) > answers + 1  # the first may have been too early

        self.driver.publish_until(message, answered)
        return self.driver.people[-1]


@pytest.fixture
def scene(start_node, drive):
    """A depth camera, somebody who is seen, and (H, W) depth of that body farther away."""
    start_node(max_people=1, publish_vertices=True, tracking=False)
    driver = drive()
    camera = DepthCamera(driver)
    info = pinhole(*SIZE, 60.0)
    driver.infos.publish(info)
    message = driver.stamped(picture())
    driver.publish_until(message, lambda: driver.infos.publish(info) or calibrated(driver))
    seen = driver.ask()
    people = PeopleDecoder()(seen)
    people = people.moved((FARTHER - 1) * people.joints.mean(1))
    lens = CameraModel(intrinsics_from_fov(*SIZE, 60.0))
    metres = depth_of(people, BodyModel.load("open").faces, lens, SIZE)
    return camera, seen, np.where(np.isfinite(metres), metres, np.nan)


def calibrated(driver) -> bool:
    status = driver.statuses.get("romp: camera")
    return status is not None and status.level == DiagnosticStatus.OK


def distance(message) -> float:
    """Metres to the middle of the first person's joints."""
    return float(np.mean(message.people[0].joints[2::3]))


def test_depth_places_people_and_what_does_not_belong_to_them_is_refused(scene):
    camera, seen, metres = scene
    driver = camera.driver
    for encoding in ("16UC1", "32FC1"):
        placed = camera.ask(depth_message(metres, encoding))
        assert distance(placed) / distance(seen) == pytest.approx(FARTHER, abs=0.04)
    values = driver.wait_for_status("camera", lambda s, v: s.level == DiagnosticStatus.OK)
    assert values["translation source"].startswith("depth weighs 0.9")
    assert values["translation source"].endswith("for 1 of 1 people")

    good = depth_message(metres, "32FC1")
    wrong = [
        ({"depth": good, "frame_id": "elsewhere"}, "frame 'elsewhere'"),
        ({"depth": good, "seconds_late": -50}, "older than the image"),
        ({"depth": good, "seconds_late": 50}, "than the image"),
        ({"depth": Image(height=96, width=128, encoding="rgb8")}, "'rgb8'; expected 16UC1"),
        ({"depth": depth_message(np.ones((64, 64)), "32FC1")}, "another view"),
    ]
    for options, reason in wrong:
        driver._seconds += 1000  # what was published before is far away in time
        refused = camera.ask(**options)
        assert distance(refused) == pytest.approx(distance(seen), rel=1e-3)
        driver.wait_for_status(
            "camera", lambda s, v, r=reason: s.level == DiagnosticStatus.WARN and r in s.message
        )
    driver._seconds += 1000
    unknown = camera.ask(depth_message(np.full(SIZE, np.nan), "32FC1"))
    assert distance(unknown) == pytest.approx(distance(seen), rel=1e-3)
    driver.wait_for_status("camera", lambda s, v: v["translation source"] == "monocular")
    assert distance(camera.ask(good)) / distance(seen) == pytest.approx(FARTHER, abs=0.04)
    driver._seconds += 1000
    assert driver.set_parameter("max_depth_delay", 10.0).successful
    late = camera.ask(good, seconds_late=5)
    assert distance(late) / distance(seen) == pytest.approx(FARTHER, abs=0.04)
