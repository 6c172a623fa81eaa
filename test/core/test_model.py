"""Romp: from images to people, with weights that see people everywhere."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch

from romp_core import People, Romp, load
from romp_core.body import write_body
from romp_core.checkpoints import write_checkpoint
from romp_core.commands.bench import DEMO_CLIP
from romp_core.errors import ConfigError, ImageError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.media import Video
from romp_core.preprocessing import DeviceLetterbox, HostLetterbox


@pytest.fixture(scope="module")
def romp(light_network, small_body):
    return Romp(light_network, small_body)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth picture with structure at every scale."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.uniform(0, 255, (n, n, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
        for n in (3, 9, 27)
    ]
    return np.clip(np.mean(layers, 0), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def people(romp):
    found = romp.predict(photo(300, 400))
    assert len(found) > 3
    return found


def same(first: People, second: People, tolerance: float = 0.0) -> bool:
    return len(first) == len(second) and all(
        np.allclose(value, getattr(second, name), atol=tolerance, rtol=tolerance)
        for name, value in vars(first).items()
    )


def test_fields_have_the_designed_types(people, small_body):
    assert people.vertices.shape == (len(people), 200, 3)
    assert people.joints.shape == (len(people), 71, 3)
    assert people.keypoints_2d.shape == (len(people), 71, 2)
    assert all(
        value.dtype == (np.int64 if name == "track_ids" else np.float32)
        for name, value in vars(people).items()
    )
    assert all(np.isfinite(value).all() for value in vars(people).values())
    assert (np.diff(people.confidence) <= 0).all()
    assert (people.confidence > 0.2).all()
    assert (people.track_ids == 0).all()


def test_vertices_are_the_body_plus_the_translation(people, small_body):
    """What a downstream node rebuilds from pose, betas and translation is what was sent."""
    body = small_body(torch.from_numpy(people.pose), torch.from_numpy(people.betas))
    rebuilt = body.vertices.numpy() + people.translation[:, None]
    np.testing.assert_allclose(rebuilt, people.vertices, atol=1e-4)


def test_bodies_stand_in_front_of_the_camera_where_the_image_shows_them(romp, people):
    assert (people.joints[..., 2].mean(1) > 0).all()
    intrinsics = intrinsics_from_fov(300, 400)
    points = people.joints @ intrinsics.T
    projected = points[..., :2] / points[..., 2:]
    extent = np.ptp(people.keypoints_2d, axis=1).max(1)
    shift = np.linalg.norm((projected - people.keypoints_2d).mean(1), axis=-1)
    assert (shift < 0.1 * extent).mean() > 0.9


def test_centers_and_boxes_lie_in_the_image(people):
    assert ((people.boxes >= 0) & (people.boxes <= [399, 299, 399, 299])).all()
    assert (people.boxes[:, 2:] >= people.boxes[:, :2]).all()
    # Cells may lie in the padding of a landscape picture, above or below, never beside.
    assert ((people.center[:, 0] > -0.5) & (people.center[:, 0] < 399.5)).all()


def test_without_vertices_everything_else_is_the_same(romp, people):
    light = romp.predict(photo(300, 400), with_vertices=False)
    assert light.vertices.shape == (len(people), 0, 3)
    for name in ("pose", "joints", "translation", "keypoints_2d", "boxes"):
        np.testing.assert_allclose(getattr(light, name), getattr(people, name), atol=1e-4)


def test_root_alignment_moves_the_projection_not_the_body(light_network, small_body, people):
    other = Romp(light_network, small_body, root_align=False).predict(photo(300, 400))
    np.testing.assert_allclose(other.pose, people.pose, atol=1e-5)
    assert np.abs(other.keypoints_2d - people.keypoints_2d).max() > 1


def test_a_batch_gives_what_single_images_give(romp):
    images = [photo(300, 400), photo(120, 90, 1), np.zeros((64, 64, 3), np.uint8)]
    matrices = [None, intrinsics_from_fov(120, 90, 40), None]
    many = romp.predict_batch(images, matrices)
    for image, matrix, found in zip(images, matrices, many, strict=True):
        assert same(romp.predict(image, matrix), found, 2e-3)


def test_a_stream_gives_what_single_images_give(romp):
    images = [photo(120, 90, seed) for seed in range(3)] + [photo(64, 64)]
    K = intrinsics_from_fov(120, 90, 40)
    streamed = list(romp.predict_stream(iter(images), K))
    assert len(streamed) == 4
    for image, found in zip(images, streamed, strict=True):
        assert same(romp.predict(image, K), found)
    assert list(romp.predict_stream([])) == []


def test_threads_take_turns(light_network, small_body):
    romp = Romp(light_network, small_body)
    runtime, busy = romp.runtime, []

    class ForOneThread:
        name, precision = runtime.name, runtime.precision

        def __call__(self, squares):
            busy.append(squares)
            time.sleep(0.02)
            assert len(busy) == 1
            maps = runtime(squares)
            busy.clear()
            return maps

    romp.runtime = ForOneThread()
    images = [photo(120, 90, seed) for seed in range(4)]
    expected = [romp.predict(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        streamed = threads.submit(lambda: list(romp.predict_stream(images)))
        found = list(threads.map(romp.predict, images))
    assert all(map(same, found, expected))
    assert all(map(same, streamed.result(), expected))


def test_nobody_gives_an_empty_people_never_none(light_network, small_body):
    found = Romp(light_network, small_body, center_threshold=1e9).predict(photo(90, 60))
    assert isinstance(found, People)
    assert len(found) == 0
    assert found.vertices.shape == (0, 200, 3)
    assert Romp(light_network, small_body).predict_batch([]) == []


def test_intrinsics_decide_the_distance(romp):
    near = romp.predict(photo(300, 400), intrinsics_from_fov(300, 400, 90))
    far = romp.predict(photo(300, 400), intrinsics_from_fov(300, 400, 20))
    ratio = np.median(far.joints[..., 2].mean(1) / near.joints[..., 2].mean(1))
    assert ratio > 3  # focal lengths differ by 5.7
    np.testing.assert_allclose(near.keypoints_2d, far.keypoints_2d, atol=1e-3)


@pytest.mark.parametrize(
    ("height", "width"), [(33, 57), (57, 33), (1, 1), (480, 640), (4000, 3000)], ids=str
)
def test_any_image_size_runs(romp, height, width):
    found = romp.predict(photo(height, width))
    assert all(np.isfinite(value).all() for value in vars(found).values())


def test_views_without_contiguous_memory_are_read_right(romp):
    image = photo(90, 120)
    assert same(romp.predict(image[:, ::-1]), romp.predict(image[:, ::-1].copy()))
    assert same(
        romp.predict(image.transpose(1, 0, 2)), romp.predict(image.transpose(1, 0, 2).copy())
    )


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (np.zeros((8, 8, 3), np.float32), "float32"),
        (np.zeros((8, 8), np.uint8), r"\(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), r"\(0, 8, 3\)"),
        ("photo.jpg", "str"),
        (None, "NoneType"),
    ],
    ids=str,
)
def test_what_is_no_image_is_named(romp, wrong, found):
    with pytest.raises(ImageError, match=found):
        romp.predict(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        np.eye(4),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
        np.diag([-1, 1, 1]),
        intrinsics_from_fov(8, 8).T,
        {},
        "K",
    ],
    ids=str,
)
def test_wrong_intrinsics_are_named(romp, wrong):
    with pytest.raises(ValueError, match="expected a finite"):
        romp.predict(photo(8, 8), wrong)
    with pytest.raises(ValueError, match="2 intrinsics for 1 images"):
        romp.predict_batch([photo(8, 8)], [None, None])


@pytest.mark.parametrize(("height", "width"), [(480, 640), (641, 480), (33, 57), (1200, 700)])
def test_letterbox_on_the_device_equals_opencv(height, width):
    image = photo(height, width)
    by_opencv = HostLetterbox(256)([image])[0]
    letterbox = DeviceLetterbox(height, width, 256, torch.device("cpu"))
    in_torch = letterbox(torch.from_numpy(image))
    difference = (by_opencv.float() - in_torch.float()).abs()
    assert difference.max() <= 1  # OpenCV's fixed-point rounding
    assert difference.mean() < 0.05


def test_letterbox_pads_with_zeros_and_gives_rgb():
    image = np.zeros((64, 128, 3), np.uint8)
    image[..., 0] = 200  # blue
    square = HostLetterbox(64)([image])[0]
    assert square[32, :, 2].min() == 200
    assert square[..., :2].max() == 0
    assert square[:14].max() == 0
    assert square[-14:].max() == 0


def test_letterbox_buffers_hold_nothing_of_earlier_images():
    letterbox = HostLetterbox(64)
    image, other = photo(40, 60), photo(60, 40, 1)
    fresh = HostLetterbox(64)([image, other]).clone()
    letterbox([other, image])
    letterbox([np.full((40, 60, 3), 255, np.uint8)])
    assert torch.equal(letterbox([image, other]), fresh)


def test_saving_and_loading_changes_nothing(romp, light_network, small_body_data, tmp_path):
    """Must show: save, load, predict gives identical people."""
    path, body_path = tmp_path / "weights.safetensors", tmp_path / "body.npz"
    write_checkpoint(path, light_network, root_align=True, body="made-up")
    write_body(small_body_data, body_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load(path, body=body_path, device="cpu", runtime="torch", precision="float32")
    assert same(romp.predict(photo(300, 400)), again.predict(photo(300, 400)))


def test_betas_of_another_body_are_zeroed_and_said_once(light_network, small_body_data, tmp_path):
    path, body_path = tmp_path / "weights.safetensors", tmp_path / "body.npz"
    write_checkpoint(path, light_network, root_align=True, body="smpl")
    write_body(small_body_data, body_path)
    with pytest.warns(UserWarning, match="betas do not carry over") as caught:
        found = load(path, body=body_path, device="cpu").predict(photo(300, 400))
    assert len(caught) == 1
    assert len(found) > 0
    assert (found.betas == 0).all()


def test_absent_devices_runtimes_and_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="runtime is 'tensorflow'"):
        load(runtime="tensorflow")
    for device in ("abacus", "meta"):
        with pytest.raises(ConfigError, match=f"device '{device}' cannot be used"):
            load(device=device)
    with pytest.raises(FileNotFoundError, match=r"missing\.pkl"):
        load(tmp_path / "missing.pkl", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_named():
    with pytest.raises(ConfigError, match="'cuda' cannot be used"):
        load(device="cuda")


@pytest.mark.parametrize("size", [None, (57, 33), (480, 640), (4000, 3000)], ids=str)
def test_photos_run_at_every_size(romp, shared, size):
    photos = sorted((shared / "samples").rglob("*.jpg"))
    assert photos
    for path in photos:
        image = cv2.imread(str(path))
        found = romp.predict(image if size is None else cv2.resize(image, size))
        assert all(np.isfinite(value).all() for value in vars(found).values())


@pytest.mark.parametrize(
    "wrong", [{"max_people": 0}, {"horizontal_fov_deg": 500}, {"center_threshold": np.nan}], ids=str
)
def test_options_out_of_range_are_named(light_network, small_body, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Romp(light_network, small_body, **wrong)
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        load("open", device="cpu", **wrong)


def test_another_input_size_gives_the_same_people():
    """Smaller pictures, nearly the same keypoints; a size that cannot be is named."""
    frame = next(iter(Video(DEMO_CLIP)))[1]
    options = {"device": "cpu", "runtime": "torch", "precision": "float32"}
    own, small = (load(**options, input_size=size) for size in (None, 256))
    assert small.network.config.input_size == 256 < own.network.config.input_size
    expected, found = (romp.predict(frame, with_vertices=False) for romp in (own, small))
    assert len(expected) >= 3
    extent = np.ptp(expected.keypoints_2d, axis=1).max(1)
    apart = np.linalg.norm(expected.keypoints_2d[:, None] - found.keypoints_2d, axis=-1).mean(-1)
    assert (apart.min(1) < 0.1 * extent).all()
    for wrong in (100, 0):
        with pytest.raises(ConfigError, match=f"input_size is {wrong}"):
            load(**options, input_size=wrong)


def test_a_stack_of_images_is_a_batch(romp):
    stack = np.stack([photo(64, 96), photo(64, 96, 1)])
    for image, found in zip(stack, romp.predict_batch(stack), strict=True):
        assert same(romp.predict(image), found, 2e-3)


def test_large_batches_go_in_parts_and_give_what_single_images_give(light_network, small_body):
    """Runtimes prepare for every shape of a batch: with nine cameras it was each time anew."""
    romp = Romp(light_network, small_body)
    images = [photo(64, 96, number % 3) for number in range(9)]
    singly = [romp.predict(image) for image in images]
    batches = []

    class Counted:
        name, precision, run = romp.runtime.name, romp.runtime.precision, romp.runtime

        def __call__(self, squares):
            batches.append(len(squares))
            return self.run(squares)

    romp.runtime = Counted()
    for count in range(1, 10):
        for one, other in zip(singly, romp.predict_batch(images[:count]), strict=False):
            assert same(one, other, 2e-3)
    assert set(batches) == {1, 2}
