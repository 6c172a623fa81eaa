"""Scores of tracking, and the tracker's own scores on synthetic sequences."""

from dataclasses import replace

import numpy as np
import pytest
from tracking_factory import people_at

from romp_core import BodyModel, People
from romp_core.data.synthetic.poses import load_clips
from romp_core.data.synthetic.sequences import SequenceConfig, detections, make_sequence
from romp_core.evaluation.tracking import IdentityScorer, motion_errors, step_lag
from romp_core.tracking import SmoothingConfig, Tracker

STAMPS = np.arange(20) / 10


def with_ids(*ids: int) -> People:
    return replace(
        people_at([[index, 0, 5] for index in range(len(ids))]), track_ids=np.array(ids, np.int64)
    )


def test_identity_scores_of_known_cases():
    truth = [with_ids(1, 2)] * 20
    perfect = IdentityScorer().add(STAMPS, truth, [with_ids(7, 9)] * 20)
    assert (perfect.idf1, perfect.mota, perfect.switches_per_minute) == (1, 1, 0)
    # Both change their ids in the middle: half of all is right; 2 switches in 4 s of people.
    swapped = IdentityScorer().add(STAMPS, truth, [with_ids(7, 9)] * 10 + [with_ids(9, 7)] * 10)
    assert swapped.idf1 == pytest.approx(0.5)
    assert swapped.mota == pytest.approx(1 - 2 / 40)
    assert swapped.switches_per_minute == pytest.approx(2 / (4 / 60))
    half = IdentityScorer().add(STAMPS, truth, [with_ids(7, 0)] * 20)
    assert half.mota == pytest.approx(0.5)
    assert half.shared == 0


def test_shared_ids_are_counted():
    scorer = IdentityScorer()
    assert scorer.add(STAMPS, [with_ids(1, 2)] * 20, [with_ids(7, 7)] * 20).shared == 20
    scorer.add(STAMPS, [with_ids(1, 2)] * 20, [with_ids(7, 8)] * 20)
    assert scorer.total().shared == 20


def test_motion_errors_of_known_cases(small_body):
    count = 12
    stamps = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, count))
    still = with_ids(1)
    joints = small_body(*(map_to_tensor(still, name) for name in ("pose", "betas"))).joints
    truth = [replace(still, joints=joints[:, :24].numpy() + still.translation[:, None])] * count
    ids = [np.array([1])] * count

    def errors(offsets: np.ndarray):
        answers = [
            replace(still, translation=still.translation + offset.astype(np.float32))
            for offset in offsets
        ]
        return motion_errors(stamps, truth, answers, ids, small_body)

    shifted = errors(np.tile([0.03, 0, 0.04], (count, 1)))
    assert shifted.position_mm == pytest.approx(50, rel=1e-3)
    assert shifted.pose_mm == pytest.approx(0, abs=1e-3)
    assert shifted.jitter == pytest.approx(0, abs=0.01)
    drifting = errors(stamps[:, None] * [1.0, 0, 0])  # a constant speed is no jitter
    assert drifting.jitter == pytest.approx(0, abs=0.1)
    bent = errors(stamps[:, None] ** 2 * [0, 0.5, 0])  # 1 m/s^2
    mean_steps = (stamps[2:] - stamps[:-2]) / 2
    assert bent.jitter == pytest.approx(1e3 * (mean_steps**2).mean(), rel=0.05)


def map_to_tensor(people: People, name: str):
    import torch

    return torch.from_numpy(getattr(people, name))


def test_lag_is_counted_in_frames():
    step = {"translation": np.array([[0.0, 0, 0.5]], np.float32)}
    assert step_lag(step, 30, 0.0, SmoothingConfig()) == pytest.approx(0, abs=1e-6)
    assert step_lag(step, 30, 0.2, SmoothingConfig()) < step_lag(step, 30, 0.9, SmoothingConfig())


def scored(body: BodyModel, seeds, clips, config: SequenceConfig):
    """Identities, and motion errors raw and smoothed, over sequences."""
    scorer, raw, smooth = IdentityScorer(), [], []
    for seed in seeds:
        sequence = make_sequence(seed, body, clips, config)
        found = detections(sequence, body, seed)
        for strength, rows in ((0.0, raw), (0.5, smooth)):
            tracker = Tracker()
            answers = [
                tracker.update(people, stamp, strength=strength)
                for people, stamp in zip(found, sequence.stamps, strict=True)
            ]
            sources = [
                np.where(answer.track_ids > 0, people.track_ids, 0)
                for answer, people in zip(answers, found, strict=True)
            ]
            rows.append(motion_errors(sequence.stamps, sequence.truth, answers, sources, body))
        scorer.add(sequence.stamps, sequence.truth, answers)
    return scorer.total(), *(
        {name: np.mean([getattr(one, name) for one in rows]) for name in vars(rows[0])}
        for rows in (raw, smooth)
    )


@pytest.mark.parametrize("recorded", [False, True], ids=["procedural", "recorded"])
def test_people_keep_their_ids_and_move_calmly(recorded, request):
    clips = None
    if recorded:
        poses = request.getfixturevalue("shared") / "poses" / "cmu_poses.npz"
        clips = load_clips(poses, held_out=True)
    config = SequenceConfig(seconds=6, people=(4, 6), rate=(20, 30))
    scores, raw, smooth = scored(BodyModel.load("open"), range(500, 502), clips, config)
    assert scores.idf1 >= 0.95  # misses and the first image of everybody count too
    assert scores.switches_per_minute < 1
    assert scores.shared == 0
    for name in ("position_mm", "pose_mm"):
        assert smooth[name] <= raw[name]
    for name in ("jitter", "pose_jitter"):
        assert smooth[name] < raw[name] / 2.5
