"""Protocols on a miniature 3DPW in the official form: known numbers come out."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_factory import Oracle, joint
from test_readers_solid import write_panoptic
from three_dpw_factory import write_bodies, write_three_dpw

from romp_core.body.pickles import as_array
from romp_core.data.readers.files import read_pickle
from romp_core.data.readers.smpl_people import read_smpl_bodies
from romp_core.data.readers.three_dpw import three_dpw
from romp_core.errors import ConfigError, DataError
from romp_core.evaluation import protocols
from romp_core.evaluation.datasets import EVALUATIONS, Place, find_evaluation
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.runner import Evaluator
from romp_core.evaluation.scoring import PersonResult, PictureResult
from romp_core.evaluation.summary import ALL, COLUMNS, summarize


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_body_data):
    folder = tmp_path_factory.mktemp("three_dpw")
    bodies = write_bodies(folder / "smpl", small_body_data)
    write_three_dpw(folder / "3dpw", bodies)
    return Place(folder / "3dpw", folder / "smpl")


def evaluate(place, protocol, body, change=lambda people: people):
    evaluation = find_evaluation("3dpw", protocol)
    datasets = evaluation.open(place)
    evaluator = Evaluator(Oracle(datasets[0], body, change), datasets, evaluation.protocol)
    results = [picture.result for picture in evaluator.run()]
    return summarize(results, evaluation.protocol)["3dpw"], datasets[0]


def moved(name, distance):
    def change(people):
        joints = people.joints.copy()
        joints[:, joint(name), 1] += distance
        return replace(people, joints=joints)

    return change


@pytest.mark.parametrize(
    ("protocol", "pictures"), [("1", 12), ("2", 4), ("3", 4), ("pc", 2), ("oc", 3), ("nc", 7)]
)
def test_the_truth_has_no_errors_and_the_split_is_the_official_one(
    place, small_body, protocol, pictures
):
    row, _ = evaluate(place, protocol, small_body)
    assert row["pictures"] == pictures
    assert row["people"] == 2 * pictures
    assert row["found"] == 100
    assert row["mpjpe"] == pytest.approx(0, abs=0.01)
    assert row["pmpjpe"] == pytest.approx(0, abs=0.01)


def test_protocol_1_measures_24_joints_from_the_pelvis(place, small_body):
    row, _ = evaluate(place, "1", small_body, moved("left_hand", 0.24))
    assert row["mpjpe"] == pytest.approx(10, abs=0.01)
    assert row["mpjae"] == pytest.approx(0, abs=0.01)
    # Moving the pelvis moves the root: all other joints are then wrong.
    row, _ = evaluate(place, "1", small_body, moved("pelvis", 0.24))
    assert row["mpjpe"] == pytest.approx(240 * 23 / 24, abs=0.01)


def test_protocol_1_counts_the_twelve_limb_joints_as_correct_or_not(place, small_body):
    """The challenge's PCK and AUC leave out torso, head, feet and hands."""
    row, _ = evaluate(place, "1", small_body, moved("left_hand", 0.24))
    assert row["pck"] == pytest.approx(100, abs=0.01)
    assert row["auc"] == pytest.approx(100, abs=0.02)
    row, _ = evaluate(place, "1", small_body, moved("left_wrist", 0.24))
    assert row["pck"] == pytest.approx(100 * 11 / 12, abs=0.01)
    assert row["auc"] == pytest.approx(100 * 11 / 12, abs=0.02)


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_protocols_2_and_3_measure_14_joints_from_between_the_hips(place, small_body, protocol):
    row, _ = evaluate(place, protocol, small_body, moved("right_wrist_h17", 0.14))
    assert row["mpjpe"] == pytest.approx(10, abs=0.01)
    row, _ = evaluate(place, protocol, small_body, moved("left_hand", 1))
    assert row["mpjpe"] == pytest.approx(0, abs=0.01)
    row, _ = evaluate(place, protocol, small_body, moved("left_hip_h17", 0.2))
    assert row["mpjpe"] == pytest.approx(100, abs=0.01)


def test_vertex_errors_are_measured_on_the_body_of_each_gender(place, small_body):
    row, _ = evaluate(place, "2", small_body)
    assert row["pve"] == pytest.approx(0, abs=0.01)

    def stretched(people):
        root = people.joints[:, :1]
        return replace(people, vertices=root + (people.vertices - root) * 1.1)

    row, _ = evaluate(place, "2", small_body, stretched)
    assert row["pve"] > 10


def test_what_is_left_out_is_counted_and_named(place, small_body):
    _, dataset = evaluate(place, "1", small_body)
    counts = dataset.problems.counts
    assert counts["people without valid camera"] == 2 * 57
    assert counts["frames without valid people"] == 57
    assert any("courtyard_dancing_00/00000" in line for line in dataset.problems)


def test_without_smpl_3dpw_says_what_is_missing(place, tmp_path):
    with pytest.raises(ConfigError, match="smpl"):
        find_evaluation("3dpw", "1").open(Place(place.root))
    with pytest.raises(FileNotFoundError, match="smpl_neutral"):
        find_evaluation("3dpw", "1").open(Place(place.root, tmp_path))


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match="3dpw"):
        find_evaluation("3dwp", None)
    with pytest.raises(ConfigError, match="has 1, 2, 3"):
        find_evaluation("3dpw", "4")
    with pytest.raises(ConfigError, match="--root"):
        find_evaluation("coco", None).open(Place(None))
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_evaluation("coco", None).open(Place(Path("no/such/folder")))


def test_a_part_without_pictures_is_refused(place):
    dataset = find_evaluation("3dpw", "2").open(place)[0]
    with pytest.raises(DataError, match="none of the 4 pictures"):
        dataset.only(protocols.person_occluded)


def test_official_frames_of_the_subsets():
    def tags(sequence, frame):
        return {"sequence": sequence, "frame": str(frame)}

    assert protocols.person_occluded(tags("courtyard_hug_00", 100))
    assert protocols.person_occluded(tags("courtyard_hug_00", 500))
    assert not protocols.person_occluded(tags("courtyard_hug_00", 501))
    assert protocols.object_occluded(tags("outdoors_slalom_01", 3))
    assert protocols.nobody_occluded(tags("courtyard_hug_00", 99))
    # Both a person and an object in front: in both subsets.
    both = tags("courtyard_basketball_00", 240)
    assert protocols.person_occluded(both) and protocols.object_occluded(both)


ALL_PROTOCOLS = [e.protocol for group in EVALUATIONS.values() for e in group.values()]


@pytest.mark.parametrize("protocol", ALL_PROTOCOLS, ids=lambda protocol: protocol.title)
def test_protocols_are_made_of_known_names(protocol, small_body):
    assert set(protocol.metrics) <= set(COLUMNS)
    assert set(protocol.root) <= set(protocol.joints)
    assert set(protocol.pck_joints or ()) <= set(protocol.joints)
    assert len(small_body.joint_indices(protocol.joints)) == len(protocol.joints)
    for row in protocol.published.values():
        assert set(row) <= set(protocol.metrics)


def test_panoptic_is_the_mean_over_activities():
    def result(index, group, error):
        person = PersonResult(0, 5, 0.0, prediction=0, oks=1.0, confidence=1.0,
                              joint_errors=[error] * 14)  # fmt: skip
        return PictureResult(index, "", group, [person], 0)

    results = [result(0, "mafia", 10), result(1, "mafia", 10), result(2, "pizza", 40)]
    everybody = Protocol("", ("mpjpe",))
    assert summarize(results, everybody)[ALL]["mpjpe"] == pytest.approx(20)
    groups = replace(everybody, mean_of_groups=True)
    assert summarize(results, groups)[ALL]["mpjpe"] == pytest.approx(25)


def test_panoptic_leaves_out_other_sequences_and_says_so(tmp_path):
    write_panoptic(tmp_path)
    other = tmp_path / "171204_pose1"
    shutil.copytree(tmp_path / "160422_haggling1", other)
    calibration = other / "calibration_160422_haggling1.json"
    calibration.rename(other / "calibration_171204_pose1.json")
    [frames] = find_evaluation("panoptic", None).open(Place(tmp_path))
    assert [frames.group(index) for index in range(len(frames))] == ["haggling"]
    assert frames.problems.counts["frames of other activities"] == 1


def test_camera_motion_is_taken_out_exactly(place, small_body_data, tmp_path):
    """The reader's camera-frame people equal the world's people moved by the camera."""
    bodies = read_smpl_bodies(place.smpl)
    dataset = three_dpw(place.root, "validation", bodies=bodies)
    file = place.root / "sequenceFiles" / "validation" / "courtyard_box_00.pkl"
    content = read_pickle(file, ["poses"])
    for frame in range(3):
        sample = dataset[frame]
        for person, gender in enumerate("mf"):
            pose = torch.tensor(as_array(content["poses"][person])[frame, None]).float()
            betas = torch.tensor(as_array(content["betas"][person])[None]).float()
            world = bodies[gender](pose, betas).joints[0].numpy()
            world = world + as_array(content["trans"][person])[frame]
            camera = as_array(content["cam_poses"])[frame]
            expected = world @ camera[:3, :3].T + camera[:3, 3]
            assert np.abs(sample.joints_3d[person] - expected).max() < 1e-4
