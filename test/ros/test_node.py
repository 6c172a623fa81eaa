"""The node as a process of its own, over real topics."""

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from image_messages import fields, in_all_encodings
from node_driver import picture
from processes import PLAIN, finish
from rcl_interfaces.msg import ParameterType
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import Marker, MarkerArray

import romp_core
from romp_core.geometry.cameras import intrinsics_from_fov
from ros2_romp.camera import UNPLACED_LIMIT
from ros2_romp.camera_info import pinhole
from ros2_romp.image_decoding import to_bgr
from ros2_romp.images import to_jpeg
from ros2_romp.messages import float_array
from ros2_romp.msg import BodyModel, SmplPersonArray
from ros2_romp.parameters import FIELDS, rule_of

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SEES_NOBODY = {"center_threshold": 1.0}


def as_arrays(message):
    """Fields of all people of a message, side by side."""
    names = ("confidence", "betas", "pose", "translation", "camera", "joints", "keypoints_2d")
    return {name: np.array([getattr(person, name) for person in message.people]) for name in names}


def assert_same_people(found, expected, tolerance=1e-3):
    assert len(found.people) == len(expected.people)
    expected = as_arrays(expected)
    for name, values in as_arrays(found).items():
        np.testing.assert_allclose(values, expected[name], atol=tolerance, rtol=1e-3, err_msg=name)


# Results


def test_people_are_those_of_the_predictor(weights, start_node, drive):
    start_node(publish_vertices=True)
    driver = drive()
    image = picture()
    bodies = []
    driver.listen(BodyModel, "body_model", bodies.append, LATCHED)
    message = driver.ask(image)
    romp = romp_core.load(weights, device="cpu")
    people = romp.predict(image, intrinsics_from_fov(*image.shape[:2], 60.0))

    assert len(message.people) == len(people) > 1
    assert message.header.frame_id == "camera_optical"
    assert (message.image_height, message.image_width) == image.shape[:2]
    for index, person in enumerate(message.people):
        np.testing.assert_allclose(person.pose, people.pose[index], atol=1e-4)
        np.testing.assert_allclose(person.translation, people.translation[index], rtol=1e-3)
        vertices = np.reshape(person.vertices, (-1, 3))
        np.testing.assert_allclose(vertices, people.vertices[index], rtol=1e-3, atol=1e-4)
    driver.spin_until(lambda: bodies)
    assert message.body_model == bodies[0].id == romp.body.id
    np.testing.assert_array_equal(np.reshape(bodies[0].faces, (-1, 3)), romp.body.faces)
    assert list(bodies[0].parents) == list(romp.body.parents)
    template = romp_core.body.files.read_body(romp_core.body.model.OPEN_BODY).v_template
    found = np.reshape(bodies[0].template_vertices, (-1, 3))
    np.testing.assert_allclose(found, template, atol=1e-6)


def test_empty_array_when_nobody_is_seen(start_node, drive):
    start_node(**SEES_NOBODY)
    message = drive().ask()
    assert message.people == []
    assert message.body_model.startswith("open_body-")


def test_every_encoding_gives_the_same_people(start_node, drive):
    """The node's result is that for the same pixels as bgr8, whose equality to the original
    test_image_decoding.py shows; here the messages cross processes, padded and big-endian too."""
    start_node()
    driver = drive()
    image = picture(seed=3)
    for number, (encoding, array) in enumerate(in_all_encodings(image).items()):
        options = {"padding": 4 * (number % 2), "big_endian": array.itemsize > 1 and number % 2 > 0}
        message = image_message(fields(encoding, array, *image.shape[:2], **options))
        found = driver.ask(message)
        assert found.people
        assert_same_people(found, driver.ask(to_bgr(message)))


def image_message(content) -> Image:
    content = vars(content)
    return Image(**{**content, "data": memoryview(content["data"]).cast("B")})


@pytest.mark.parametrize("suffix", ["jpeg", "png"])
def test_compressed_images(start_node, drive, suffix):
    start_node(image_transport="compressed")
    driver = drive(image_type=CompressedImage)
    image = picture()
    message = to_jpeg(image)
    if suffix == "png":
        _, encoded = cv2.imencode(".png", image)
        message = CompressedImage(format="png", data=encoded.tobytes())
    assert driver.ask(message).people


@pytest.mark.parametrize("reliable", [True, False])
def test_reliable_and_best_effort_cameras_are_heard(start_node, drive, reliable):
    start_node()
    assert drive(reliable=reliable).ask().people


def test_namespace_and_remapping(start_node, drive, node, spin_until):
    start_node(["-r", "__ns:=/robot", "-r", "image:=/front/image_raw"])
    found = []
    node.create_subscription(SmplPersonArray, "/robot/romp/people", found.append, 10)
    driver = drive()
    driver.images = node.create_publisher(Image, "/front/image_raw", 1)
    message = driver.stamped()
    driver.publish_until(message, lambda: found)
    assert found[0].header == message.header


# Calibration


def test_camera_info_places_people_and_others_do_not(start_node, drive):
    start_node()
    driver = drive()
    height, width = picture().shape[:2]
    with_default = driver.ask()
    status = "camera"
    driver.wait_for_status(status, lambda s, _: "no camera_info" in s.message)
    driver.infos.publish(pinhole(height // 2, width // 2, 30.0))
    driver.publish_until(driver.stamped(), lambda: is_warned(driver, "for 64x48 pixels"))
    assert_same_people(driver.ask(), with_default)
    driver.infos.publish(CameraInfo(height=height, width=width))
    driver.publish_until(driver.stamped(), lambda: is_warned(driver, "uncalibrated"))
    assert_same_people(driver.ask(), with_default)
    driver.infos.publish(pinhole(height, width, 30.0))
    driver.publish_until(driver.stamped(), lambda: camera_level(driver) == DiagnosticStatus.OK)
    calibrated = driver.ask()
    depth = np.array([person.translation[2] for person in with_default.people])
    far = np.array([person.translation[2] for person in calibrated.people])
    assert (far > 1.5 * depth).all()


def test_log_tells_once_that_there_is_no_camera_info(start_node, drive):
    process = start_node()
    driver = drive()
    for _ in range(UNPLACED_LIMIT + 2):
        driver.ask()
    process.terminate()
    assert finish(process).count("is expected on /camera_info") == 1


def test_lens_and_rectification_are_those_of_camera_info(start_node, drive):
    start_node()
    driver = drive()
    height, width = picture().shape[:2]
    info = pinhole(height, width, 60.0)
    info.p[0] = info.p[5] = 3 * info.k[0]
    info.distortion_model, info.d = "equidistant", [0.2, 0.0, 0.0, 0.0]

    def ask_with(info) -> np.ndarray:
        """(K, 3) places once camera_info counts."""
        driver.infos.publish(info)
        driver.publish_until(driver.stamped(), lambda: camera_level(driver) is not None)
        driver.infos.publish(info)
        driver.wait_for_status("camera", lambda s, v: "no camera_info" not in s.message)
        return as_arrays(driver.ask())["translation"]

    bent = ask_with(info)
    assert driver.set_parameter("rectified", True).successful
    rectified = as_arrays(driver.ask())["translation"]
    assert driver.set_parameter("rectified", False).successful
    info.distortion_model = "unheard of"
    driver.infos.publish(info)
    driver.publish_until(driver.stamped(), lambda: is_warned(driver, "distortion is not used"))
    straight = as_arrays(driver.ask())["translation"]
    assert np.abs(bent - straight).max() > 0.01
    np.testing.assert_allclose(rectified[:, 2], 3 * straight[:, 2], rtol=0.1)


def is_warned(driver, text):
    status = driver.statuses.get("romp: camera")
    return status is not None and status.level == DiagnosticStatus.WARN and text in status.message


def camera_level(driver):
    status = driver.statuses.get("romp: camera")
    return status and status.level


# Several cameras


def test_two_cameras_never_mix(start_node, drive):
    start_node(cameras="[front, rear]", publish_markers=True, max_people=3)
    drivers = {name: drive(name) for name in ("front", "rear")}
    images = {"front": picture(seed=1), "rear": picture(seed=2, height=64, width=160)}
    alone = {name: driver.ask(images[name]) for name, driver in drivers.items()}
    for _ in range(5):
        messages = {name: driver.stamped(images[name]) for name, driver in drivers.items()}
        for name, driver in drivers.items():
            driver.images.publish(messages[name])
        for name, driver in drivers.items():
            driver.publish_until(messages[name], lambda d=driver, m=messages[name]: d._answer_to(m))
            found = driver._answer_to(messages[name])
            assert_same_people(found, alone[name])
            assert (found.image_height, found.image_width) == images[name].shape[:2]
    markers = {name: [] for name in drivers}
    for name, driver in drivers.items():
        driver.listen(MarkerArray, "markers", markers[name].append)
        driver.publish_until(driver.stamped(images[name]), lambda name=name: markers[name])
        assert {marker.ns for array in markers[name] for marker in array.markers} == {name}
        driver.wait_for_status(f"camera {name}", lambda s, v: int(v["images answered"]) >= 6)


# Markers and overlay


def test_markers_follow_the_people(start_node, drive):
    start_node(marker_skeleton=True, marker_labels=True, tracking=False)
    driver = drive()
    arrays = []
    driver.listen(MarkerArray, "markers", arrays.append)
    people = driver.ask().people
    driver.spin_until(lambda: arrays)
    shown = {(m.ns, m.id): m for m in arrays[-1].markers}
    assert {m.action for m in shown.values()} == {Marker.ADD}
    numbers = {-1 - index for index in range(len(people))}
    assert shown.keys() == {
        (ns, number) for ns in ("people", "people_skeleton", "people_label") for number in numbers
    }
    arrays.clear()
    assert driver.set_parameter("center_threshold", 1.0).successful
    driver.ask()
    driver.spin_until(lambda: arrays)
    assert {(m.ns, m.id) for m in arrays[-1].markers} == shown.keys()
    assert {m.action for m in arrays[-1].markers} == {Marker.DELETE}


def test_overlay_shows_the_people_in_the_image(start_node, drive):
    start_node()
    driver = drive()
    overlays = []
    driver.listen(Image, "overlay", overlays.append)
    image = np.full((96, 128, 3), 90, np.uint8)
    image[30:60, 40:90] = 200
    assert driver.ask(image).people
    driver.spin_until(lambda: overlays)
    assert overlays[0].header.frame_id == "camera_optical"
    assert (to_bgr(overlays[0]) != image).any(-1).mean() > 0.005


# Parameters


def test_every_parameter_is_described_with_default_and_range(start_node, drive, weights):
    start_node()
    driver = drive()
    given = {"model": str(weights), **PLAIN}
    for name, field in FIELDS.items():
        found = driver.get_parameter(name)
        expected = given.get(name, field.default)
        assert found == (list(expected) if isinstance(expected, tuple) else expected)
        descriptor, rule = driver.describe_parameter(name), rule_of(name)
        assert descriptor.description == rule.description
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        limits = [(limit.from_value, limit.to_value) for limit in ranges]
        assert limits == ([] if rule.low is None else [(rule.low, rule.high)])


def test_live_parameters_change_the_next_result(start_node, drive):
    start_node()
    driver = drive()
    before = driver.ask()
    assert len(before.people) > 2

    def change(name, value):
        assert driver.set_parameter(name, value).successful
        return driver.ask()

    assert len(change("max_people", 2).people) == 2
    second = change("max_people", 64).people[1].confidence
    assert len(change("center_threshold", second).people) == 1
    assert change("center_threshold", 0.2).people[0].vertices == float_array(np.empty(0))
    assert len(change("publish_vertices", True).people[0].vertices) > 3000
    farther = change("horizontal_fov_deg", 20.0).people[0].translation[2]
    assert farther > 2 * before.people[0].translation[2]

    arrays = []
    driver.listen(MarkerArray, "markers", arrays.append)

    def markers_after(name, value):
        change(name, value)
        arrays.clear()
        driver.publish_until(driver.stamped(), lambda: arrays)
        return arrays[-1].markers

    assert markers_after("max_people", 1)[0].color.a == 1.0
    assert markers_after("marker_alpha", 0.5)[0].color.a == 0.5
    assert markers_after("marker_lifetime", 1.25)[0].lifetime.nanosec == 250_000_000
    assert len(markers_after("marker_shading", False)[0].colors) == 0
    assert {m.type for m in markers_after("marker_skeleton", True)} == {11, 5}
    assert {m.type for m in markers_after("marker_labels", True)} == {11, 5, 9}
    assert {m.action for m in markers_after("publish_markers", False)} == {Marker.DELETE}


def test_images_that_are_too_old_are_not_processed(start_node, drive):
    start_node()
    driver = drive()
    driver.ask()
    assert driver.set_parameter("max_image_age", 5.0).successful
    message = driver.stamped()  # of 1970
    driver.publish_until(message, lambda: stale(driver) > 0)
    assert driver._answer_to(message) is None
    message.header.stamp = driver.node.get_clock().now().to_msg()
    driver.publish_until(message, lambda: driver._answer_to(message))


def stale(driver) -> int:
    status = driver.statuses.get("romp: camera")
    values = {pair.key: pair.value for pair in status.values} if status else {}
    return int(values.get("images too old", 0))


WRONG_VALUES = [
    ("smoothing", 1.5, "out of range"),
    ("center_threshold", 1.5, "out of range"),
    ("center_threshold", float("nan"), "out of range"),
    ("max_people", 0, "out of range"),
    ("max_people", "many", "type"),
    ("horizontal_fov_deg", 180.0, "out of range"),
    ("marker_lifetime", -1.0, "out of range"),
    ("model", "other.pkl", "is read when the node is configured"),
    ("cameras", ["front"], "is read when the node is configured"),
    ("image_transport", "theora", "expected one of raw, compressed"),
    ("autostart", False, "read-only"),
]


def test_wrong_values_are_refused_with_a_reason(start_node, drive):
    start_node()
    driver = drive()
    for name, value, reason in WRONG_VALUES:
        before = driver.get_parameter(name)
        result = driver.set_parameter(name, value)
        assert not result.successful
        assert reason in result.reason
        assert driver.get_parameter(name) == before
    for name in ("model", "cameras"):  # as `ros2 param load` sets them from what `dump` wrote
        assert driver.set_parameter(name, driver.get_parameter(name)).successful
    assert driver.ask().people


def test_whole_numbers_will_do(start_node, drive):
    process = start_node(horizontal_fov_deg=70, marker_alpha=7)
    driver = drive()
    assert driver.get_parameter("horizontal_fov_deg") == 70.0
    assert driver.get_parameter("marker_alpha") == 1.0
    for name, value in (("horizontal_fov_deg", 90), ("smoothing", 1)):  # as `ros2 param set` does
        assert driver.set_parameter(name, value).successful
        assert driver.get_parameter(name) == value
        assert driver.describe_parameter(name).type == ParameterType.PARAMETER_DOUBLE
    assert "out of range" in driver.set_parameter("horizontal_fov_deg", 180).reason
    process.terminate()
    assert finish(process).count("starts with the default") == 1


def test_wrong_values_at_the_start_give_way_to_the_default(start_node, drive):
    process = start_node(center_threshold=7.0, max_people="many", runtime="abacus", input_size=100)
    driver = drive()
    assert driver.ask().people
    for name in ("center_threshold", "max_people", "runtime", "input_size"):
        assert driver.get_parameter(name) == FIELDS[name].default
    process.terminate()
    output = finish(process)
    for name in ("center_threshold", "max_people", "runtime is 'abacus'"):
        assert name in output
    assert "input_size is 100; expected a multiple of 64" in output
    assert output.count("starts with the default") == 4
