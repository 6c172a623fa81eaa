import cv2
import numpy as np
import pytest

from romp_core.errors import DataError, ImageError
from romp_core.geometry.cameras import intrinsics_from_fov
from ros2_romp.camera_info import pinhole, read_calibration
from ros2_romp.image_decoding import to_bgr
from ros2_romp.images import to_image, to_jpeg

CALIBRATION = """
image_width: 8
image_height: 6
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [7.5, 0, 3.5, 0, 7.25, 2.5, 0, 0, 1]}
distortion_model: rational_polynomial
distortion_coefficients: {rows: 1, cols: 8, data: [1, 2, 3, 4, 5, 6, 7, 8]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [7.5, 0, 3.5, 0, 0, 7.25, 2.5, 0, 0, 0, 1, 0]}
"""


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def test_pixels_survive_a_raw_message(pixels):
    message = to_image(pixels)
    assert (message.height, message.width, message.step) == (6, 8, 24)
    assert message.encoding == "bgr8"
    np.testing.assert_array_equal(to_bgr(message), pixels)


def test_part_of_an_image_is_sent_without_its_surroundings(pixels):
    part = pixels[1:4, 2:7]
    np.testing.assert_array_equal(to_bgr(to_image(part)), part)


def test_jpeg_message_is_a_jpeg_file(pixels):
    message = to_jpeg(pixels)
    assert message.format == "jpeg"
    assert bytes(message.data[:2]) == b"\xff\xd8"
    np.testing.assert_array_equal(
        to_bgr(message), cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    )


def test_image_beyond_what_jpeg_can_hold_is_refused():
    with pytest.raises(ImageError, match="70000x1 pixels"):
        to_jpeg(np.zeros((1, 70_000, 3), np.uint8))


@pytest.mark.parametrize("fov", [10.0, 60.0, 120.0])
def test_pinhole_is_the_camera_that_the_core_assumes(fov):
    info = pinhole(480, 640, fov)
    expected = intrinsics_from_fov(480, 640, fov)
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), expected, rtol=1e-6)
    np.testing.assert_array_equal(np.reshape(info.p, (3, 4))[:, :3], np.reshape(info.k, (3, 3)))
    assert (info.height, info.width) == (480, 640)


@pytest.mark.parametrize("folder", ["{home}", "~"])
def test_calibration_file_is_read_completely(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "front.yaml").write_text(CALIBRATION)
    info = read_calibration(folder.format(home=tmp_path) + "/front.yaml")
    assert (info.height, info.width) == (6, 8)
    assert info.distortion_model == "rational_polynomial"
    assert list(info.d) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(info.k) == [7.5, 0, 3.5, 0, 7.25, 2.5, 0, 0, 1]
    assert list(info.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert list(info.p) == [7.5, 0, 3.5, 0, 0, 7.25, 2.5, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "NoneType"),
        ("just text", "string indices"),
        ("{broken", "expected"),
        (CALIBRATION.replace("camera_matrix", "matrix"), "'camera_matrix' is missing"),
        (CALIBRATION.replace("data: [7.5, 0, 3.5, 0, 7.25", "data: [7.5"), "not 9"),
        (CALIBRATION.replace("image_width: 8", "image_width: wide"), "wide"),
        (CALIBRATION.replace("7.25, 2.5, 0, 0, 1]", "x, 2.5, 0, 0, 1]"), "'x'"),
    ],
)
def test_wrong_calibration_file_is_named_with_the_reason(tmp_path, content, reason):
    (tmp_path / "front.yaml").write_text(content)
    with pytest.raises(DataError, match=rf"front\.yaml is not a camera calibration: .*{reason}"):
        read_calibration(tmp_path / "front.yaml")
