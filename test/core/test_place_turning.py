"""Leans towards the camera that the pixels of people beside the picture's middle give away."""

import numpy as np
import pytest
from place_factory import standing_people
from scipy.spatial.transform import Rotation

from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.monocular import place_by_pixels, turn_to_pixels

SIZE = (480, 640)
K = intrinsics_from_fov(*SIZE, 80)
CAMERAS = {
    "pinhole": CameraModel(K),
    "lens": CameraModel(K, "plumb_bob", (-0.28, 0.06, 0.001, -0.0005, 0.0)),
}
BESIDE = np.array([[-1.8, 0.1, 3.0], [1.8, 0.0, 3.2], [-1.2, 0.1, 2.5], [1.6, -0.1, 4.0]])


def leaning(people, angle: float) -> np.ndarray:
    """(K, 24, 3) joints, without translation, of people who lean by so much more."""
    joints = (people.joints - people.translation[:, None])[:, :24]
    root = joints[:, :1]
    return (joints - root) @ Rotation.from_rotvec([angle, 0, 0]).as_matrix().T + root


def turned(points, pixels, camera):
    shift = place_by_pixels(points, pixels, camera, SIZE)
    turns, moved = turn_to_pixels(points, pixels, shift, camera, SIZE)
    root = points[:, :1]
    return turns, (points - root) @ turns.transpose(0, 2, 1) + root + moved[:, None], shift


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("angle", [0.2, -0.2])
def test_a_wrong_lean_is_mostly_undone(open_body, name, angle):
    camera = CAMERAS[name]
    people = standing_people(open_body, camera, BESIDE)
    pixels, points = people.keypoints_2d[:, :24], leaning(people, angle)
    turns, placed, shift = turned(points, pixels, camera)

    def displaced(joints):
        return np.linalg.norm(camera.project(joints) - pixels, axis=-1).mean(1)

    assert (displaced(placed) < 0.6 * displaced(points + shift[:, None])).all()
    left = Rotation.from_matrix(turns) * Rotation.from_rotvec([angle, 0, 0])
    assert np.median(left.magnitude()) < 0.6 * abs(angle)


def test_who_is_where_he_was_seen_is_not_turned(open_body):
    camera = CAMERAS["lens"]
    people = standing_people(open_body, camera, BESIDE)
    points = leaning(people, 0.0)
    pixels = people.keypoints_2d[:, :24]
    turns, moved = turn_to_pixels(points, pixels, people.translation, camera, SIZE)
    assert Rotation.from_matrix(turns).magnitude().max() < 1e-3
    np.testing.assert_allclose(moved, people.translation, atol=1e-3)


def test_straight_ahead_a_lean_stays(open_body):
    """There the pixels do not tell."""
    camera = CAMERAS["pinhole"]
    people = standing_people(open_body, camera, np.array([[0.0, 0.0, 4.0]]))
    turns, _, _ = turned(leaning(people, 0.1), people.keypoints_2d[:, :24], camera)
    assert Rotation.from_matrix(turns).magnitude().max() < 0.05


@pytest.mark.parametrize("wrong", [np.nan, 1e6])
def test_what_cannot_be_fitted_stays_as_it_is(open_body, wrong):
    camera = CAMERAS["pinhole"]
    people = standing_people(open_body, camera, BESIDE)
    points, pixels = leaning(people, 0.1), people.keypoints_2d[:, :24].copy()
    pixels[0] = wrong
    with np.errstate(invalid="ignore", over="ignore"):
        turns, moved = turn_to_pixels(points, pixels, people.translation, camera, SIZE)
    alone, _ = turn_to_pixels(points[1:], pixels[1:], people.translation[1:], camera, SIZE)
    assert np.isfinite(turns).all()
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(turns[1:], alone, atol=1e-5)


def test_somebody_without_extent_does_not_cost_the_others_theirs(open_body):
    """Wart: of one singular matrix nobody's turn was found, and the image had no answer."""
    camera = CAMERAS["pinhole"]
    people = standing_people(open_body, camera, BESIDE)
    points, pixels = leaning(people, 0.1), people.keypoints_2d[:, :24].copy()
    places = people.translation.copy()
    points[0], pixels[0], places[0] = 0.0, pixels[0, :1], [1.0, 0.0, 1.0]
    turns, moved = turn_to_pixels(points, pixels, places, camera, SIZE)
    alone, _ = turn_to_pixels(points[1:], pixels[1:], places[1:], camera, SIZE)
    assert np.isfinite(turns).all()
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(turns[1:], alone, atol=1e-5)


def test_nobody_is_turned():
    nobody = np.zeros((0, 24, 3)), np.zeros((0, 24, 2)), np.zeros((0, 3))
    turns, moved = turn_to_pixels(*nobody, CAMERAS["pinhole"], SIZE)
    assert turns.shape == (0, 3, 3)
    assert moved.shape == (0, 3)
