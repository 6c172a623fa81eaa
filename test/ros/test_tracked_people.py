"""Ids over topics, and what goes by them: markers, TF frames, ROS4HRI."""

import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from node_driver import picture
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from romp_core import BodyModel, People
from ros2_romp.calibration import calibrate
from ros2_romp.camera import Camera, Frame
from ros2_romp.human_joints import HUMAN_JOINTS, REP103_FROM_SMPL, human_joint_angles
from ros2_romp.humans import cropped
from ros2_romp.markers import Stamp
from ros2_romp.parameters import Settings
from ros2_romp.transforms import BodyFrames

BODY_LISTENER = Path(__file__).parent / "body_listener.py"
ALTERED_NODE = Path(__file__).parent / "altered_node.py"


def ids(message) -> list[int]:
    return [person.track_id for person in message.people]


def ask_until_tracked(driver, image=None):
    """The first answer in which everybody has an id: who is seen for the first time has none."""
    for _ in range(10):
        message = driver.ask(image)
        if message.people and all(ids(message)):
            return message
    raise AssertionError(f"nobody got an id: {ids(message)}")


def test_ids_last_and_return_only_to_their_owners(start_node, drive):
    start_node(max_people=5)
    driver = drive()
    first = ask_until_tracked(driver)
    assert len(set(ids(first))) == len(first.people)
    for _ in range(3):
        assert ids(driver.ask()) == ids(first)
    assert driver.set_parameter("tracking", False).successful
    assert not any(ids(driver.ask()))
    assert driver.set_parameter("tracking", True).successful
    assert not set(ids(ask_until_tracked(driver))) & set(ids(first))


def test_two_cameras_never_share_or_swap_ids(start_node, drive):
    """Must show: both see the same picture, so that everybody is at the same place in both."""
    start_node(cameras="[front, rear]", max_people=4)
    drivers = [drive("front"), drive("rear")]
    found = [ids(ask_until_tracked(driver)) for driver in drivers]
    assert not set(found[0]) & set(found[1])
    for _ in range(3):
        messages = [driver.stamped() for driver in drivers]
        for driver, message in zip(drivers, messages, strict=True):
            driver.images.publish(message)
        for driver, message, expected in zip(drivers, messages, found, strict=True):
            driver.publish_until(message, lambda d=driver, m=message: d._answer_to(m))
            assert ids(driver._answer_to(message)) == expected


def test_clock_that_goes_backwards_resets_the_ids(start_node, drive):
    """Must show. A recording that starts again, for example."""
    start_node(max_people=3)
    driver = drive()
    before = ids(ask_until_tracked(driver))
    driver._seconds = 10
    again = driver.ask()
    assert not any(ids(again))
    after = ids(ask_until_tracked(driver))
    assert not set(before) & set(after)
    driver.wait_for_status("camera", lambda s, v: v["clock resets"] == "1")


def test_equal_stamps_are_tolerated_and_counted(start_node, drive):
    start_node(max_people=3)
    driver = drive()
    message = driver.stamped()
    driver.publish_until(message, lambda: len(driver.people) >= 3)
    assert all(ids(driver.people[-1]))
    values = driver.wait_for_status("camera", lambda s, v: int(v["repeated stamps"]) >= 2)
    assert values["clock resets"] == "0"


def test_smoothing_changes_while_the_node_runs(start_node, drive):
    start_node(max_people=1)
    driver = drive()
    generator = np.random.default_rng(0)
    nanoseconds = 0

    def shake() -> float:
        """How much somebody moves whom thirty pictures a second, each with other noise, show."""
        nonlocal nanoseconds
        places = []
        for _ in range(12):
            noise = generator.integers(-12, 13, (96, 128, 3))
            message = driver.stamped(np.clip(picture() + noise, 0, 255).astype(np.uint8))
            nanoseconds += 33_000_000
            message.header.stamp.sec, message.header.stamp.nanosec = 5000, nanoseconds
            driver.publish_until(message, lambda m=message: driver._answer_to(m))
            places.append(driver._answer_to(message).people[0].translation)
        return float(np.std(places[4:], axis=0).max())

    raw = shake()
    assert driver.set_parameter("smoothing", 1.0).successful
    assert shake() < 0.7 * raw


def test_markers_have_the_ids_and_go_with_them(start_node, drive):
    start_node(max_people=3, marker_labels=True)
    driver = drive()
    arrays = []
    driver.listen(MarkerArray, "markers", arrays.append)
    tracked = ask_until_tracked(driver)
    numbers = set(ids(tracked))
    driver.publish_until(driver.stamped(), lambda: arrays and shown(arrays[-1]) == numbers)
    labels = {m.id: m.text for m in arrays[-1].markers if m.type == Marker.TEXT_VIEW_FACING}
    assert labels.keys() == numbers
    assert all(text.startswith(f"{number}: 0.") for number, text in labels.items())
    assert driver.set_parameter("max_people", 1).successful
    driver.publish_until(driver.stamped(), lambda: len(shown(arrays[-1])) == 1)
    gone = {m.id for array in arrays for m in array.markers if m.action == Marker.DELETE}
    # Before they had ids, people were shown under negative numbers.
    assert {number for number in gone if number > 0} == numbers - shown(arrays[-1])


def shown(array: MarkerArray) -> set[int]:
    return {
        m.id for m in array.markers if m.action == Marker.ADD and m.type == Marker.TRIANGLE_LIST
    }


def test_tf_and_ros4hri_go_to_another_process(
    start_node, start_process, drive, with_packages, tmp_path
):
    """As a robot hears them: the packages' own message types, in a process of its own."""
    start_node(environment=with_packages, publish_tf=True, publish_ros4hri=True, max_people=2)
    heard = Heard(tmp_path / "heard.jsonl")
    start_process(BODY_LISTENER, tmp_path / "heard.jsonl", environment=with_packages)
    driver = drive()
    tracked = ask_until_tracked(driver)
    bodies = {f"p{person.track_id}": person.track_id for person in tracked.people}
    topics = {"/tf"} | {
        f"/humans/bodies/{body}/{name}"
        for body in bodies
        for name in ("roi", "cropped", "skeleton2d", "joint_states")
    }
    # Stamps only grow: an image sent twice among newer ones would reset the ids that are awaited.
    driver.spin_until(lambda: publish_more(driver) and heard.last(topics))
    found = heard.last(topics | {"/humans/bodies/tracked"})
    stamps = {stamp_of(found[topic]) for topic in topics}
    driver.spin_until(lambda: stamps <= {people.header.stamp.sec for people in driver.people})
    by_stamp = {people.header.stamp.sec: people for people in driver.people}

    def person_of(message, number):
        people = by_stamp[stamp_of(message)].people
        return next(person for person in people if person.track_id == number)

    assert found["/humans/bodies/tracked"]["ids"] == sorted(bodies)
    answer = by_stamp[stamp_of(found["/tf"])]
    frames = {t["child_frame_id"]: t for t in found["/tf"]["transforms"]}
    assert frames.keys() == {f"body_{body}" for body in bodies}
    for person in answer.people:
        frame = frames[f"body_p{person.track_id}"]
        assert frame["header"]["frame_id"] == "camera_optical"
        origin = [frame["transform"]["translation"][axis] for axis in "xyz"]
        hips = np.reshape(person.joints, (-1, 3))[1:3]
        np.testing.assert_allclose(origin, hips.mean(0), atol=1e-5)
        rotation = Rotation.from_quat([frame["transform"]["rotation"][axis] for axis in "xyzw"])
        smpl = Rotation.from_rotvec(person.pose[:3]).as_matrix()
        np.testing.assert_allclose(rotation.as_matrix(), smpl @ REP103_FROM_SMPL.T, atol=1e-5)

    for body, number in bodies.items():
        topic = f"/humans/bodies/{body}"
        roi = found[f"{topic}/roi"]
        person = person_of(roi, number)
        expected = (np.array(person.box) + 0.5) / [128, 96, 128, 96]
        corners = [roi[name] for name in ("xmin", "ymin", "xmax", "ymax")]
        np.testing.assert_allclose(corners, np.clip(expected, 0, 1), atol=1e-5)
        crop = found[f"{topic}/cropped"]
        pixels = np.reshape(crop["data"], (crop["height"], crop["width"], 3))
        box = np.array(person_of(crop, number).box)
        np.testing.assert_array_equal(pixels, cropped(picture(), box))
        points = found[f"{topic}/skeleton2d"]
        skeleton = points["skeleton"]
        assert len(skeleton) == 18
        person = person_of(points, number)
        for index, joint in ((2, 17), (7, 20), (13, 7)):  # right shoulder, left wrist, left ankle
            pixel = (np.array(person.keypoints_2d[2 * joint : 2 * joint + 2]) + 0.5) / [128, 96]
            found_pixel = [skeleton[index]["x"], skeleton[index]["y"]]
            np.testing.assert_allclose(found_pixel, np.clip(pixel, 0, 1), atol=1e-5)
        states = found[f"{topic}/joint_states"]
        person = person_of(states, number)
        assert states["name"] == [f"{joint}_{body}" for joint in HUMAN_JOINTS]
        angles = human_joint_angles(np.array(person.pose)[None])[0]
        np.testing.assert_allclose(states["position"], angles, atol=1e-4)
    # The camera falls silent: nobody is tracked any more.
    driver.spin_until(lambda: heard.last({"/humans/bodies/tracked"}) and not listed(heard))


def test_nobody_is_tracked_once_the_node_is_deactivated(
    start_node, start_process, drive, with_packages, tmp_path
):
    program = (ALTERED_NODE, "recalling")
    start_node(program=program, environment=with_packages, publish_ros4hri=True, max_people=2)
    heard = Heard(tmp_path / "heard.jsonl")
    start_process(BODY_LISTENER, tmp_path / "heard.jsonl", environment=with_packages)
    driver = drive()
    ask_until_tracked(driver)
    roi = {"/humans/bodies/p1/roi"}
    driver.spin_until(lambda: publish_more(driver) and heard.last(roi) and listed(heard))
    assert driver.change_state("deactivate")
    driver.spin_until(lambda: heard.last(roi) and not listed(heard))
    driver.spin_until(lambda: not driver.node.count_publishers(*roi))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([1.6, 0.4, 2.4, 2.6], (slice(0, 4), slice(2, 3))),
        ([-9.0, -9.0, 99.0, 99.0], (slice(0, 6), slice(0, 8))),
        ([9.0, 1.0, 12.0, 3.0], (slice(1, 4), slice(8, 8))),
    ],
)
def test_crop_is_what_the_box_touches_and_no_copy(box, expected):
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    found = cropped(pixels, np.array(box, np.float32))
    np.testing.assert_array_equal(found, pixels[expected])
    assert np.shares_memory(found, pixels) or not found.size


def test_images_without_a_frame_have_no_tf(monkeypatch, node):
    """Listeners would complain of every transform without a parent."""
    package = SimpleNamespace(TFMessage=lambda transforms: transforms)
    monkeypatch.setitem(sys.modules, "tf2_msgs", package)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", package)
    sent = []
    monkeypatch.setattr(node, "create_publisher", lambda *_: SimpleNamespace(publish=sent.append))
    frames = BodyFrames(node)
    frames.publish(somebody(), Header())
    assert not sent
    frames.publish(somebody(), Header(frame_id="camera"))
    assert sent[0][0].child_frame_id == "body_p1"


def somebody() -> People:
    """One person with id 1."""
    nobody = vars(People.empty())
    return People(
        **{name: np.ones((1, *none.shape[1:]), none.dtype) for name, none in nobody.items()}
    )


def test_ids_end_where_images_come_from_another_frame(node):
    """A switch between cameras, for example: what was near is now elsewhere."""
    camera = Camera(node, "", "raw", BodyModel.load("open"), itertools.count(1))
    settings = Settings(smoothing=0.0)
    calibration = calibrate(None, 96, 128, rectified=False, horizontal_fov_deg=60.0)

    def id_in(frame_id: str, seconds: int) -> int:
        frame = Frame(Stamp(seconds, 0, frame_id), picture(), calibration)
        return int(camera.refine(frame, somebody(), settings, with_vertices=False).track_ids[0])

    assert [id_in("left", seconds) for seconds in range(3)] == [0, 1, 1]
    assert [id_in("right", seconds) for seconds in range(3, 6)] == [0, 2, 2]


def stamp_of(message: dict) -> int:
    """Seconds of a message's stamp, or of its first transform's."""
    first = message["transforms"][0] if "transforms" in message else message
    return first["header"]["stamp"]["sec"]


def publish_more(driver) -> bool:
    """Another image at most ten times a second: listeners find new topics while they come."""
    now = driver.node.get_clock().now().nanoseconds
    if now - getattr(driver, "last_extra", 0) > 1e8:
        driver.last_extra = now
        driver.images.publish(driver.stamped())
    return True


class Heard:
    """What a listening process has written so far."""

    def __init__(self, path: Path):
        path.touch()
        self._file = path.open()
        self._messages = {}

    def last(self, topics: set[str]) -> dict | None:
        """The last message on each topic; None while one is silent."""
        while (line := self._file.readline()).endswith("\n"):
            heard = json.loads(line)
            self._messages[heard["topic"]] = heard["message"]
        if line:  # it is being written
            self._file.seek(self._file.tell() - len(line))
        return self._messages if topics <= self._messages.keys() else None


def listed(heard: Heard) -> list[str]:
    """Bodies in the last list."""
    return heard.last({"/humans/bodies/tracked"})["/humans/bodies/tracked"]["ids"]
