"""Tracker: smoothing by time, and bodies that follow from what was smoothed."""

import warnings

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from tracking_factory import people_at

from romp_core import People
from romp_core.errors import ConfigError
from romp_core.evaluation.tracking import step_lag
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.posing import posed
from romp_core.tracking import SmoothingConfig, Tracker, TrackingConfig
from romp_core.tracking.config import Channel

ARM = 16 * 3 + 2
AT_ONCE = TrackingConfig(birth_hits=1)


def smoothed(images, stamps, strength: float = 0.5) -> list[People]:
    tracker = Tracker(AT_ONCE)
    return [
        tracker.update(people, float(stamp), strength=strength)
        for people, stamp in zip(images, stamps, strict=True)
    ]


def raised(angle: float) -> People:
    pose = np.zeros((1, 72))
    pose[0, ARM] = angle
    return people_at([[0, 0, 4]], pose=pose)


def spread(people: list[People], name: str) -> float:
    return float(np.stack([getattr(one, name)[0] for one in people]).std(0).mean())


def test_noise_gets_smaller_with_strength():
    rng = np.random.default_rng(0)
    stamps = np.arange(90) / 30
    images = [
        people_at(
            [[0.4, 0, 4]] * rng.normal(1, (0.005, 0.005, 0.02), (1, 3)),
            pose=rng.normal(0, 0.05, 72),
            betas=rng.normal(0, 0.3, 10),
        )
        for _ in stamps
    ]
    answers = [images] + [smoothed(images, stamps, strength) for strength in (0.1, 0.3, 0.6, 1.0)]
    for name in ("pose", "betas", "translation"):
        spreads = [spread(people[30:], name) for people in answers]
        assert spreads[-1] < spreads[0] / 2.5
        if name != "betas":  # whose mean is the same at any strength
            assert spreads == sorted(spreads, reverse=True)


def test_rotations_are_filtered_as_rotations():
    """Where axis-angle jumps from pi to -pi, filtering its numbers would turn people round."""
    rng = np.random.default_rng(0)
    turns = [Rotation.from_rotvec([0, np.pi + angle, 0]) for angle in rng.normal(0, 0.1, 60)]
    vectors = np.array([turn.as_rotvec() for turn in turns])
    assert (vectors[:, 1] > 0).any() and (vectors[:, 1] < 0).any()
    images = []
    for vector in vectors:
        pose = np.zeros((1, 72))
        pose[0, :3] = vector
        images.append(people_at([[0, 0, 4]], pose=pose))
    for one in smoothed(images, np.arange(60) / 30)[10:]:
        away = Rotation.from_rotvec(one.pose[0, :3]) * Rotation.from_rotvec([0, -np.pi, 0])
        assert away.magnitude() < 0.15


def test_time_counts_and_not_images():
    """A step small enough to look like noise is approached alike at any, also uneven, rate."""
    answers = []
    for steps in ([0.1] * 4, [0.02] * 20, [0.3, 0.001, 0.099], [1 / 60] * 24):
        stamps = np.cumsum([0.0, *steps])
        images = [raised(0.0)] + [raised(1e-3)] * len(steps)
        answers.append(smoothed(images, stamps)[-1].pose[0, ARM])
    np.testing.assert_allclose(answers, answers[0], rtol=1e-3)
    assert 0.5e-3 < answers[0] < 0.95e-3


@pytest.mark.parametrize("rate", [10.0, 30.0, 60.0])
@pytest.mark.parametrize(
    ("name", "index", "size"),
    [("pose", ARM, 1.0), ("pose", 1, 1.0), ("translation", 0, 0.5), ("translation", 2, 0.5)],
)
def test_sudden_motion_lags_less_than_two_frames(name, index, size, rate):
    change = np.zeros((1, 72 if name == "pose" else 3), np.float32)
    change[0, index] = size
    assert step_lag({name: change}, rate, 0.5, SmoothingConfig()) < 2


def test_shape_settles_at_its_mean():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=10)
    stamps = np.arange(600) / 30
    images = [people_at([[0, 0, 4]], betas=truth + rng.normal(0, 0.4, 10)) for _ in stamps]
    late = smoothed(images, stamps)[300:]
    assert spread(late, "betas") < 0.02
    np.testing.assert_allclose(late[-1].betas[0], truth, atol=0.1)


def test_shapes_are_means_and_a_gap_lends_no_weight():
    def of(value: float) -> People:
        return people_at([[0, 0, 4]], betas=np.full(10, value))

    answers = smoothed([of(0.0), of(0.1), of(0.05), of(0.09)], [0.0, 0.1, 0.2, 0.3])
    found = [one.betas[0, 0] for one in answers]
    np.testing.assert_allclose(found, [0, 0.05, 0.05, 0.06], atol=1e-6)
    stamps = [*np.arange(20) / 10, 3.0]
    late = smoothed([of(0.0)] * 20 + [of(0.1)], stamps)[-1]
    assert late.track_ids.tolist() == [1]
    assert 0 < late.betas[0, 0] < 0.015


def test_the_past_is_forgotten_when_the_clock_goes_backwards():
    tracker = Tracker(AT_ONCE)
    for index in range(30):
        tracker.update(raised(0.0), 10 + index / 30, strength=1.0)
    found = tracker.update(raised(0.2), 5.0, strength=1.0)
    np.testing.assert_allclose(found.pose[0, ARM], 0.2, atol=1e-6)


def test_strength_can_change_while_running():
    tracker = Tracker(AT_ONCE)
    tracker.update(raised(0.0), 0.0, strength=0.5)
    held = tracker.update(raised(0.1), 1 / 30, strength=0.5).pose[0, ARM]
    off = tracker.update(raised(0.1), 2 / 30, strength=0.0).pose[0, ARM]
    on = tracker.update(raised(0.2), 3 / 30, strength=1.0).pose[0, ARM]
    assert 0 < held < 0.1
    assert off == np.float32(0.1)
    np.testing.assert_allclose(on, 0.2, atol=1e-6)  # nothing older than "off" comes back


def test_hardly_any_strength_is_none():
    images, stamps = [raised(0.0), raised(0.5), raised(0.2)], [0.0, 0.001, 0.1]
    for one, measured in zip(smoothed(images, stamps, 1e-200), images, strict=True):
        np.testing.assert_allclose(one.pose, measured.pose, atol=1e-6)


def test_people_without_an_id_are_left_as_they_are():
    tracker = Tracker(TrackingConfig(birth_hits=3))
    for index, angle in enumerate((0.0, 0.1)):
        found = tracker.update(raised(angle), index / 30, strength=1.0)
        assert found.track_ids.tolist() == [0]
        assert found.pose[0, ARM] == np.float32(angle)


def test_senseless_channels_are_refused():
    with pytest.raises(ConfigError, match="time_constant_s is 0"):
        Channel(0.0, 1.0)
    with pytest.raises(ConfigError, match="shape_s is -1"):
        SmoothingConfig(shape_s=-1.0)


def test_posed_people_are_their_body_in_its_place(small_body):
    rng = np.random.default_rng(0)
    people = people_at(
        [[-0.5, 0.1, 3], [0.5, 0, 5]],
        pose=rng.normal(0, 0.3, (2, 72)),
        betas=rng.normal(size=(2, 10)),
    )
    K = intrinsics_from_fov(720, 1280)
    found = posed(people, small_body, K, (720, 1280))
    vertices, joints = small_body(torch.from_numpy(people.pose), torch.from_numpy(people.betas))
    place = people.translation[:, None]
    np.testing.assert_allclose(found.vertices, vertices.numpy() + place, atol=1e-6)
    np.testing.assert_allclose(found.joints, joints.numpy() + place, atol=1e-6)
    pixels = found.joints @ K.T
    np.testing.assert_allclose(found.keypoints_2d, pixels[..., :2] / pixels[..., 2:], atol=1e-2)
    assert (found.boxes[:, :2] <= found.keypoints_2d.min(1).clip(min=0)).all()
    assert found.boxes.min() >= 0
    assert (found.boxes[:, 2:] <= (1279, 719)).all()
    for name in ("pose", "betas", "translation", "confidence", "camera", "center", "track_ids"):
        np.testing.assert_array_equal(getattr(found, name), getattr(people, name))
    assert posed(people, small_body, K, (720, 1280), with_vertices=False).vertices.shape == (
        2,
        0,
        3,
    )
    assert len(posed(people[[]], small_body, K, (720, 1280))) == 0


def test_posed_takes_arrays_that_cannot_be_written(small_body):
    people = people_at([[0, 0, 3]])
    for values in vars(people).values():
        values.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(posed(people, small_body, intrinsics_from_fov(720, 1280), (720, 1280))) == 1
