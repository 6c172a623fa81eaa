import threading

import cv2
import moderngl
import numpy as np
import pytest
import torch
from render_bodies import ball, box, make_people

from romp_core.errors import ImageError, RendererError
from romp_core.geometry.cameras import intrinsics_from_fov, perspective_project
from romp_core.people import People
from romp_core.render import gl
from romp_core.render.mesh import Topology
from romp_core.render.overlay import Renderer, track_color

BALL, BALL_FACES = ball()


@pytest.fixture(scope="module")
def renderer():
    return Renderer()


def people_at(*centers, radius=0.4, track_ids=None):
    vertices = np.stack([BALL * radius + np.float32(center) for center in centers])
    return make_people(vertices, track_ids or [0] * len(centers))


def grey(height=120, width=160):
    return np.full((height, width, 3), 128, np.uint8)


CAMERAS = {
    "landscape": (480, 640, [[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]),
    "portrait": (640, 360, [[500, 0, 180], [0, 520, 300], [0, 0, 1]]),
    "off-centre": (300, 500, [[350, 0, 90.25], [0, 410, 260.75], [0, 0, 1]]),
    "skewed": (301, 403, [[350, 25, 200], [0, 350, 150], [0, 0, 1]]),
}


@pytest.mark.parametrize("camera", CAMERAS)
def test_projection_matrix_equals_perspective_project(camera):
    height, width, K = CAMERAS[camera]
    points = np.random.default_rng(0).uniform([-2, -2, 0.5], [2, 2, 9], (100, 3))
    homogeneous = np.append(points, np.ones((100, 1)), 1)
    clip = homogeneous @ gl.projection_matrix(K, height, width).T
    pixels = (clip[:, :2] / clip[:, 3:] + 1) * [width / 2, height / 2] - 0.5
    expected = perspective_project(torch.tensor(points), torch.tensor(K, dtype=torch.float64))
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


@pytest.mark.parametrize("camera", CAMERAS)
def test_point_lands_on_its_pixel(renderer, camera):
    height, width, K = CAMERAS[camera]
    rng = np.random.default_rng(1)
    for _ in range(20):
        pixel, depth = rng.uniform([8, 8], [width - 9, height - 9]), rng.uniform(1, 9)
        center = depth * np.linalg.solve(K, [*pixel, 1])
        vertices = people_at(center, radius=4 * depth / K[0][0]).vertices
        ids = renderer.render_ids(vertices, BALL_FACES, height, width, np.array(K))
        rows, columns = np.nonzero(ids == 0)
        assert abs(columns.mean() - pixel[0]) < 0.3
        assert abs(rows.mean() - pixel[1]) < 0.3


def test_without_intrinsics_the_field_of_view_is_60_degrees(renderer):
    people = people_at((0.3, -0.2, 3))
    expected = renderer.draw_people(grey(), people, BALL_FACES, intrinsics_from_fov(120, 160, 60))
    np.testing.assert_array_equal(renderer.draw_people(grey(), people, BALL_FACES), expected)


@pytest.mark.parametrize("order", ["depth", "body"])
@pytest.mark.parametrize("flip", [False, True])
def test_near_body_hides_far_body(renderer, order, flip):
    near, far = (0.5, 0, 2.5), (0, 0, 4)
    vertices = people_at(*((far, near) if flip else (near, far)), radius=0.5).vertices
    ids = renderer.render_ids(vertices, BALL_FACES, 120, 160, order=order)
    alone = renderer.render_ids(vertices[[1 if flip else 0]], BALL_FACES, 120, 160) == 0
    np.testing.assert_array_equal(ids == (1 if flip else 0), alone)
    assert (ids == (0 if flip else 1)).any()


def crossing_plates():
    """Two plates that cross like an X seen from above; the second is nearer on average."""
    plate, faces = box((-1, -0.5, -0.02), (1, 0.5, 0.02))
    slope = np.float32([0, 0, 1]) * plate[:, :1]
    return np.stack([plate + slope + [0, 0, 4.1], plate - slope + [0, 0, 4]]), faces


def test_depth_order_decides_by_pixel_and_body_order_by_body(renderer):
    vertices, faces = crossing_plates()
    by_pixel = renderer.render_ids(vertices, faces, 120, 160, order="depth")[60]
    by_body = renderer.render_ids(vertices, faces, 120, 160, order="body")[60]
    seen = np.nonzero(by_pixel >= 0)[0]
    left, right = seen[: len(seen) // 2 - 5], seen[len(seen) // 2 + 5 :]
    assert (by_pixel[left] == 0).all()
    assert (by_pixel[right] == 1).all()
    # What the farther plate shows beyond the outline of the nearer one stays.
    alone = renderer.render_ids(vertices[1:], faces, 120, 160)[60] == 0
    np.testing.assert_array_equal(by_body == 1, alone)
    assert (by_body[left] == 1).sum() > 10


def test_overlay_follows_the_order_too(renderer):
    vertices, faces = crossing_plates()
    people = make_people(vertices, [1, 2])
    by_pixel = renderer.draw_people(grey(), people, faces, order="depth")
    by_body = renderer.draw_people(grey(), people, faces, order="body")
    left = (60, 65)
    assert np.argmax(by_pixel[left]) == np.argmax(track_color(1)[::-1])
    assert np.argmax(by_body[left]) == np.argmax(track_color(2)[::-1])


def test_color_follows_the_track_id_not_the_place_in_the_list(renderer):
    left, right = (-0.6, 0, 3), (0.6, 0, 3)
    one = renderer.draw_people(grey(), people_at(left, right, track_ids=[7, 3]), BALL_FACES)
    two = renderer.draw_people(grey(), people_at(right, left, track_ids=[3, 7]), BALL_FACES)
    np.testing.assert_array_equal(one, two)
    swapped = renderer.draw_people(grey(), people_at(left, right, track_ids=[3, 7]), BALL_FACES)
    assert np.abs(one.astype(int) - swapped).max() > 50


def test_people_without_identity_are_colored_by_their_place(renderer):
    places = (-0.6, 0, 3), (0.6, 0, 3)
    unknown = renderer.draw_people(grey(), people_at(*places), BALL_FACES)
    numbered = renderer.draw_people(grey(), people_at(*places, track_ids=[1, 2]), BALL_FACES)
    np.testing.assert_array_equal(unknown, numbered)


def lab(rgb):
    return cv2.cvtColor(rgb[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]


def test_palette_can_be_told_apart_with_colour_blind_eyes():
    colors = np.array([track_color(track_id) for track_id in range(1, 10)]) / 255
    linear = colors**2.2
    # Vienot, Brettel and Mollon (1999): to deuteranopes and protanopes red and green are one.
    red_and_green = linear @ np.array([[0.29275, 0.11238], [0.70725, 0.88762], [0, 0]])
    for seen in (None, *red_and_green.T):
        shown = linear if seen is None else np.stack([seen, seen, linear[:, 2]], -1)
        coordinates = lab(shown ** (1 / 2.2))
        distance = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=-1)
        assert distance[~np.eye(9, dtype=bool)].min() > 20
        assert np.diag(distance, 1).min() > 50


def test_nobody_leaves_the_image_as_it_is(renderer):
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    for people in (
        People.empty(),
        People.empty(len(BALL)),
        people_at((0, 0, -3)),
        people_at((50, 0, 3)),
    ):
        drawn = renderer.draw_people(image, people, BALL_FACES)
        np.testing.assert_array_equal(drawn, image)
        assert not np.shares_memory(drawn, image)


def test_image_stays_untouched_and_may_be_a_view(renderer):
    backing = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    view, before = backing[::2, ::-2], backing.copy()
    drawn = renderer.draw_people(view, people_at((0, 0, 3)), BALL_FACES)
    np.testing.assert_array_equal(backing, before)
    expected = renderer.draw_people(view.copy(), people_at((0, 0, 3)), BALL_FACES)
    np.testing.assert_array_equal(drawn, expected)
    outside = renderer.render_ids(people_at((0, 0, 3), radius=0.5).vertices, BALL_FACES, 120, 160)
    np.testing.assert_array_equal(drawn[outside < 0], view[outside < 0])


def test_alpha_mixes_body_and_image(renderer):
    image, people = grey(), people_at((0, 0, 3))
    opaque = renderer.draw_people(image, people, BALL_FACES, alpha=1).astype(int)
    half = renderer.draw_people(image, people, BALL_FACES, alpha=0.5)
    np.testing.assert_allclose(half, (opaque + image) / 2, atol=1.5)
    np.testing.assert_array_equal(renderer.draw_people(image, people, BALL_FACES, alpha=0), image)


def test_edges_are_smooth_and_the_inside_is_shaded_smoothly(renderer):
    black = np.zeros((120, 160, 3), np.uint8)
    drawn = renderer.draw_people(black, people_at((0, 0, 3)), BALL_FACES)
    ids = renderer.render_ids(people_at((0, 0, 3)).vertices, BALL_FACES, 120, 160)
    outside_centers = drawn[ids < 0].max(-1)
    assert (outside_centers > 0).sum() > 10, "pixels that the edge only touches get some colour"
    inside = drawn[60, np.nonzero(ids[60] == 0)[0][4:-4]].astype(int)
    assert np.abs(np.diff(inside, axis=0)).max() < 12


def test_light_comes_from_above_left_of_the_viewer(renderer):
    drawn = renderer.draw_people(grey(), people_at((0, 0, 2)), BALL_FACES).astype(int).sum(-1)
    assert drawn[47, 67] > drawn[60, 80] > drawn[73, 93]


def test_normals_of_a_ball_point_away_from_its_center():
    normals = Topology(BALL_FACES, len(BALL)).normals(np.stack([BALL, 3 * BALL + 1]))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    # The poles and the seam have a vertex of their own in every column.
    assert (normals * BALL).sum(-1).min() > np.cos(np.radians(8))


def test_body_through_the_lens_is_cut_not_mirrored(renderer):
    floor, faces = box((-50, 1, -20), (50, 1.2, 1e5))
    ids = renderer.render_ids(floor[None], faces, 120, 160)
    assert (ids[:60] == -1).all(), "nothing above the horizon"
    assert (ids[62:] == 0).all(), "the floor reaches from the horizon to the lower border"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 57), (57, 33), (3000, 4000)])
def test_any_image_size(renderer, height, width):
    image = np.zeros((height, width, 3), np.uint8)
    drawn = renderer.draw_people(image, people_at((0, 0, 1), radius=0.45), BALL_FACES)
    assert drawn.shape == image.shape
    assert drawn[height // 2, width // 2].any()
    assert width < 2 or not drawn[:, 0].any()


def test_other_threads_draw_the_same(renderer):
    image, people = grey(), people_at((0, 0, 3))
    expected = renderer.draw_people(image, people, BALL_FACES)
    drawn = []
    threads = [
        threading.Thread(
            target=lambda: drawn.append(renderer.draw_people(image, people, BALL_FACES))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 3
    for other in drawn:
        np.testing.assert_array_equal(other, expected)
    np.testing.assert_array_equal(renderer.draw_people(image, people, BALL_FACES), expected)


CREATORS = (
    "framebuffer",
    "renderbuffer",
    "depth_renderbuffer",
    "buffer",
    "vertex_array",
    "program",
)


def test_steady_state_makes_nothing_new(renderer, monkeypatch):
    def draw():
        people = people_at((0, 0, 3), (0.4, 0, 3))
        for size in ((120, 160), (60, 90)):
            renderer.draw_people(grey(*size), people, BALL_FACES, order="body")
        renderer.render_ids(people.vertices, BALL_FACES, 120, 160)

    draw()
    for name in CREATORS:
        monkeypatch.delattr(moderngl.Context, name)
    draw()


def test_old_sizes_and_old_renderers_give_their_memory_back(monkeypatch):
    alive = 0

    def counted(function, change):
        def call(ctx, *args, **kwargs):
            nonlocal alive
            result = function(ctx, *args, **kwargs)
            alive += change(result)
            return result

        return call

    for name in CREATORS:
        create = counted(getattr(moderngl.Context, name), lambda _: 1)
        monkeypatch.setattr(moderngl.Context, name, create)
    collect = counted(gl.Device.collect, lambda collected: -collected)
    monkeypatch.setattr(gl.Device, "collect", collect)
    peaks = []
    for height in range(200, 230):
        Renderer().draw_people(grey(height), people_at((0, 0, 3)), BALL_FACES)
        peaks.append(alive)
    assert max(peaks[10:]) <= max(peaks[:10])


def test_objects_released_by_hand_are_not_released_again():
    ctx = gl.current_device().ctx
    ctx.buffer(reserve=4).release()
    gl.current_device()


def test_another_body_is_noticed(renderer):
    drawn = renderer.draw_people(grey(), people_at((0, 0, 3)), BALL_FACES)
    vertices, faces = box((-0.4, -0.4, 2.6), (0.4, 0.4, 3.4))
    other = make_people(vertices[None], [0])
    assert (renderer.draw_people(grey(), other, faces) != drawn).any()
    half = renderer.draw_people(grey(), people_at((0, 0, 3)), BALL_FACES[: len(BALL_FACES) // 2])
    assert (half != drawn).any()
    again = renderer.draw_people(grey(), people_at((0, 0, 3)), BALL_FACES)
    np.testing.assert_array_equal(again, drawn)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 5, 3), np.float32),
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        [[1, 2, 3]],
        None,
    ],
)
def test_image_of_another_form_is_refused(renderer, image):
    with pytest.raises(ImageError, match=r"\(H, W, 3\)"):
        renderer.draw_people(image, people_at((0, 0, 3)), BALL_FACES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"intrinsics": np.eye(4)}, "intrinsics"),
        ({"intrinsics": np.zeros((3, 3))}, "focal"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "finite"),
        ({"order": "nearest"}, "'depth' or 'body'"),
        ({"alpha": 1.5}, "0 to 1"),
        ({"alpha": float("nan")}, "0 to 1"),
        ({"faces": BALL_FACES + len(BALL)}, "another body"),
        ({"faces": BALL_FACES[:, :2]}, r"\(F, 3\)"),
        ({"faces": BALL_FACES + 0.5}, "integers"),
        ({"people": make_people(np.zeros((1, 0, 3)), [0])}, r"\(K, V, 3\)"),
    ],
)
def test_other_wrong_arguments_are_named(renderer, arguments, message):
    call = {"image": grey(), "people": people_at((0, 0, 3)), "faces": BALL_FACES, **arguments}
    with pytest.raises(ValueError, match=message):
        renderer.draw_people(**call)


def test_size_beyond_the_context_is_named(renderer):
    with pytest.raises(RendererError, match="1000000x4"):
        renderer.render_ids(people_at((0, 0, 3)).vertices, BALL_FACES, 4, 1_000_000)


def test_without_a_context_the_error_names_the_packages(monkeypatch):
    def fail(**_):
        raise Exception("eglGetDisplay failed (0x3001)")

    monkeypatch.setattr(gl, "_thread", threading.local())
    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(RendererError, match="apt-get install libegl1 libgl1-mesa-dri") as caught:
        Renderer()
    assert "0x3001" in str(caught.value)


def test_state_that_others_left_in_the_context_does_not_matter(renderer):
    expected = renderer.draw_people(grey(), people_at((0, 0, 3)), BALL_FACES)
    ctx = gl.current_device().ctx
    ctx.enable_only(moderngl.BLEND)
    ctx.front_face = "ccw"
    ctx.viewport = (0, 0, 3, 3)
    again = renderer.draw_people(grey(), people_at((0, 0, 3)), BALL_FACES)
    np.testing.assert_array_equal(again, expected)
