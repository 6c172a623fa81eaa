"""Tracker: identities over time."""

import itertools

import numpy as np
import pytest
from tracking_factory import people_at

from romp_core import People
from romp_core.errors import ConfigError
from romp_core.tracking import Tracker, TrackingConfig, identities
from romp_core.tracking.association import GATE, assign, position_evidence, shape_evidence
from romp_core.tracking.motion import MotionFilter

CONFIG = TrackingConfig(birth_hits=2)


def follow(tracker: Tracker, images, rate: float = 30.0, start: float = 0.0) -> list[list[int]]:
    """Ids of the people of each image."""
    return [
        tracker.update(people, start + index / rate).track_ids.tolist()
        for index, people in enumerate(images)
    ]


def standing(x: float, count: int) -> list[People]:
    return [people_at([[x, 0, 4]], betas=np.full(10, 0.8))] * count


def test_an_id_comes_with_the_second_image_and_stays():
    tracker = Tracker(CONFIG)
    assert follow(tracker, standing(0, 5)) == [[0], [1], [1], [1], [1]]
    tracker = Tracker(TrackingConfig(birth_hits=4))
    assert follow(tracker, standing(0, 5)) == [[0], [0], [0], [1], [1]]


def test_ids_are_also_given_where_images_are_rare():
    assert follow(Tracker(CONFIG), standing(0, 4), rate=0.7) == [[0], [1], [1], [1]]


def test_where_images_are_rarer_still_place_tells_nobody_from_somebody_new():
    """Wart: without betas that differ nobody gets an id then (docs/tracking.md)."""
    rng = np.random.default_rng(0)
    images = [
        people_at([[0, 0, 4]], pose=rng.normal(0, 0.05, 72), betas=rng.normal(0, 0.1, 10))
        for _ in range(4)
    ]
    assert follow(Tracker(CONFIG), images, rate=1 / 3) == [[0]] * 4
    farther = TrackingConfig(birth_hits=2, scene_volume=3000.0)
    assert follow(Tracker(farther), images, rate=1 / 3) == [[0], [1], [1], [1]]


def test_who_was_seen_once_and_is_gone_is_forgotten():
    tracker = Tracker(CONFIG)
    follow(tracker, [*standing(0, 1), *[People.empty()] * 20])
    assert follow(tracker, standing(0, 2), start=21 / 30) == [[0], [1]]


@pytest.mark.parametrize("rate", [10.0, 30.0, 60.0])
def test_people_who_cross_keep_their_ids_and_who_comes_late_gets_a_new_one(rate):
    rng = np.random.default_rng(0)
    images = []
    for t in np.arange(0, 4, 1 / rate):
        places = [[-3 + 1.5 * t, 0, 4], [3 - 1.5 * t, 0, 4.6]] + [[0, 0, 7]] * int(t > 2)
        order = rng.permutation(len(places))
        noisy = np.array(places) * (1, 1, rng.normal(1, 0.02)) + rng.normal(0, 0.02, (1, 3))
        images.append((order, people_at(noisy[order])))
    ids = follow(Tracker(CONFIG), [people for _, people in images], rate)
    for (order, _), found in list(zip(images, ids, strict=True))[1:]:
        of_person = dict(zip(order.tolist(), found, strict=True))
        assert (of_person[0], of_person[1]) in [(1, 2), (2, 1)]
        assert of_person[0] == dict(zip(images[1][0].tolist(), ids[1], strict=True))[0]
        assert of_person.get(2, 0) in (0, 3)
    assert sorted(ids[-1]) == [1, 2, 3]


def test_no_id_is_given_to_two_people_at_once():
    """The published tracker gives the nearest object's id to everybody."""
    rng = np.random.default_rng(1)
    tracker = Tracker(CONFIG)
    for index in range(200):
        crowd = rng.normal((0, 0, 4), (0.3, 0.1, 0.3), (rng.integers(0, 9), 3))
        ids = tracker.update(people_at(crowd), index / 30).track_ids
        given = ids[ids > 0]
        assert len(np.unique(given)) == len(given)


@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_an_id_ends_after_a_time_and_not_after_images(rate):
    short, long = CONFIG.memory_s - 0.5, CONFIG.memory_s + 0.5
    tracker = Tracker(CONFIG)
    assert follow(tracker, standing(0, 10), rate)[-1] == [1]
    start = 10 / rate + short
    assert follow(tracker, standing(0, 10), rate, start)[-1] == [1]
    start += 10 / rate
    nobody = [People.empty()] * int(long * rate)
    follow(tracker, nobody, rate, start)
    start += long
    assert follow(tracker, standing(0, 10), rate, start)[-1] == [2]


def test_who_was_hidden_is_known_again_by_his_shape():
    tall, short = np.full((1, 10), 0.8), np.full((1, 10), -0.8)
    tracker = Tracker(CONFIG)
    both = people_at([[-0.5, 0, 4], [0.5, 0, 4]], betas=[tall, short])
    assert follow(tracker, [both] * 20)[-1] == [1, 2]
    follow(tracker, [People.empty()] * 30, start=1.0)
    swapped = people_at([[-0.5, 0, 4], [0.5, 0, 4]], betas=[short, tall])
    assert follow(tracker, [swapped] * 5, start=2.0)[-1] == [2, 1]


def test_people_side_by_side_are_told_apart_by_their_poses():
    up, down = np.zeros((1, 72)), np.zeros((1, 72))
    up[0, 16 * 3 + 2], down[0, 16 * 3 + 2] = 1.2, -1.2
    tracker = Tracker(CONFIG)
    pair = [[-0.15, 0, 4], [0.15, 0, 4]]
    assert follow(tracker, [people_at(pair, pose=[up, down])] * 20)[-1] == [1, 2]
    # In one image step both move by as much as they are apart.
    jumped = people_at(pair, pose=[down, up])
    assert follow(tracker, [jumped], start=20 / 30)[-1] == [2, 1]


def test_cameras_of_one_node_never_share_ids():
    ids = itertools.count(1)
    cameras = [Tracker(CONFIG, ids=ids) for _ in range(2)]
    given = [set(), set()]
    for index in range(30):
        for seen, tracker in zip(given, cameras, strict=True):
            crowd = people_at([[x, 0, 4] for x in range(-2, index // 10)])
            seen |= set(tracker.update(crowd, index / 30).track_ids.tolist()) - {0}
    assert not given[0] & given[1]
    assert given[0] | given[1] == set(range(1, 9))


def test_a_clock_that_goes_backwards_begins_anew():
    tracker = Tracker(CONFIG)
    first = follow(tracker, standing(0, 10), start=100.0)
    again = follow(tracker, standing(0, 10), start=50.0)
    assert (first[-1], again[:3]) == ([1], [[0], [2], [2]])
    assert tracker.resets == 1
    assert again[-1] == [2]


def test_a_clock_that_is_set_right_changes_nobody():
    """Or an image that overtakes the one before it."""
    tracker = Tracker(CONFIG)
    first = follow(tracker, standing(0, 10), start=100.0)
    again = follow(tracker, standing(0, 10), start=100.25)  # 0.05 s back
    assert first[-1] == again[0] == again[-1] == [1]
    assert (tracker.resets, tracker.repeated_stamps) == (0, 1)


@pytest.mark.parametrize("jump", [CONFIG.memory_s + 0.1, 1000.0])
def test_after_a_jump_forwards_everybody_is_new(jump):
    tracker = Tracker(CONFIG)
    last = 9 / 30
    follow(tracker, standing(0, 10))
    assert follow(tracker, standing(0, 3), start=last + jump) == [[0], [2], [2]]
    assert tracker.resets == 0


def test_stamps_that_are_never_set_count_as_a_frame_each():
    tracker = Tracker(CONFIG)
    ids = [
        tracker.update(people_at([[0.05 * index, 0, 4]]), 0.0).track_ids.tolist()
        for index in range(20)
    ]
    assert ids == [[0]] + [[1]] * 19
    assert tracker.repeated_stamps == 19


@pytest.mark.parametrize("stamp", [np.nan, np.inf])
def test_stamps_that_are_no_time_are_refused(stamp):
    with pytest.raises(ValueError, match="finite seconds"):
        Tracker().update(People.empty(), stamp)


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan])
def test_strengths_out_of_range_are_refused(strength):
    with pytest.raises(ValueError, match="0 \\(off\\) to 1"):
        Tracker().update(People.empty(), 0.0, strength=strength)


def test_who_is_not_finite_gets_no_id_and_disturbs_nobody():
    tracker = Tracker(CONFIG)
    for index in range(10):
        people = people_at([[0, 0, 4], [1, 0, 4]])
        if index % 2:
            people.pose[1, 5] = np.nan
        else:
            people.translation[1] = np.inf
        found = tracker.update(people, index / 30, strength=0.5)
    assert found.track_ids.tolist() == [1, 0]
    assert np.isfinite(found.pose[0]).all()


def test_nobody_is_answered_with_nobody():
    tracker = Tracker(CONFIG)
    for index in range(3):
        assert len(tracker.update(People.empty(), index / 30, strength=1.0)) == 0


def test_without_smoothing_everything_but_the_ids_is_as_it_was():
    tracker = Tracker(CONFIG)
    rng = np.random.default_rng(0)
    for index in range(5):
        people = people_at([[0, 0, 4]], pose=rng.normal(size=72), betas=rng.normal(size=10))
        found = tracker.update(people, index / 30)
        for name, values in vars(people).items():
            if name != "track_ids":
                np.testing.assert_array_equal(getattr(found, name), values)


def test_shapes_that_never_vary_do_not_break_the_measured_noise():
    tracker = Tracker(CONFIG)
    same = people_at([[-1, 0, 4], [1, 0, 4]], betas=np.ones((2, 10)))
    assert follow(tracker, [same] * 300)[-1] == [1, 2]


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_senseless_configurations_are_refused(value):
    with pytest.raises(ConfigError, match=f"memory_s is {value}"):
        TrackingConfig(memory_s=value)


def test_assignment_takes_the_best_whole_and_nothing_below_zero():
    evidence = np.array([[5.0, 4.0], [4.0, -np.inf], [-1.0, -2.0]])
    tracks, detections = assign(evidence)
    assert list(zip(tracks, detections, strict=True)) == [(0, 1), (1, 0)]
    assert [len(part) for part in assign(np.array([[-0.5]]))] == [0, 0]
    assert [len(part) for part in assign(np.empty((0, 3)))] == [0, 0]


def test_shapes_speak_as_loudly_as_people_differ():
    known, hits = np.array([[1.0] * 10, [-1.0] * 10]), np.array([100, 100])
    measured = known + 0.1
    people = np.zeros(10), 1.0
    assert (shape_evidence(known, hits, measured, 0.01, people) > 4).all()
    assert (shape_evidence(known, hits, measured[::-1], 0.01, people) < -4).all()
    alike = shape_evidence(0.01 * known, hits, 0.01 * measured, 0.01, (np.zeros(10), 1e-4))
    assert np.abs(alike).max() < 0.1


def test_who_differs_by_noise_only_is_not_known_again_far_away():
    """A network whose betas tell nothing: after some time that is noticed."""
    rng = np.random.default_rng(0)

    def crowd(*places: float) -> People:
        betas = rng.normal(0.5, 0.1, (len(places), 10))
        return people_at([[x, 0, 4] for x in places], betas=betas)

    tracker = Tracker(CONFIG)
    assert follow(tracker, [crowd(-2, 0, 2) for _ in range(150)])[-1] == [1, 2, 3]
    follow(tracker, [crowd(-2, 0) for _ in range(60)], start=5.0)
    found = follow(tracker, [crowd(-2, 0, -4) for _ in range(5)], start=7.0)[-1]
    assert found == [1, 2, 4]


def test_motion_does_not_depend_on_how_time_is_cut():
    def started() -> MotionFilter:
        motion = MotionFilter(3, speed=1.2, memory_s=1.5)
        motion.append(np.array([[0.0, 1, 2]]), 0.01 * np.eye(3)[None])
        motion.predict(0.1)
        motion.correct(np.array([0]), np.array([[0.2, 1, 2]]), 0.01 * np.eye(3)[None])
        return motion

    whole, parts = started(), started()
    whole.predict(1.0)
    for seconds in (0.05, 0.25, 0.001, 0.699):
        parts.predict(seconds)
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-9)
    np.testing.assert_allclose(parts.covariance, whole.covariance, atol=1e-9)
    assert 0.2 < whole.position[0, 0] < 2.2  # it goes on, slower and slower
    whole.predict(100.0)
    np.testing.assert_allclose(whole.covariance[0, 1, 1], 1.2**2 * np.eye(3), atol=1e-6)


@pytest.mark.parametrize("seconds", [1 / 30, 1.0])
def test_uncertainty_stays_a_covariance_for_hours(seconds):
    """Rounding errors that are not taken out again grow exponentially."""
    noise = 0.01 * np.eye(3)[None] + 0.005
    motion = MotionFilter(3, speed=1.6, memory_s=1.5)
    motion.append(np.zeros((1, 3)), noise)
    for _ in range(10_000):
        motion.predict(seconds)
        motion.correct(np.array([0]), np.zeros((1, 3)), noise)
    covariance = motion.covariance[0].transpose(0, 2, 1, 3).reshape(6, 6)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > 1e-4
    # The same from one step to the next: what remains of the start is gone.
    before = motion.covariance.copy()
    motion.predict(seconds)
    motion.correct(np.array([0]), np.zeros((1, 3)), noise)
    np.testing.assert_allclose(motion.covariance, before, atol=1e-9)


def test_positions_leave_the_pairs_within_the_gate():
    rng = np.random.default_rng(0)
    shape = rng.normal(0, 0.5, (2, 40, 3, 3))
    uncertainty, noise = shape @ shape.swapaxes(-1, -2) + 0.01 * np.eye(3)
    expected, measured = rng.uniform(-2, 2, (2, 40, 3))
    tracks, detections, evidence = position_evidence(expected, uncertainty, measured, noise, CONFIG)
    apart = measured[None] - expected[:, None]
    covariance = uncertainty[:, None] + noise
    distance = np.einsum("tdi,tdij,tdj->td", apart, np.linalg.inv(covariance), apart)
    within = np.nonzero(distance < GATE)
    assert 50 < len(tracks) < 1500
    np.testing.assert_array_equal((tracks, detections), within)
    density = np.exp(-0.5 * distance) / np.sqrt(np.linalg.det(2 * np.pi * covariance))
    np.testing.assert_allclose(evidence, np.log(CONFIG.scene_volume * density[within]))


def test_only_who_is_near_is_compared_further(monkeypatch):
    """The cost of a crowd is that of its neighbours, not of all pairs."""
    compared = []
    differences = identities.pose_differences

    def counted(first, second):
        compared.append(len(first))
        return differences(first, second)

    monkeypatch.setattr(identities, "pose_differences", counted)
    crowd = people_at([[3 * x, 0, z] for x in range(-4, 5) for z in (4, 12)])
    ids = follow(Tracker(CONFIG), [crowd] * 5)
    assert ids[-1] == list(range(1, 19))
    assert max(compared) < 4 * 18
