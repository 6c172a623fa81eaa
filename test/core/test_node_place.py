"""What the node knows about place: calibration, depth images, identities. Needs no ROS."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from place_factory import depth_of, standing_people

from romp_core.errors import ImageError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.depth import DepthImage
from ros2_romp.calibration import Calibration, calibrate
from ros2_romp.cdr import CdrWriter
from ros2_romp.depth import KEPT, DepthBuffer, to_metres
from ros2_romp.image_decoding import RawFields
from ros2_romp.markers import Stamp
from ros2_romp.parameters import Settings
from ros2_romp.refinement import Moment, Refiner, describe_shares

# Calibration

K = [500.0, 0, 320, 0, 510, 240, 0, 0, 1]
P = [450.0, 0, 318, 0, 0, 460, 238, 0, 0, 0, 1, 0]


def camera_info(**changed):
    fields = {"height": 480, "width": 640, "k": K, "p": P, "d": [], "distortion_model": ""}
    fields |= {"binning_x": 0, "binning_y": 0, "roi": region(0, 0, 0, 0)}
    return SimpleNamespace(**{**fields, **changed})


def region(x: int, y: int, width: int, height: int):
    return SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height)


def calibrated(info, rectified=False):
    return calibrate(info, 480, 640, rectified=rectified, horizontal_fov_deg=60.0)


def test_camera_is_that_of_camera_info():
    found = calibrated(camera_info())
    np.testing.assert_array_equal(found.camera.intrinsics, np.reshape(K, (3, 3)))
    assert found.camera.is_pinhole
    assert found.is_known
    assert found.problem == ""
    without_size = calibrated(camera_info(height=0, width=0))
    np.testing.assert_array_equal(without_size.camera.intrinsics, found.camera.intrinsics)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("plumb_bob", [-0.3, 0.1, 0, 0, 0]),
        ("rational_polynomial", [0.1] * 8),
        ("equidistant", [0.1] * 4),
        ("equidistant", [0.0] * 4),  # an ideal fisheye, not a pinhole
    ],
)
def test_lens_is_that_of_camera_info_unless_images_are_rectified(model, coefficients):
    info = camera_info(distortion_model=model, d=coefficients)
    found = calibrated(info)
    assert (found.camera.distortion, found.problem) == (model, "")
    assert found.camera.coefficients == tuple(coefficients)
    rectified = calibrated(info, rectified=True)
    assert rectified.camera.is_pinhole
    assert rectified.camera.intrinsics[0, 0] == 450


@pytest.mark.parametrize(
    ("model", "coefficients", "told"),
    [
        ("plumb_bob", [-0.3, 0, 0, 0, 0], True),
        ("rational_polynomial", [-0.3, 0, 0, 0, 0, 0, 0, 0], True),
        ("plumb_bob", [-0.03, 0, 0, 0, 0], False),
        ("equidistant", [-0.03, 0, 0, 0], False),  # shows 180 degrees within the picture
    ],
)
def test_lens_without_inverse_at_the_border_is_told_and_used(model, coefficients, told):
    wide = [200.0, 0, 320, 0, 200, 240, 0, 0, 1]
    found = calibrated(camera_info(k=wide, distortion_model=model, d=coefficients))
    assert ("no inverse at the picture's border: calibrate again" in found.problem) == told
    assert found.camera.coefficients == tuple(coefficients)
    assert found.is_known


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"binning_x": 2, "binning_y": 2}, [[250, 0, 160], [0, 255, 120]]),
        ({"roi": region(0, 0, 1280, 960), "binning_x": 2, "binning_y": 2}, None),
        ({"roi": region(100, 40, 320, 240)}, [[500, 0, 220], [0, 510, 200]]),
        (
            {"roi": region(100, 40, 320, 480), "binning_y": 2},
            [[500, 0, 220], [0, 255, 100]],
        ),
    ],
)
@pytest.mark.parametrize("rectified", [False, True])
def test_intrinsics_are_those_of_the_part_that_is_sent(changed, expected, rectified):
    """By the comments of sensor_msgs/CameraInfo: K and P are the whole sensor's, unbinned."""
    size = (240, 320) if expected else (480, 640)
    info = camera_info(**changed, p=[500.0, 0, 320, 0, 0, 510, 240, 0, 0, 0, 1, 0])
    found = calibrate(info, *size, rectified=rectified, horizontal_fov_deg=60.0)
    assert found.is_known
    # Some drivers announce what they do, and give the intrinsics of what they send all the same.
    expected = expected or np.reshape(K, (3, 3))[:2]
    np.testing.assert_allclose(found.camera.intrinsics[:2], expected)


@pytest.mark.parametrize(
    ("model", "coefficients", "reason"),
    [
        ("fisheye62", [0.1] * 6, "'fisheye62'; expected one of plumb_bob"),
        ("plumb_bob", [0.1] * 3, "expected 0 or 4 or 5 finite numbers"),
        ("equidistant", [float("nan")] * 4, "finite numbers"),
    ],
)
def test_unknown_lens_leaves_the_intrinsics(model, coefficients, reason):
    found = calibrated(camera_info(distortion_model=model, d=coefficients))
    assert reason in found.problem
    assert "distortion is not used" in found.problem
    assert found.is_known
    assert found.camera.intrinsics[0, 0] == 500


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (None, "no camera_info"),
        (camera_info(k=[0.0] * 9), "K is zero"),
        (camera_info(height=240, width=320), "320x240 pixels, but the image has 640x480"),
        (camera_info(height=240, width=320, binning_x=2, binning_y=2), "320x240 pixels"),
        (camera_info(k=[-500.0, 0, 320, 0, 510, 240, 0, 0, 1]), "focal"),
        (camera_info(k=[float("nan"), 0, 320, 0, 510, 240, 0, 0, 1]), "finite"),
    ],
)
def test_camera_info_that_cannot_serve_says_why(info, reason):
    found = calibrated(info)
    assert reason in found.problem
    assert "horizontal_fov_deg is used" in found.problem
    assert not found.is_known
    np.testing.assert_array_equal(found.camera.intrinsics, intrinsics_from_fov(480, 640, 60.0))


def test_rectified_images_need_a_projection_matrix():
    assert "focal" in calibrated(camera_info(p=[0.0] * 12), rectified=True).problem


# Depth images


def depth_message(
    seconds: float, frame_id: str = "camera", value: float = 1500, encoding: str = "16UC1"
) -> bytes:
    """Serialised sensor_msgs/Image of 4x3 equal depths."""
    values = np.full(12, value, "<u2" if encoding == "16UC1" else "<f4")
    writer = CdrWriter()
    writer.numbers("iI", int(seconds), round(seconds % 1 * 1e9))
    writer.string(frame_id)
    writer.numbers("II", 3, 4)
    writer.string(encoding)
    writer.numbers("BI", 0, 4 * values.itemsize)
    writer.sequence(values.view(np.uint8))
    return writer.finish()


def stamp(seconds: float, frame_id: str = "camera") -> Stamp:
    return Stamp(int(seconds), round(seconds % 1 * 1e9), frame_id)


def buffer_of(*messages: bytes) -> DepthBuffer:
    buffer = DepthBuffer()
    for message in messages:
        buffer.put(message)
    return buffer


def test_depth_nearest_in_time_is_taken():
    buffer = buffer_of(*(depth_message(10 + 0.1 * n, value=1000 + n) for n in range(5)))
    for number in (0, 2, 4):
        depth = buffer.at(stamp(10.01 + 0.1 * number), 0.05)
        np.testing.assert_allclose(depth.metres, 1 + number / 1000)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (stamp(10.06), "0.060 s older than the image; expected at most max_depth_delay, 0.05 s"),
        (stamp(9.94), "0.060 s newer than the image"),
        (stamp(10.0, "other"), "of frame 'camera', the image of 'other'"),
        (stamp(0.0), "10.000 s newer"),
    ],
)
def test_depth_of_another_moment_or_frame_is_refused(image, reason):
    with pytest.raises(ImageError, match=reason):
        buffer_of(depth_message(10.0)).at(image, 0.05)


@pytest.mark.parametrize(
    ("value", "encoding", "reason"),
    [
        (0, "16UC1", "knows no distance"),
        (np.nan, "32FC1", "knows no distance"),
        (np.inf, "32FC1", "knows no distance"),
        (-1, "32FC1", "knows no distance"),
        (3000, "32FC1", "farther away than 3000 m; expected metres in 32FC1"),
    ],
)
def test_depth_that_can_serve_nobody_is_refused(value, encoding, reason):
    with pytest.raises(ImageError, match=reason):
        buffer_of(depth_message(10.0, value=value, encoding=encoding)).at(stamp(10.0), 0.05)


def test_of_equal_stamps_the_newest_depth_is_taken():
    """Some drivers never set them."""
    buffer = buffer_of(*(depth_message(0.0, value=1000 + n) for n in range(3)))
    np.testing.assert_allclose(buffer.at(stamp(0.0), 0.05).metres, 1.002)


def test_empty_buffer_has_no_depth():
    assert not DepthBuffer()
    with pytest.raises(ImageError, match="no depth image has come"):
        DepthBuffer().at(stamp(1.0), 1.0)


def test_only_the_last_depth_images_are_kept():
    buffer = buffer_of(*(depth_message(float(n)) for n in range(KEPT + 1)))
    buffer.at(stamp(1.0), 0.0)
    with pytest.raises(ImageError, match="newer"):
        buffer.at(stamp(0.0), 0.0)


def test_depth_of_the_moment_awaited_outlives_what_comes_later():
    buffer = buffer_of(*(depth_message(float(n), value=1000 + n) for n in range(KEPT)))
    buffer.await_moment(stamp(3.0))
    for number in range(KEPT, 3 * KEPT):
        buffer.put(depth_message(float(number), value=1000 + number))
    for number in (3, 2 * KEPT + 1, 3 * KEPT - 1):
        metres = buffer.at(stamp(float(number)), 0.0).metres
        np.testing.assert_allclose(metres, 1 + number / 1000)
    with pytest.raises(ImageError, match=r"1\.000 s older"):  # the one awaited
        buffer.at(stamp(4.0), 0.0)


def test_bytes_that_are_no_depth_message_are_refused():
    with pytest.raises(ImageError, match="not an image message"):
        DepthBuffer().put(depth_message(1.0)[:30])


def fields_of(values: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False):
    """As sensor_msgs/Image has them."""
    order = ">" if big_endian else "<"
    rows = values.astype(values.dtype.newbyteorder(order)).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return RawFields(*values.shape, encoding, big_endian, rows.shape[1], memoryview(rows.tobytes()))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16", "32FC1"])
def test_depth_encodings(encoding, padding, big_endian):
    metres = np.random.default_rng(0).integers(0, 60_000, (5, 7)) / 1000
    metres[0] = 0
    values = metres.astype(np.float32) if encoding == "32FC1" else np.uint16(metres * 1000 + 0.5)
    found = to_metres(fields_of(values, encoding, padding, big_endian))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, metres, atol=1e-3)


def test_unknown_depth_stays_unknown():
    values = np.array([[np.nan, np.inf, 1.0]], np.float32)
    found = to_metres(fields_of(values, "32FC1"))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "rgb8"}, "'rgb8'; expected 16UC1"),
        ({"height": 0}, "4x0 pixels"),
        ({"height": 2**31}, "expected 1 to"),
        ({"step": 3}, "step is 3"),
        ({"data": memoryview(b"123")}, "found 3"),
    ],
)
def test_damaged_depth_is_refused(changes, reason):
    fields = fields_of(np.ones((3, 4), np.uint16), "16UC1")
    with pytest.raises(ImageError, match=reason):
        to_metres(RawFields(**{**vars(fields), **changes}))


# Place, identities, smoothing

SIZE = (240, 320)
CAMERA = CameraModel(intrinsics_from_fov(*SIZE))
BOTH = np.array([[-0.7, 0.0, 3.0], [0.8, 0.0, 4.0]])


def moment(seconds: float, depth: DepthImage | None = None) -> Moment:
    return Moment(seconds, SIZE, Calibration(CAMERA), depth)


def test_depth_moves_people_and_is_said(open_body):
    people = standing_people(open_body, CAMERA, BOTH)
    depth = depth_of(people, open_body.faces, CAMERA, SIZE)
    farther = people.moved(0.1 * BOTH)
    placed = Refiner(open_body, itertools.count(1)).place(
        farther, moment(1.0, DepthImage(depth.astype(np.float32)))
    )
    np.testing.assert_allclose(placed.people.joints.mean(1)[:, 2], BOTH[:, 2], atol=0.05)
    assert placed.source.startswith("depth weighs 0.99")
    assert placed.source.endswith("for 2 of 2 people")


def test_people_without_depth_are_monocular(open_body):
    people = standing_people(open_body, CAMERA, BOTH)
    refiner = Refiner(open_body, itertools.count(1))
    nothing = DepthImage(np.zeros(SIZE, np.float32))
    for depth in (None, nothing):
        placed = refiner.place(people, moment(1.0, depth))
        assert placed.source == "monocular"
        np.testing.assert_array_equal(placed.people.translation, people.translation)
    assert describe_shares(np.array([0.9, 0.0, 0.8])) == "depth weighs 0.850 for 2 of 3 people"


def test_cameras_that_share_ids_never_give_one_twice(open_body):
    """Must show. Both see the same two people at the same places."""
    ids = itertools.count(1)
    cameras = [Refiner(open_body, ids) for _ in range(2)]
    people = standing_people(open_body, CAMERA, BOTH)
    settings = Settings(smoothing=0.0)
    found = [set(), set()]
    for step in range(30):
        for seen, refiner in zip(found, cameras, strict=True):
            tracked = refiner.track(people, moment(step / 10), settings, with_vertices=True)
            seen.update(tracked.track_ids[tracked.track_ids > 0].tolist())
    assert len(found[0]) == len(found[1]) == 2
    assert not found[0] & found[1]


def test_clock_that_goes_backwards_begins_anew(open_body):
    refiner = Refiner(open_body, itertools.count(1))
    people = standing_people(open_body, CAMERA, BOTH)

    def ids_at(seconds):
        tracked = refiner.track(people, moment(seconds), Settings(), with_vertices=False)
        return set(tracked.track_ids.tolist()) - {0}

    first = [ids_at(100 + step / 10) for step in range(5)][-1]
    assert ids_at(50.0) == set()
    again = [ids_at(50.1 + step / 10) for step in range(5)][-1]
    assert len(first) == len(again) == 2
    assert not first & again
    assert refiner.tracker.resets == 1
    assert ids_at(50.5) == again  # the same stamp once more
    assert refiner.tracker.repeated_stamps == 1


def test_smoothing_poses_the_body_anew(open_body):
    refiner = Refiner(open_body, itertools.count(1))
    rng = np.random.default_rng(0)
    still = standing_people(open_body, CAMERA, BOTH)
    spread = {0.0: [], 1.0: []}
    for strength, seen in spread.items():
        refiner.tracker.reset()
        for step in range(30):
            shaken = still.moved(rng.normal(0, 0.03, (2, 3)))
            settings = Settings(smoothing=strength)
            found = refiner.track(shaken, moment(step / 30), settings, with_vertices=True)
            seen.append(found.joints)
            if strength:
                np.testing.assert_allclose(
                    found.vertices.mean(1) - found.translation,
                    still.vertices.mean(1) - still.translation,
                    atol=1e-3,
                )
    shake = {strength: np.std(seen[10:], axis=0).mean() for strength, seen in spread.items()}
    assert shake[1.0] < 0.5 * shake[0.0]


def test_without_tracking_nobody_has_an_id(open_body):
    refiner = Refiner(open_body, itertools.count(1))
    people = standing_people(open_body, CAMERA, BOTH)
    for step in range(5):
        off = replace(Settings(), tracking=step == 3)
        found = refiner.track(people, moment(step / 10), off, with_vertices=True)
        assert (found.track_ids == 0).all()
