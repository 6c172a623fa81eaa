"""Where people stand by measured depth: noise, holes, occluders, walls, depth of another view."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from place_factory import depth_of, seen_by_network, standing_people, through_a_sensor

from romp_core import People
from romp_core.errors import ImageError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.depth import DepthImage, place_by_depth

SIZE = (480, 640)
CAMERA = CameraModel(intrinsics_from_fov(*SIZE, 70))
WALL = 1.0  # metres behind people


def people_at(body, distance: float, seed: int = 0, stature: float = 0.0) -> People:
    """One person; `stature` in standard deviations of the body's first shape direction."""
    rng = np.random.default_rng(seed)
    pixel = rng.uniform([0.3, 0.45], [0.7, 0.55]) * [SIZE[1], SIZE[0]]
    place = np.append(CAMERA.rays(pixel), 1)[None] * distance
    betas = np.eye(1, 10) * stature
    return standing_people(body, CAMERA, place, betas, seed)


def predicted(body, true: People, seed: int = 0, camera: CameraModel = CAMERA) -> People:
    """As a network sees them that knows nothing of their size."""
    return seen_by_network(body, true, camera, SIZE, seed)


def scene(body, true: People, seed: int = 0, scale: float = 0.5) -> np.ndarray:
    """Depth of people in front of a wall, as a sensor gives it."""
    wall = true.vertices[..., 2].max() + WALL
    depth = np.minimum(depth_of(true, body.faces, CAMERA, SIZE, scale), wall)
    return through_a_sensor(depth, seed)


def misses(found: People, true: People) -> np.ndarray:
    """(K,) metres between the middles of the joints."""
    return np.linalg.norm(found.joints.mean(1) - true.joints.mean(1), axis=1)


def test_depth_with_noise_and_holes_places_people_of_any_size(open_body):
    """Must show: under 3 cm median over 1 to 8 m, where pixels alone miss by far more."""
    by_pixels, by_depth = [], []
    for number, distance in enumerate((1.5, 2, 3, 4, 5, 6, 8)):
        for stature in (-2, 0, 1.5):
            true = people_at(open_body, distance, number, stature)
            guess = predicted(open_body, true, number)
            placed = place_by_depth(
                guess, DepthImage(scene(open_body, true, number)), CAMERA, SIZE, open_body
            )
            assert placed.shares[0] > 0.9
            by_pixels.append(misses(guess, true)[0])
            by_depth.append(misses(placed.people, true)[0])
    assert np.median(by_depth) < 0.03
    assert max(by_depth) < 0.15
    assert np.median(by_pixels) > 5 * np.median(by_depth)


def test_shape_follows_so_that_pixels_still_fit(open_body):
    true = people_at(open_body, 3.0, stature=-3)  # a child
    guess = predicted(open_body, true)
    placed = place_by_depth(guess, DepthImage(scene(open_body, true)), CAMERA, SIZE, open_body)
    people = placed.people

    def height(of):
        return np.ptp(CAMERA.project(of.vertices[0])[:, 1])

    assert people.translation[0, 2] < 0.8 * guess.translation[0, 2]
    assert height(people) == pytest.approx(height(guess), rel=0.05)
    with torch.inference_mode():
        body = open_body(torch.from_numpy(people.pose), torch.from_numpy(people.betas))
    rebuilt = body.vertices.numpy() + people.translation[:, None]
    np.testing.assert_allclose(rebuilt, people.vertices, atol=1e-4)
    np.testing.assert_array_equal(people.keypoints_2d, guess.keypoints_2d)


@pytest.mark.parametrize("gap", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("cover", [0.3, 0.5, 0.7])
def test_person_behind_a_box_is_not_placed_on_the_box(open_body, cover, gap):
    """Must show. The box hides the lower part of the person."""
    for seed in range(4):
        true = people_at(open_body, 3.0, seed)
        guess = predicted(open_body, true, seed)
        depth = scene(open_body, true, seed)
        rows = CAMERA.project(true.vertices[0])[:, 1]
        top = int((rows.max() - cover * np.ptp(rows)) / 2)
        box = true.vertices[0, :, 2].min() - gap
        depth[top:] = np.minimum(depth[top:], box)
        placed = place_by_depth(guess, DepthImage(depth), CAMERA, SIZE, open_body)
        assert misses(placed.people, true)[0] < 0.15


def test_depth_that_shows_only_the_box_is_not_used(open_body):
    true = people_at(open_body, 5.0)
    guess = predicted(open_body, true)
    box = DepthImage(np.full((240, 320), 1.0, np.float32))
    placed = place_by_depth(guess, box, CAMERA, SIZE, open_body)
    assert placed.shares[0] == 0
    np.testing.assert_array_equal(placed.people.translation, guess.translation)


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0, np.inf])
def test_depth_that_knows_nothing_leaves_people_where_they_were(open_body, value):
    guess = predicted(open_body, people_at(open_body, 3.0))
    depth = DepthImage(np.full((240, 320), value, np.float32))
    placed = place_by_depth(guess, depth, CAMERA, SIZE, open_body)
    assert placed.shares[0] == 0
    np.testing.assert_array_equal(placed.people.vertices, guess.vertices)


def test_several_people_each_get_their_own_depth(open_body):
    """One of them is out of the depth image's sight."""
    places = np.array([[-0.8, 0.0, 3.0], [0.6, 0.0, 4.0], [2.4, 0.0, 5.0]])
    true = standing_people(open_body, CAMERA, places)
    guess = predicted(open_body, true)
    depth = scene(open_body, true)
    depth[:, 230:] = 0
    placed = place_by_depth(guess, DepthImage(depth), CAMERA, SIZE, open_body)
    assert (placed.shares > 0).tolist() == [True, True, False]
    assert (misses(placed.people, true)[:2] < 0.06).all()
    np.testing.assert_array_equal(placed.people.joints[2], guess.joints[2])


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0])
def test_depth_may_have_a_size_of_its_own(open_body, scale):
    true = people_at(open_body, 3.0)
    depth = DepthImage(scene(open_body, true, scale=scale))
    placed = place_by_depth(predicted(open_body, true), depth, CAMERA, SIZE, open_body)
    assert misses(placed.people, true)[0] < 0.06


def test_guessed_field_of_view_leaves_more_to_the_depth(open_body):
    """People at 3 m whom a camera thought to be narrower sees at twice the distance."""
    true = people_at(open_body, 3.0)
    narrow = CameraModel(intrinsics_from_fov(*SIZE, 55))
    guess = predicted(open_body, true, camera=narrow)
    assert guess.joints[0, :, 2].mean() > 3.9
    placed = place_by_depth(
        guess, DepthImage(scene(open_body, true)), narrow, SIZE, open_body, calibrated=False
    )
    assert placed.people.joints[0, :, 2].mean() == pytest.approx(3.0, abs=0.1)
    assert np.abs(placed.people.betas).max() < 1  # the camera was wrong, not the size


def test_depth_of_another_view_is_refused(open_body):
    guess = predicted(open_body, people_at(open_body, 3.0))
    with pytest.raises(ImageError, match="320x320 pixels, the image 640x480: another view"):
        place_by_depth(guess, DepthImage(np.ones((320, 320))), CAMERA, SIZE, open_body)
    with pytest.raises(ImageError, match=r"expected \(H, W\)"):
        DepthImage(np.ones((4, 4, 1)))
    with pytest.raises(ImageError, match="whole millimetres need / 1000"):
        DepthImage(np.full((240, 320), 3000, np.uint16))


def test_people_without_vertices_cannot_be_measured(open_body):
    guess = predicted(open_body, people_at(open_body, 3.0))
    bare = replace(guess, vertices=guess.vertices[:, :0])
    with pytest.raises(ValueError, match="with_vertices=True"):
        place_by_depth(bare, DepthImage(np.ones((240, 320))), CAMERA, SIZE, open_body)


def test_nobody_stays_nobody(open_body):
    nobody = People.empty(vertices=8, joints=71)
    placed = place_by_depth(nobody, DepthImage(np.ones((240, 320))), CAMERA, SIZE, open_body)
    assert len(placed.people) == len(placed.shares) == 0
