"""Synthetic sequences: what people do in them, and that they are the truth."""

import numpy as np
import pytest

from romp_core import BodyModel
from romp_core.data.synthetic.poses import load_clips
from romp_core.data.synthetic.sequences import (
    DetectionNoise,
    Sequence,
    SequenceConfig,
    detections,
    make_sequence,
)
from romp_core.data.synthetic.walkers import LIMB_SPEED, Motion, Way, procedural_walk
from romp_core.errors import DataError

SHORT = SequenceConfig(seconds=6, rate=(10, 16))
PERFECT = DetectionNoise((0, 0), (0, 0), (0, 0), (0, 0), missed=0, ghosts=0)


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return BodyModel.load("open")


@pytest.fixture(scope="module")
def sequences(body) -> list[Sequence]:
    return [make_sequence(seed, body, config=SHORT) for seed in range(8)]


def presence(sequence: Sequence) -> dict[int, np.ndarray]:
    """Per person, in which images he is visible."""
    everybody = set().union(*(set(people.track_ids.tolist()) for people in sequence.truth))
    return {
        person: np.array([person in people.track_ids for people in sequence.truth])
        for person in everybody
    }


def test_the_same_seed_makes_the_same_sequence(sequences, body):
    again = make_sequence(3, body, config=SHORT)
    np.testing.assert_array_equal(again.stamps, sequences[3].stamps)
    for first, second in zip(again.truth, sequences[3].truth, strict=True):
        np.testing.assert_array_equal(first.joints, second.joints)
    assert (
        len(sequences[4].stamps) != len(sequences[3].stamps)
        or (sequences[4].stamps != sequences[3].stamps).any()
    )


def test_people_are_where_the_camera_sees_them(sequences):
    for sequence in sequences:
        for people in sequence.truth:
            assert len(np.unique(people.track_ids)) == len(people)
            assert (people.joints[:, 0, 2] > 1).all()
            pixels = people.joints @ sequence.intrinsics.T
            np.testing.assert_allclose(
                people.keypoints_2d, pixels[..., :2] / pixels[..., 2:], atol=0.05
            )
            heads, feet = people.joints[:, 15, 1], people.joints[:, 7:9, 1].max(1)
            assert (heads < feet).all()  # y points down
            assert np.abs(people.joints[..., 1].max(1) - SHORT.camera_height).max(initial=0) < 0.2


def test_people_come_go_cross_and_hide_each_other(sequences):
    returns = crossings = 0
    for sequence in sequences:
        there = presence(sequence)
        for seen in there.values():
            first, last = np.flatnonzero(seen)[[0, -1]]
            returns += not seen[first:last].all()
        sides = {}
        for people in sequence.truth:
            for person, x in zip(people.track_ids, people.keypoints_2d[:, 0, 0], strict=True):
                sides.setdefault(int(person), []).append(x)
        crossings += sum(min(path) < 400 and max(path) > 880 for path in sides.values())
    assert returns >= 3
    assert crossings >= 3


def test_images_are_lost_and_come_unevenly(sequences):
    for sequence in sequences:
        steps = np.diff(sequence.stamps)
        assert (steps > 0).all()
        assert steps.std() > 0.05 * steps.mean()
        assert steps.max() > 1.7 * np.median(steps)
        assert 5 < sequence.stamps[-1] < 7


def test_a_perfect_network_finds_the_truth(sequences, body):
    for people, found in zip(
        sequences[0].truth, detections(sequences[0], body, 0, PERFECT), strict=True
    ):
        order = np.argsort(found.track_ids)
        np.testing.assert_allclose(found.joints[order], people.joints, atol=1e-4)
        assert (np.diff(found.confidence) <= 0).all()


def test_detections_err_by_what_was_asked_for(sequences, body):
    noise = DetectionNoise(missed=0.2, ghosts=0.5, hidden=1.0, log_depth=(0.05, 0.0))
    missed = visible = ghosts = images = 0
    ratios = []
    for sequence in sequences:
        for people, found in zip(sequence.truth, detections(sequence, body, 5, noise), strict=True):
            images += 1
            ghosts += int((found.track_ids == 0).sum())
            visible += len(people)
            missed += len(people) - int((found.track_ids > 0).sum())
            for person in found[found.track_ids > 0]:
                match = people.translation[people.track_ids == person.track_ids[0]]
                ratios.append(np.log(person.translation[0, 2] / match[0, 2]))
    assert missed / visible == pytest.approx(0.2, abs=0.04)
    assert ghosts / images == pytest.approx(0.5, abs=0.1)
    assert np.std(ratios) == pytest.approx(0.05, rel=0.15)


def test_who_stands_behind_somebody_is_not_there(body):
    """Of many sequences with many people, some hide others entirely."""
    crowd = SequenceConfig(seconds=3, people=(8, 8), rate=(10, 10))
    hidden = 0
    for seed in range(2):
        sequence = make_sequence(seed, body, config=crowd)
        for people, share, there in zip(
            sequence.everybody, sequence.visible, sequence.truth, strict=True
        ):
            assert set(there.track_ids) == set(people.track_ids[share >= crowd.visible_share])
            low, high = people.keypoints_2d.min(1), people.keypoints_2d.max(1)
            whole = ((low >= 0) & (high < (1280, 720))).all(1)
            hidden += int((whole & (share < crowd.visible_share)).sum())
            nearest = people.joints[:, 0, 2].argmin()
            assert share[nearest] == 1 or not whole[nearest]
    assert hidden > 0


def test_motions_are_smooth_and_as_fast_as_people():
    motion = Motion(procedural_walk(np.random.default_rng(0)))
    times = np.arange(0, 2 * motion.duration, 0.01)
    poses = motion(times)
    speed = np.abs(np.diff(poses, axis=0)).max() / 0.01
    assert 0.5 * LIMB_SPEED < speed < 2 * LIMB_SPEED
    assert np.abs(np.diff(poses, 2, axis=0)).max() < 0.02  # no jumps, also where it turns back


def test_ways_pause_and_look_ahead():
    way = Way(np.array([[0.0, 2], [0, 6], [4, 6]]), np.array([0.0, 1.0, 0.0]), 2.0, 6.0)
    points, heading = way(np.array([1.0, 2.6, 4.0, 6.0]))
    np.testing.assert_allclose(points[[1, 3]], [[0, 6], [4, 6]], atol=0.2)
    np.testing.assert_allclose(heading[[0, 2]], [0, np.pi / 2], atol=0.05)


def test_clips_are_split_and_kept_apart(tmp_path):
    path = tmp_path / "poses.npz"
    pose = np.arange(6 * 72, dtype=np.float32).reshape(6, 24, 3)
    clip, held_out = np.array(list("aabbcc")), np.array([0, 0, 0, 0, 1, 1], bool)
    np.savez(path, pose=pose, clip=clip, held_out=held_out)
    assert [part.tolist() for part in load_clips(path)] == [pose[:2].tolist(), pose[2:4].tolist()]
    assert [part.tolist() for part in load_clips(path, held_out=True)] == [pose[4:].tolist()]
    with pytest.raises(DataError, match="no pose file"):
        load_clips(tmp_path / "missing.npz")
