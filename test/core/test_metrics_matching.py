"""Keypoint similarity and the matching of predictions to people."""

import numpy as np
import pytest

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.evaluation.keypoints import oks, oks_sigmas
from romp_core.evaluation.matching import match

COCO = JOINT_SETS["coco17"]


def labeled_people(count, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 400, (count, 17, 2))
    visibility = rng.integers(0, 3, (count, 17, 1))
    visibility[:, 0] = 2
    return np.concatenate([pixels, visibility], -1)


def test_sigmas_are_cocos_and_crowdposes():
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    parameters = cocoeval.Params(iouType="keypoints")
    assert oks_sigmas(COCO).tolist() == pytest.approx(parameters.kpt_oks_sigmas.tolist())
    # shoulders, elbows, wrists, hips, knees, ankles, head, neck
    pairs = np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.079], 2)
    assert oks_sigmas(JOINT_SETS["crowdpose14"]).tolist() == pytest.approx(pairs.tolist())


@pytest.mark.parametrize("name", [name for name in JOINT_SETS if name.endswith(tuple("123456789"))])
def test_every_set_of_labels_has_sigmas(name):
    if name in ("smpl24", "joints71"):
        with pytest.raises(ValueError, match="no keypoint similarity"):
            oks_sigmas(JOINT_SETS[name])
    else:
        assert (oks_sigmas(JOINT_SETS[name]) > 0.02).all()


def test_similarity_by_hand():
    person = labeled_people(1)
    person[..., 2] = 0
    person[0, :2, 2] = 2
    predicted = person[..., :2].copy()
    predicted[0, 1, 0] += 10
    area, sigmas = 2500.0, oks_sigmas(COCO)
    expected = (1 + np.exp(-100 / (2 * area * (2 * sigmas[1]) ** 2))) / 2
    assert oks(predicted, person, np.array([area]), sigmas).item() == pytest.approx(expected)
    person[..., 2] = 0
    assert oks(predicted, person, np.array([area]), sigmas).item() == 0


def test_similarity_agrees_with_pycocotools():
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO as Annotations
    from pycocotools.cocoeval import COCOeval

    people = labeled_people(4)
    predicted = people[[2, 0, 1], :, :2] + np.random.default_rng(1).normal(0, 8, (3, 17, 2))
    areas = np.array([3e4, 1e4, 5e3, 2e4])
    truth = Annotations()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1],
             "area": float(areas[i]), "keypoints": people[i].ravel().tolist(), "num_keypoints": 17}
            for i in range(4)
        ],
    }  # fmt: skip
    truth.createIndex()
    found = truth.loadRes(
        [
            {"image_id": 1, "category_id": 1, "score": 1 - 0.1 * i,
             "keypoints": np.insert(predicted[i], 2, 1, axis=1).ravel().tolist()}
            for i in range(3)
        ]
    )  # fmt: skip
    reference = COCOeval(truth, found, "keypoints")
    reference._prepare()
    expected = reference.computeOks(1, 1)
    ours = oks(predicted, people, areas, oks_sigmas(COCO))
    assert ours == pytest.approx(expected, abs=1e-9)
    assert (ours.argmax(1) == [2, 0, 1]).all()


BOXES = np.array([[0, 0, 10, 20], [5, 0, 15, 20], [100, 100, 120, 140]], float)
NONE = np.zeros((0, 4))
ALL = np.ones(3, bool)


def test_a_fitting_pose_wins_over_a_nearer_center():
    similarity = np.array([[0.0, 0.9, 0.0], [0.6, 0.1, 0.0]])
    matches = match(np.array([[6.0, 10], [9, 10]]), similarity, BOXES, ALL, NONE)
    assert dict(zip(matches.people, matches.predictions, strict=True)) == {1: 0, 0: 1}
    assert matches.missed.tolist() == [2]
    assert matches.ghosts.size == 0
    assert matches.posed.all()


def test_who_fits_nobody_belongs_to_the_box_around_its_center():
    matches = match(np.array([[110.0, 120]]), np.zeros((1, 3)), BOXES, ALL, NONE)
    assert (matches.predictions.tolist(), matches.people.tolist()) == ([0], [2])
    assert not matches.posed.any()
    assert matches.missed.tolist() == [0, 1]


def test_nobody_is_matched_twice_and_an_invented_person_is_a_ghost():
    centers = np.array([[110.0, 120], [110, 121], [300, 300]])
    matches = match(centers, np.zeros((3, 3)), BOXES, ALL, NONE)
    assert matches.people.tolist() == [2]
    assert matches.predictions.tolist() == [0]
    assert matches.ghosts.tolist() == [1, 2]


def test_two_boxes_share_out_two_predictions():
    centers = np.array([[6.0, 10], [7, 10]])  # both inside both boxes
    matches = match(centers, np.zeros((2, 3)), BOXES, ALL, NONE)
    assert dict(zip(matches.people, matches.predictions, strict=True)) == {0: 0, 1: 1}


def test_ignored_boxes_and_people_that_do_not_count_are_neither_right_nor_wrong():
    counts = np.array([True, True, False])
    centers = np.array([[110.0, 120], [50, 50], [300, 300]])
    matches = match(centers, np.zeros((3, 3)), BOXES, counts, np.array([[40.0, 40, 60, 60]]))
    assert matches.people.size == 0
    assert matches.missed.tolist() == [0, 1]
    assert matches.ghosts.tolist() == [2]


def test_people_that_count_are_served_first():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], float)
    matches = match(np.array([[5.0, 5]]), np.zeros((1, 2)), boxes, np.array([False, True]), NONE)
    assert matches.people.tolist() == [1]


def test_nobody_predicted_and_nobody_there():
    empty = match(np.zeros((0, 2)), np.zeros((0, 3)), BOXES, ALL, NONE)
    assert empty.missed.tolist() == [0, 1, 2]
    ghosts = match(np.ones((2, 2)), np.zeros((2, 0)), NONE, np.zeros(0, bool), NONE)
    assert ghosts.ghosts.tolist() == [0, 1]


def test_joint_sets_are_within_the_71():
    assert {name for names in JOINT_SETS.values() for name in names} <= set(JOINTS_71)
