"""Scenes of synthetic people: where things are drawn, their light and shadows, backgrounds."""

import json
import math

import cv2
import numpy as np
import pytest

from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople
from romp_core.data.synthetic.backgrounds import Panoramas
from romp_core.data.synthetic.cameras import rotation_from_pitch_roll
from romp_core.data.synthetic.lighting import light_from_radiance
from romp_core.data.synthetic.objects import OBJECT
from romp_core.data.synthetic.sensor import photograph
from romp_core.data.synthetic.textures import fractal_noise, print_atlas
from romp_core.errors import DataError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.render.people_scene import Figure, Scene, SceneRenderer
from romp_core.render.people_shading import LOOKS

HEIGHT, WIDTH = 96, 128
UNIFORM = np.vstack([np.ones((1, 3)), np.zeros((8, 3))])


@pytest.fixture(scope="module")
def renderer() -> SceneRenderer:
    rng = np.random.default_rng(0)
    face = {
        "head_center": (0.0, 0.7, 0.0),
        "head_radius": 0.1,
        "eyes": (0.03, 0.7, 0.1),
        "mouth_height": 0.65,
    }
    noise, prints = fractal_noise(rng, 64, 4, 1.0), print_atlas(rng, 4, 32)
    return SceneRenderer(HEIGHT, WIDTH, 2, noise, prints, face)


def scene(pitch: float = 0.0, elevation: float = 1.5, **changes) -> Scene:
    """A panorama that is red above and blue below the horizon, greener to the right."""
    backdrop = np.zeros((64, 128, 3), np.uint8)
    backdrop[:32, :, 0], backdrop[32:, :, 2] = 200, 200
    backdrop[..., 1] = np.where(np.arange(128) < 64, 0, 150)
    world_from_optical = rotation_from_pitch_roll(pitch, 0.0)
    parts = {
        "vertices": np.zeros((0, 13), np.float32),
        "figures": [],
        "irradiance": UNIFORM.astype(np.float32),
        "panorama_from_optical": np.diag([-1.0, 1, 1]) @ world_from_optical,
        "world_from_optical": world_from_optical,
        "elevation": elevation,
        "key_direction": np.array([0.0, -1.0, 0.0]),
        "key_color": np.zeros(3, np.float32),
        "mode": "panorama",
        "backdrop": backdrop,
        "room": (3.0, 3.0, 6.0),
        "room_looks": np.zeros((len(LOOKS), 4), np.float32),
        "contact": np.zeros((2, 2), np.float32),
        "contact_box": (0.0, 0.0, 1.0, 1.0),
        "shadow_strength": 1.0,
    }
    return Scene(**{**parts, **changes})


def square(center: tuple[float, float, float], half: float, normal_axis: int) -> dict:
    """A grey square object: the vertices and figures of a scene."""
    across = [axis for axis in range(3) if axis != normal_axis]
    corners = np.tile(np.float32(center), (4, 1))
    corners[:, across[0]] += np.float32([-half, -half, half, half])
    corners[:, across[1]] += np.float32([-half, half, half, -half])
    vertices = np.zeros((4, 13), np.float32)
    vertices[:, :3], vertices[:, 3 + normal_axis], vertices[:, 12] = corners, -1, OBJECT
    looks = np.zeros((len(LOOKS), 4), np.float32)
    looks[LOOKS.index("TOP_A"), :3] = 0.5
    sides = np.int32([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]])
    return {"vertices": vertices, "figures": [Figure("object", OBJECT, looks, sides)]}


@pytest.mark.parametrize("pitch", [-0.2, 0.0, 0.25])
def test_horizon_is_where_the_pitch_puts_it(renderer, pitch):
    K = intrinsics_from_fov(HEIGHT, WIDTH, 70)
    rendering = renderer(scene(pitch), K)
    horizon = K[1, 2] - K[1, 1] * np.tan(pitch)
    red = rendering.color[:, WIDTH // 2, 0] > rendering.color[:, WIDTH // 2, 2]
    assert abs(red.sum() - 0.5 - horizon) < 2.5  # the panorama has 64 rows
    assert red[: red.sum()].all()


def test_right_of_the_panorama_is_right_in_the_picture(renderer):
    green = renderer(scene(), intrinsics_from_fov(HEIGHT, WIDTH, 70)).color[..., 1]
    assert green[:, :40].max() < 60 and green[:, -40:].min() > 100


def test_object_is_drawn_where_it_projects_with_its_depth(renderer):
    K = intrinsics_from_fov(HEIGHT, WIDTH, 60)
    rendering = renderer(scene(**square((0.3, -0.2, 4.0), 0.5, normal_axis=2)), K)
    corners = np.array([[-0.2, -0.7, 4.0], [0.8, 0.3, 4.0]]) @ K.T / 4.0
    rows, columns = np.nonzero(rendering.rows == OBJECT)
    assert abs(columns.min() - corners[0, 0]) <= 1 and abs(columns.max() - corners[1, 0]) <= 1
    assert abs(rows.min() - corners[0, 1]) <= 1 and abs(rows.max() - corners[1, 1]) <= 1
    seen = rendering.rows == OBJECT
    np.testing.assert_allclose(rendering.depth[seen], 4.0, atol=1e-4)
    np.testing.assert_allclose(rendering.normals[seen], [[0, 0, -1]] * seen.sum(), atol=1e-6)


def test_floor_depth_is_that_of_a_plane_below_the_camera(renderer):
    K = intrinsics_from_fov(HEIGHT, WIDTH, 60)
    depth = renderer(scene(elevation=1.5), K).depth
    expected = 1.5 * K[1, 1] / (90 - K[1, 2])
    np.testing.assert_allclose(depth[90], expected, rtol=1e-3)


def test_key_light_from_above_casts_a_shadow_on_the_floor(renderer):
    K = intrinsics_from_fov(HEIGHT, WIDTH, 60)
    lid = square((0.0, 0.5, 4.0), 0.6, normal_axis=1)  # a level square one metre above the floor
    above = {"key_color": np.full(3, 2.0)}  # from straight above
    lit = renderer(scene(**above), K).color[..., 2]
    shaded = renderer(scene(**above, **lid), K).color[..., 2]
    row, column = (K @ [0.0, 1.5, 4.0] / 4.0)[[1, 0]].astype(int)
    assert shaded[row, column] < 0.75 * lit[row, column]
    np.testing.assert_allclose(shaded[row, 5], lit[row, 5], atol=2)


def test_uniform_light_is_the_same_from_everywhere_and_at_a_visible_level():
    rng = np.random.default_rng(0)
    for brightness in (0.01, 1.0, 50.0):
        light = light_from_radiance(brightness * UNIFORM, rng, hardness=0.0)
        assert not light.irradiance[1:].any() and not light.key_color.any()
        assert (light.irradiance[0] > 0.6).all() and (light.irradiance[0] < 1.25).all()


def test_sensor_keeps_size_and_place():
    image = np.zeros((64, 80, 3), np.float32)
    image[20:40, 30:50] = 255
    for seed in range(30):
        taken = photograph(image.copy(), np.random.default_rng(seed))
        assert taken.shape == image.shape and taken.dtype == np.uint8
        moments = cv2.moments(taken.max(-1) - taken.max(-1).min().astype(np.float32))
        center = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        np.testing.assert_allclose(center, [39.5, 29.5], atol=4)


def test_pictures_of_a_folder_become_backgrounds(tmp_path):
    cv2.imwrite(str(tmp_path / "green.png"), np.full((200, 300, 3), (30, 200, 10), np.uint8))
    config = SyntheticConfig(height=64, width=64, pictures=tmp_path, max_people=1, sensor=False)
    people = SyntheticPeople(config)
    # The upper corners show the background, whatever shadow lies on the floor.
    corners = [people[index].image[0, 0].astype(int) for index in range(12)]
    assert min(np.abs(corner - (30, 200, 10)).max() for corner in corners) <= 6


def test_panorama_without_light_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "field.jpg"), np.zeros((32, 64, 3), np.uint8))
    (tmp_path / "lighting.json").write_text(json.dumps({"other": {"sh9_rgb": UNIFORM.tolist()}}))
    with pytest.raises(DataError, match=r"no light for field\.jpg"):
        Panoramas(tmp_path)
    (tmp_path / "lighting.json").write_text(json.dumps({"field": {"sh9_rgb": UNIFORM.tolist()}}))
    image, light = Panoramas(tmp_path).draw(np.random.default_rng(0))
    assert image.shape == (32, 64, 3) and light.shape == (9, 3)
    with pytest.raises(DataError, match="no panoramas"):
        Panoramas(tmp_path, held_out=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"field": {"sh9', "lighting.json is not readable JSON"),
        ("[1]", "lighting.json holds a list; expected"),
        ('{"field": 1}', "no 'sh9_rgb' of 9 x 3 finite numbers for field"),
        ('{"field": {"sh": 1}}', "no 'sh9_rgb' of 9 x 3 finite numbers for field"),
        ('{"field": {"sh9_rgb": [[1, 1, 1]]}}', "no 'sh9_rgb' of 9 x 3 finite numbers for field"),
        (json.dumps({"field": {"sh9_rgb": [[math.nan] * 3] * 9}}), "finite numbers for field"),
    ],
)
def test_broken_lighting_is_refused(tmp_path, text, message):
    cv2.imwrite(str(tmp_path / "field.jpg"), np.zeros((32, 64, 3), np.uint8))
    (tmp_path / "lighting.json").write_text(text)
    with pytest.raises(DataError, match=message):
        Panoramas(tmp_path)


def test_varied_panoramas_are_mirrored_with_their_light_and_made_of_several(tmp_path):
    columns = np.linspace(0, 250, 64).astype(np.uint8)
    rising = np.broadcast_to(columns[None, :, None], (32, 64, 3))
    noise = np.random.default_rng(0).integers(0, 255, (8, 16, 3)).astype(np.uint8)
    noise = noise.repeat(4, 0).repeat(4, 1)
    light = np.arange(27.0).reshape(9, 3)
    light[3] = 7  # of x
    for name, image in (("calm", rising), ("busy", noise)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    text = json.dumps({name: {"sh9_rgb": light.tolist()} for name in ("calm", "busy")})
    (tmp_path / "lighting.json").write_text(text)
    varied, rng = Panoramas(tmp_path, varied=True), np.random.default_rng(1)
    kinds = {"calm": 0, "calm, mirrored": 0, "busy": 0}
    pieces = 0
    for _ in range(200):
        image, radiance = varied.draw(rng)
        mirrored = radiance[3, 0] < 0
        np.testing.assert_allclose(radiance[[0, 1, 2, 5, 6, 8]], light[[0, 1, 2, 5, 6, 8]])
        np.testing.assert_allclose(radiance[[3, 4, 7]], light[[3, 4, 7]] * (-1) ** int(mirrored))
        corner = image[0, [0, -1], 0].astype(int)  # the first row seldom has pieces of others
        if corner.tolist() == [[0, 250], [250, 0]][int(mirrored)]:
            kinds["calm, mirrored" if mirrored else "calm"] += 1
            pieces += not np.array_equal(image, rising[:, ::-1] if mirrored else rising)
        else:
            kinds["busy"] += 1
    assert kinds["busy"] > 1.5 * (kinds["calm"] + kinds["calm, mirrored"])
    assert min(kinds["calm"], kinds["calm, mirrored"]) >= 5
    assert pieces >= 10
    first, second = (varied.draw(np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
