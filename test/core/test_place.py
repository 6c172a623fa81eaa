"""Where people stand by their pixels: lenses, focal lengths, and what weak perspective hides."""

import cv2
import numpy as np
import pytest
from place_factory import standing_people, weak_perspective_pixels

from romp_core import Romp
from romp_core.errors import ConfigError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.monocular import MINIMUM_DISTANCE, place_by_pixels, solve_translation

SIZE = (480, 640)
PINHOLES = {
    "wide": ((480, 640), CameraModel(intrinsics_from_fov(480, 640, 90))),
    "tele": ((1080, 1920), CameraModel(intrinsics_from_fov(1080, 1920, 25))),
    "off-centre": ((720, 1280), CameraModel([[900, 0, 500], [0, 950, 400], [0, 0, 1]])),
    "portrait": ((1280, 720), CameraModel(intrinsics_from_fov(1280, 720, 45))),
}
K = intrinsics_from_fov(*SIZE, 80)
LENSES = {
    "plumb_bob": CameraModel(K, "plumb_bob", (-0.28, 0.06, 0.001, -0.0005, 0.0)),
    "rational_polynomial": CameraModel(
        K, "rational_polynomial", (0.5, -0.1, 0.0, 0.0, 0.01, 0.8, -0.05, 0.02)
    ),
    "equidistant": CameraModel(K, "equidistant", (-0.01, 0.02, -0.01, 0.002)),
}


# Lenses


@pytest.mark.parametrize("name", LENSES)
def test_rays_are_the_inverse_of_projection(name):
    camera = LENSES[name]
    pixels = np.stack(np.meshgrid(np.arange(60, 580, 20), np.arange(40, 440, 20)), -1)
    rays = camera.rays(pixels)
    points = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    np.testing.assert_allclose(camera.project(points * 3.0), pixels, atol=1e-3)
    pinhole = (pixels - K[:2, 2]) / K.diagonal()[:2]
    assert np.abs(rays - pinhole).max() > 0.02


@pytest.mark.parametrize("name", LENSES)
def test_projection_is_that_of_opencv(name):
    camera = LENSES[name]
    points = np.random.default_rng(0).uniform([-1, -1, 2], [1, 1, 5], (40, 3))
    project = cv2.fisheye.projectPoints if name == "equidistant" else cv2.projectPoints
    expected, _ = project(
        points[:, None], np.zeros(3), np.zeros(3), K.astype(float), np.array(camera.coefficients)
    )
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


def test_zero_coefficients_are_a_pinhole():
    points = np.random.default_rng(0).uniform([-1, -1, 2], [1, 1, 5], (40, 3))
    for count in (0, 4, 5):
        camera = CameraModel(K, "plumb_bob", (0.0,) * count)
        homogeneous = points @ camera.intrinsics.T
        np.testing.assert_allclose(
            camera.project(points), homogeneous[:, :2] / homogeneous[:, 2:], rtol=1e-5
        )


@pytest.mark.parametrize("coefficients", [(-0.35, 0, 0, 0), (-0.4, 0.15, 0.002, -0.001, -0.03)])
def test_rays_go_on_where_the_distortion_has_no_inverse(coefficients):
    """A strong barrel distortion folds back: nothing is seen beyond a circle of pixels.

    Wart: there was no ray there, and people who stood there were put 10 cm from the camera.
    """
    camera = CameraModel(K, "plumb_bob", coefficients)
    pixels = np.stack([np.arange(0.0, 5000, 20), np.full(250, 300.0)], -1)
    rays = camera.rays(pixels)
    points = np.concatenate([rays, np.ones_like(rays[:, :1])], -1)
    np.testing.assert_allclose(camera.project(points * 2), pixels, rtol=1e-3, atol=1.0)
    assert (np.diff(rays[:, 0]) > 0).all()
    assert not camera.has_inverse(SIZE)
    assert np.isnan(camera.rays(np.array([[np.nan, 240.0]]))).any()


@pytest.mark.parametrize("name", ["plumb_bob", "equidistant"])
def test_lenses_fitted_to_the_whole_picture_have_an_inverse(name):
    assert LENSES[name].has_inverse(SIZE)
    assert CameraModel(K).has_inverse(SIZE)


@pytest.mark.parametrize("name", LENSES)
def test_moved_points_let_a_pinhole_see_what_the_lens_sees(name):
    camera = LENSES[name]
    points = np.random.default_rng(0).uniform([-1, -1, 2], [1, 1, 5], (4, 10, 3))
    points = points.astype(np.float32)
    moved = camera.as_pinhole_sees(points)
    seen = CameraModel(K).project(moved)
    np.testing.assert_allclose(seen, camera.project(points), atol=1e-2)
    np.testing.assert_array_equal(moved[..., 2], points[..., 2])


@pytest.mark.parametrize(
    ("name", "coefficients"),
    [("plumb_bob", (-0.3, 0.0, 0.001, 0.0)), ("equidistant", (0.0, 0.0, 0.0, -0.1))],
)
def test_what_is_farther_from_the_axis_is_never_seen_nearer_to_the_middle(name, coefficients):
    camera = CameraModel(K, name, coefficients)
    angles = np.radians(np.arange(0, 89, 0.5))
    points = np.stack([0 * angles, np.sin(angles), np.cos(angles)], -1)
    assert (np.diff(camera.project(points)[:, 1]) > 0).all()


@pytest.mark.parametrize(
    ("model", "coefficients", "reason"),
    [
        ("fisheye62", (0.0,) * 4, "'fisheye62'; expected one of plumb_bob"),
        ("plumb_bob", (0.1,) * 8, "expected 0 or 4 or 5 finite numbers"),
        ("equidistant", (0.1, 0.1), "expected 0 or 4 finite"),
        ("plumb_bob", (np.nan,) * 4, "finite"),
    ],
)
def test_lenses_that_cannot_be_are_named(model, coefficients, reason):
    with pytest.raises(ConfigError, match=reason):
        CameraModel(K, model, coefficients)


# Exact directions


@pytest.mark.parametrize("name", PINHOLES)
@pytest.mark.parametrize("distance", [1.0, 2.5, 5.0, 10.0])
def test_translation_round_trip(name, distance):
    """Must show: translation within 1 % for bodies at 1 to 10 m."""
    _, camera = PINHOLES[name]
    rng = np.random.default_rng(int(distance * 10))
    body = (rng.random((16, 24, 3)) - 0.5) * [0.8, 1.7, 0.5]
    translation = rng.normal(0, 0.3, (16, 3))
    translation[:, 2] = distance
    rays = camera.rays(camera.project(body + translation[:, None]))
    found = solve_translation(body, rays, np.ones((16, 24)))
    error = np.linalg.norm(found - translation, axis=1) / np.linalg.norm(translation, axis=1)
    assert error.max() < 0.01


def test_translation_ignores_points_of_weight_zero_and_without_direction():
    body = np.random.default_rng(0).normal(0, 0.3, (1, 10, 3))
    camera = PINHOLES["wide"][1]
    rays = camera.rays(camera.project(body + [0, 0, 3]))
    rays[:, 5:8] = 7
    rays[:, 8:] = np.nan
    found = solve_translation(body, rays, np.array([[1.0] * 5 + [0.0] * 3 + [1.0] * 2]))
    np.testing.assert_allclose(found, [[0, 0, 3]], atol=1e-6)


def test_translation_is_in_front_and_finite_whatever_the_directions():
    rng = np.random.default_rng(0)
    body = rng.normal(0, 0.3, (5, 24, 3))
    rays = np.stack(
        [
            np.full((24, 2), 0.3),  # all in one direction
            -3 * body[1, :, :2],  # upside down: only a body behind the camera fits
            rng.normal(0, 1e4, (24, 2)),
            np.zeros((24, 2)),
            np.full((24, 2), np.nan),
        ]
    )
    found = solve_translation(body, rays, np.ones((5, 24)))
    assert np.isfinite(found).all()
    assert ((body + found[:, None])[..., 2].mean(1) > 0.99 * MINIMUM_DISTANCE).all()


# Weak-perspective pixels, as the network gives them


def places(count: int, camera: CameraModel, size: tuple[int, int], distance: float) -> np.ndarray:
    """(count, 3) places at that depth, all over the picture."""
    rng = np.random.default_rng(int(distance * 10))
    height, width = size
    pixels = rng.uniform([0.15 * width, 0.3 * height], [0.85 * width, 0.7 * height], (count, 2))
    return np.concatenate([camera.rays(pixels), np.ones((count, 1))], 1) * distance


def errors(people, found) -> np.ndarray:
    """(K,) metres by which translations miss those of people."""
    return np.linalg.norm(found - people.translation, axis=1)


def body_points(people) -> np.ndarray:
    return people.joints - people.translation[:, None]


@pytest.mark.parametrize("name", [*PINHOLES, *LENSES])
@pytest.mark.parametrize("distance", [1.5, 3.0, 5.0, 8.0])
def test_weak_perspective_pixels_do_not_move_the_depth(open_body, name, distance):
    size, camera = PINHOLES.get(name) or (SIZE, LENSES[name])
    people = standing_people(open_body, camera, places(40, camera, size, distance))
    pixels = weak_perspective_pixels(people)
    found = place_by_pixels(body_points(people), pixels, camera, size)
    assert np.median(errors(people, found)) < 0.002 * distance
    assert errors(people, found).max() < 0.01 * distance


@pytest.mark.parametrize("distance", [0.8, 1.2])
def test_feet_beyond_what_the_lens_is_calibrated_for_move_nobody(open_body, distance):
    camera = CameraModel(K, "plumb_bob", (-0.3, 0.0, 0.0, 0.0))
    where = np.array([[0.2, 0.6, distance]])
    people = standing_people(open_body, camera, where)
    found = place_by_pixels(body_points(people), weak_perspective_pixels(people), camera, SIZE)
    assert errors(people, found).max() < 0.05


def test_taking_weak_perspective_pixels_for_exact_moves_people_who_lean(open_body):
    """Wart: what an exact solver makes of the network's pixels, off the picture's middle."""
    camera = CameraModel(intrinsics_from_fov(*SIZE, 90))
    people = standing_people(open_body, camera, places(40, camera, SIZE, 2.0), lean=1.2)
    pixels, points = weak_perspective_pixels(people), body_points(people)
    exact = solve_translation(points, camera.rays(pixels), np.ones(points.shape[:2]))
    assert np.percentile(errors(people, exact), 90) > 0.05
    assert errors(people, place_by_pixels(points, pixels, camera, SIZE)).max() < 0.02


def test_ignored_distortion_would_move_people(open_body):
    camera = LENSES["equidistant"]
    people = standing_people(open_body, camera, places(40, camera, SIZE, 3.0))
    pixels, points = weak_perspective_pixels(people), body_points(people)
    ignored = place_by_pixels(points, pixels, CameraModel(K), SIZE)
    assert np.median(errors(people, ignored)) > 0.1


def test_cameras_of_any_focal_length_and_lens_give_the_same_place(open_body):
    """Must show: four cameras of different focal length, the same scene."""
    where = np.array([[0.0, 0.0, 4.0], [0.4, 0.1, 3.5], [-0.5, -0.1, 5.0]])
    cameras = [*PINHOLES.values(), *((SIZE, lens) for lens in LENSES.values())]
    found = []
    for size, camera in cameras:
        people = standing_people(open_body, camera, where)
        pixels = weak_perspective_pixels(people)
        found.append(place_by_pixels(body_points(people), pixels, camera, size))
    assert np.ptp(found, axis=0).max() < 0.02


def test_nobody_has_no_place():
    nobody = place_by_pixels(np.zeros((0, 24, 3)), np.zeros((0, 24, 2)), LENSES["plumb_bob"], SIZE)
    assert nobody.shape == (0, 3)


def test_prediction_heeds_the_lens(light_network, open_body):
    romp = Romp(light_network, open_body)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    matrix = intrinsics_from_fov(96, 128)
    straight = romp.predict(image, matrix)
    same = romp.predict(image, CameraModel(matrix))
    bent = romp.predict(image, CameraModel(matrix, "equidistant", (0.1, 0.0, 0.0, 0.0)))
    np.testing.assert_array_equal(straight.translation, same.translation)
    assert np.abs(straight.translation - bent.translation).max() > 0.01
    np.testing.assert_array_equal(straight.keypoints_2d, bent.keypoints_2d)
