"""Augmentation and batches: annotations follow the picture; left and right stay right."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from romp_core.body import BodyModel
from romp_core.body.joints import JOINTS_71
from romp_core.center_map import encode
from romp_core.data.augmentation import (
    NO_AUGMENTATION,
    AugmentationConfig,
    augment,
    mirror,
    warp,
)
from romp_core.data.mixing import MixedSamples, NumberSampler
from romp_core.data.sample import OCCLUDED, UNLABELED, VISIBLE, DenseMaps, Sample
from romp_core.errors import DataError, ImageError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.training.batch import collate
from romp_core.training.targets import answering_cells, center_targets, to_cells


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return BodyModel.load("open")


def make_sample(body: BodyModel, people: int = 2, seed: int = 0, size=(240, 320)) -> Sample:
    """People of the open body before a camera; each nose is painted as a white dot."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.3, (people, 72)).astype(np.float32)
    pose[:, 0] += np.pi  # upright in the optical frame
    pose[:, 66:] = 0
    betas = rng.normal(0, 1, (people, 10)).astype(np.float32)
    translation = np.stack(
        [np.linspace(-0.8, 0.8, people), rng.uniform(-0.2, 0.2, people), np.full(people, 4.0)], 1
    ).astype(np.float32)
    joints = body(torch.from_numpy(pose), torch.from_numpy(betas)).joints.numpy()
    joints = joints + translation[:, None]
    intrinsics = intrinsics_from_fov(*size)
    points = joints @ intrinsics.T
    pixels = points[..., :2] / points[..., 2:]
    image = np.full((*size, 3), 60, np.uint8)
    for x, y in pixels[:, JOINTS_71.index("nose")]:
        cv2.circle(image, (round(x), round(y)), 3, (255, 255, 255), -1)
    return Sample(
        image=image,
        source=f"made {seed}",
        keypoints_2d=np.concatenate([pixels, np.full((people, 71, 1), 2.0)], -1),
        boxes=np.concatenate([pixels.min(1), pixels.max(1)], 1),
        pose=pose,
        betas=betas,
        translation=translation,
        joints_3d=joints,
        intrinsics=intrinsics,
    )


def posed_joints(body: BodyModel, sample: Sample) -> np.ndarray:
    """Joints that pose and betas give, moved to where the annotated ones are."""
    joints = body(torch.from_numpy(sample.pose), torch.from_numpy(sample.betas)).joints.numpy()
    return joints - joints.mean(1, keepdims=True) + sample.joints_3d.mean(1, keepdims=True)


def noses_are_white(sample: Sample) -> bool:
    for x, y, seen in sample.keypoints_2d[:, JOINTS_71.index("nose")]:
        if seen and sample.image[round(y), round(x)].min() < 200:
            return False
    return True


def test_whole_pictures_are_letterboxed(body):
    sample = make_sample(body)
    square = augment(sample, 320, np.random.default_rng(0), NO_AUGMENTATION)
    assert square.image.shape == (320, 320, 3)
    expected = sample.keypoints_2d + np.array([0, 40, 0], np.float32)
    np.testing.assert_allclose(square.keypoints_2d, expected, atol=1e-3)
    assert square.image[:39].max() == 0
    assert noses_are_white(square)


@pytest.mark.parametrize("angle", [0.0, 0.5, -1.2])
def test_bodies_turn_with_the_picture(body, angle):
    warped = warp(make_sample(body), 256, np.array([160.0, 120.0]), 400.0, angle)
    assert noses_are_white(warped)
    np.testing.assert_allclose(posed_joints(body, warped), warped.joints_3d, atol=1e-4)
    # Seen from afar, joints and keypoints spread the same way.
    joints = warped.joints_3d[0, :, :2] - warped.joints_3d[0, :, :2].mean(0)
    keypoints = warped.keypoints_2d[0, :, :2] - warped.keypoints_2d[0, :, :2].mean(0)
    correlation = (joints * keypoints).sum() / np.linalg.norm(joints) / np.linalg.norm(keypoints)
    assert correlation > 0.98


def test_areas_grow_with_the_picture(body):
    sample = replace(make_sample(body), areas=np.full(len(make_sample(body)), 100.0))
    warped = warp(sample, 256, np.array([160.0, 120.0]), 512.0, 0.3)  # half as large
    np.testing.assert_allclose(warped.areas, 25)


def test_mirrors_swap_left_and_right_of_everything(body):
    sample = make_sample(body)
    mirrored = mirror(sample)
    assert noses_are_white(mirrored)
    left, right = JOINTS_71.index("left_wrist"), JOINTS_71.index("right_wrist")
    np.testing.assert_allclose(
        mirrored.keypoints_2d[:, left, 0], 319 - sample.keypoints_2d[:, right, 0]
    )
    # The mirrored pose gives the mirrored joints, up to what the mesh lacks in symmetry.
    assert np.abs(posed_joints(body, mirrored) - mirrored.joints_3d).max() < 0.01
    twice = mirror(mirrored)
    np.testing.assert_allclose(twice.joints_3d, sample.joints_3d)
    np.testing.assert_allclose(twice.pose, sample.pose)
    np.testing.assert_array_equal(twice.image, sample.image)


def test_people_who_leave_the_picture_are_ignored_there(body):
    sample = make_sample(body)
    first = sample.keypoints_2d[0, :, :2].mean(0)
    cropped = warp(sample, 128, first, 60.0)
    assert len(cropped) == 1
    half = warp(sample, 128, sample.keypoints_2d[0, JOINTS_71.index("nose"), :2], 30.0)
    assert (half.keypoints_2d[..., 2] == 0).any()


def test_augmented_samples_stay_consistent(body):
    sample = make_sample(body)
    config = AugmentationConfig(crop=0.5, rotate=1, color=0, gray=0, occlude=0, noise=0, blur=0)
    for seed in range(20):
        changed = augment(sample, 192, np.random.default_rng(seed), config)
        assert changed.image.shape == (192, 192, 3)
        assert np.abs(posed_joints(body, changed) - changed.joints_3d).max(initial=0) < 0.01


def test_what_is_under_patches_is_hidden():
    """Wart: joints under them stayed visible, and their pixels parts of bodies."""
    rng, size = np.random.default_rng(0), 100
    places = rng.uniform(-0.5, size - 0.5, (9, 71, 2))
    places[0, 2] = size - 0.5
    states = rng.choice([UNLABELED, OCCLUDED, VISIBLE], (9, 71, 1))
    ones = np.ones((size, size, 3), np.float32)
    sample = Sample(
        image=np.full((size, size, 3), 7, np.uint8),
        source="made",
        keypoints_2d=np.concatenate([places, states], -1),
        boxes=np.tile([0.0, 0, 99, 99], (9, 1)),
        dense=DenseMaps(ones[..., 0], np.full((size, size), 3, np.uint8), ones),
    )
    config = replace(NO_AUGMENTATION, occlude=1)
    changed = augment(sample, size, rng, config)
    patches = changed.dense.parts == 255
    assert 0.01 < patches.mean() < 0.5
    assert (changed.dense.parts[~patches] == 3).all()
    assert (changed.image[~patches] == 7).all()
    assert (changed.image[patches] != 7).any(-1).mean() > 0.9
    x, y = np.moveaxis(sample.keypoints_2d[..., :2].round().astype(int).clip(0, size - 1), -1, 0)
    before, after = sample.keypoints_2d[..., 2], changed.keypoints_2d[..., 2]
    under = patches[y, x] & (before == VISIBLE)
    assert under.any()
    assert (after[under] == OCCLUDED).all()
    np.testing.assert_array_equal(after[~under], before[~under])


def test_batches_mask_what_is_unknown(body):
    known = augment(make_sample(body), 128, np.random.default_rng(0), NO_AUGMENTATION)
    bare = Sample(
        image=np.zeros((128, 128, 3), np.uint8),
        source="keypoints only",
        keypoints_2d=np.pad(np.array([[[64.0, 64, 2]]], np.float32), ((0, 0), (16, 54), (0, 0))),
        boxes=np.array([[54.0, 44, 74, 84]]),
        ignored_boxes=np.array([[0.0, 0, 20, 20]]),
    )
    nobody = Sample(image=np.zeros((128, 128, 3), np.uint8), source="nobody")
    batch = collate([known, bare, nobody])
    assert batch.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert batch.has_pose.tolist() == [[True, True], [False, False], [False, False]]
    assert batch.labeled[1, 0].sum() == 1
    assert not batch.has_joints[1].any()
    assert all(value.isfinite().all() for value in (batch.joints, batch.centers, batch.keypoints))
    torch.testing.assert_close(to_cells(batch.centers[1, 0], 16), torch.tensor([7.5625, 7.5625]))
    heat, judged, _, _ = center_targets(batch, 16, gamma=0.2)
    assert (heat == 1).flatten(1).sum(1).tolist() == [2, 1, 0]
    assert not judged[1, :2, :2].any()
    assert judged[1, 4:].all()
    assert judged[[0, 2]].all()


def test_others_may_be_anywhere_where_not_everybody_is_annotated(body):
    known = augment(make_sample(body), 128, np.random.default_rng(0), NO_AUGMENTATION)
    known = replace(known, ignored_boxes=known.boxes[1:])
    nobody = Sample(np.zeros((128, 128, 3), np.uint8), "nobody", everybody_annotated=False)
    known, others = known.select([0]), replace(known.select([0]), everybody_annotated=False)
    x1, y1, x2, y2 = known.boxes[0] / 8
    assert not mirror(warp(others, 64, np.array([64, 64]), 128.0)).everybody_annotated
    judged = collate([known, others, nobody]).judged(16)
    rows, columns = np.mgrid[:16, :16]
    inside = (columns > x1) & (columns < x2 - 1) & (rows > y1) & (rows < y2 - 1)
    around = (columns > x1 - 2) & (columns < x2 + 2) & (rows > y1 - 2) & (rows < y2 + 2)
    assert judged[0][inside].any()
    assert torch.equal(judged[1][inside], judged[0][inside])
    assert judged[0][~around].any()
    assert not judged[1][~around].any()
    assert not judged[2].any()


def test_boxes_alone_tell_where_people_are_of_whom_no_joint_is_labeled(body):
    """Wart: CrowdHuman, whose people have boxes only, taught nothing but background."""
    image, nothing = np.zeros((128, 128, 3), np.uint8), np.zeros(71, bool)
    boxes = np.array([[20.0, 40, 60, 120], [80, 10, 120, 90]], np.float32)
    crowd = Sample(image, "crowd", boxes=boxes, annotated=nothing)
    assert len(augment(crowd, 128, np.random.default_rng(0), NO_AUGMENTATION)) == 2
    batch = collate([crowd])
    assert batch.valid.all()
    assert not batch.labeled.any()
    expected = torch.tensor([[40.5, 80.5], [100.5, 50.5]]) / 64 - 1
    torch.testing.assert_close(batch.centers[0], expected)
    torch.testing.assert_close(batch.box_centers, batch.centers)
    heat, _, _, _ = center_targets(batch, 16, gamma=0.2)
    assert (heat == 1).sum() == 2
    cut = warp(crowd, 128, np.array([40.0, 20]), 60.0)  # a corner of the first is left
    assert len(cut) == 0
    assert len(cut.ignored_boxes) == 1
    # Where joints are labeled, whoever has none was too small or too hidden.
    unlabeled = augment(replace(crowd, annotated=None), 128, np.random.default_rng(0),
                        NO_AUGMENTATION)  # fmt: skip
    assert len(unlabeled) == 0
    assert len(unlabeled.ignored_boxes) == 2


def test_parameters_are_read_at_the_nearest_predicted_center():
    centers = torch.tensor([[[5.0, 5.0], [12.0, 3.0]]])
    radii = torch.full((1, 2), 2.5)
    predicted = encode(
        torch.tensor([[6.0, 5.0]]), torch.tensor([2.0]), torch.tensor([True]), (16, 16)
    )
    cells = answering_cells(predicted[None, None], centers, radii, 8)
    assert cells.tolist() == [[5 * 16 + 6, 3 * 16 + 12]]  # the second has no prediction: its own


def test_mixing_is_reproducible_and_follows_probabilities(body):
    sources = [[make_sample(body, 1, seed)] for seed in range(2)]
    mixed = MixedSamples(sources, [1, 3], 64, AugmentationConfig())
    drawn = [mixed[number] for number in range(200)]
    share = np.mean([sample.source == "made 1" for sample in drawn])
    assert 0.65 < share < 0.85
    np.testing.assert_array_equal(mixed[7].image, drawn[7].image)


class Readable:
    """Ten samples, some of which cannot be read."""

    def __init__(self, body: BodyModel, broken: dict[int, Exception]):
        self.samples = [make_sample(body, 1, seed) for seed in range(10)]
        self.broken = broken

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise self.broken[index]
        return self.samples[index]


def test_samples_that_cannot_be_read_give_way_to_the_next(body, caplog):
    broken = {
        3: ImageError("a/3.jpg cannot be decoded"),
        4: FileNotFoundError("a/4.jpg does not exist"),
        9: DataError("a/9.jpg is not readable"),
    }
    whole = MixedSamples([Readable(body, {})], [1], 64, AugmentationConfig())
    mixed = MixedSamples([Readable(body, broken)], [1], 64, AugmentationConfig())
    taken_instead = {"made 3": "made 5", "made 4": "made 5", "made 9": "made 0"}
    drawn = set()
    for number in range(60):
        expected, found = whole[number], mixed[number]
        drawn.add(expected.source)
        assert found.source == taken_instead.get(expected.source, expected.source)
        np.testing.assert_array_equal(found.image, mixed[number].image)
        if expected.source not in taken_instead:
            np.testing.assert_array_equal(found.image, expected.image)
    assert drawn >= set(taken_instead)
    assert sorted(record.getMessage().split("taken: ")[1][:7] for record in caplog.records) == [
        "a/3.jpg", "a/4.jpg", "a/9.jpg",
    ]  # fmt: skip


def test_many_samples_in_a_row_that_cannot_be_read_stop(body):
    broken = {index: ImageError(f"{index}.jpg is damaged") for index in range(10)}
    mixed = MixedSamples([Readable(body, broken)], [1], 64, AugmentationConfig())
    with pytest.raises(DataError, match=r"10 samples in a row of data set 0.*jpg is damaged.*data"):
        mixed[0]
    broken[0] = TypeError("a mistake in a reader")
    with pytest.raises(TypeError, match="a mistake"):
        mixed[0]


def test_every_epoch_and_process_has_its_own_samples():
    numbers = []
    for epoch in range(2):
        for rank in range(2):
            sampler = NumberSampler(3, rank, 2)
            sampler.set_epoch(epoch)
            numbers += list(sampler)
    assert sorted(numbers) == list(range(12))


@pytest.mark.parametrize(
    ("sources", "shares", "message"),
    [([], [], "no data set"), ([[]], [1], "holds no sample"), ([[1]], [0], "some above 0")],
)
def test_useless_mixes_are_named(sources, shares, message):
    with pytest.raises(DataError, match=message):
        MixedSamples(sources, shares, 64, AugmentationConfig())
