"""Joint names, orders of data sets, and mirroring."""

import json

import numpy as np
import pytest

from romp_core.body.joints import (
    JOINT_SETS,
    JOINTS_71,
    LANDMARKS,
    SMPL_JOINTS,
    SMPL_LANDMARK_VERTICES,
    SMPL_PARENTS,
    VERTEX_LANDMARKS,
    flip_permutation,
    mirrored_name,
)


def test_published_order():
    """The numbers that the published code's evaluation and export rely on."""
    expected = {
        0: "pelvis", 15: "head", 23: "right_hand", 24: "nose", 25: "right_eye", 29: "left_big_toe",
        35: "left_thumb", 44: "right_little", 45: "right_hip_lsp", 48: "head_top_lsp",
        53: "head_h36m", 54: "right_ankle_h17", 67: "head_top_h17", 70: "jaw_h17",
    }  # fmt: skip
    assert {index: JOINTS_71[index] for index in expected} == expected
    assert len(JOINTS_71) == len(set(JOINTS_71)) == 71
    assert len(SMPL_LANDMARK_VERTICES) == len(VERTEX_LANDMARKS) == 21


def test_parents_are_a_tree_of_neighbours():
    parent_name = {
        name: SMPL_JOINTS[parent] for name, parent in zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)
    }
    assert SMPL_PARENTS[0] == -1
    assert parent_name["left_knee"] == "left_hip"
    assert parent_name["right_hand"] == "right_wrist"
    assert parent_name["head"] == "neck"
    assert parent_name["left_collar"] == parent_name["neck"] == "spine3"


@pytest.mark.parametrize(
    ("joint_set", "count"),
    [
        ("smpl24", 24), ("joints71", 71), ("lsp14", 14), ("h36m17", 17), ("coco17", 17),
        ("crowdpose14", 14), ("mpii16", 16), ("mpi_inf_3dhp17", 17), ("panoptic19", 19),
    ],
)  # fmt: skip
def test_joint_sets_name_known_joints_once(joint_set, count):
    names = JOINT_SETS[joint_set]
    assert len(names) == len(set(names)) == count
    assert set(names) <= set(JOINTS_71)


def test_joint_sets_follow_the_annotation_files(shared):
    """COCO and CrowdPose write their joint order into their own files."""
    for joint_set, file in [
        ("coco17", "coco/test_coco.json"),
        ("crowdpose14", "crowdpose/test_crowdpose.json"),
    ]:
        categories = json.loads((shared / "samples" / file).read_text())["categories"]
        ours = [name.removesuffix("_lsp").removesuffix("_top") for name in JOINT_SETS[joint_set]]
        assert ours == categories[0]["keypoints"]


def test_h36m17_is_the_published_reordering_undone():
    published = [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10, 0, 7, 9]
    rows = JOINTS_71[54:]
    # In the regressor's own order the left leg comes first; Human3.6M puts the right leg first.
    regressor_order = [rows[published.index(index)] for index in range(17)]
    mirrored_legs = [regressor_order[index] for index in (0, 4, 5, 6, 1, 2, 3, *range(7, 17))]
    assert list(JOINT_SETS["h36m17"]) == mirrored_legs


@pytest.mark.parametrize("joint_set", JOINT_SETS)
def test_flip_swaps_sides_and_undoes_itself(joint_set):
    names = np.array(JOINT_SETS[joint_set])
    permutation = flip_permutation(JOINT_SETS[joint_set])
    assert list(names[permutation]) == [mirrored_name(name) for name in names]
    assert list(names[permutation][permutation]) == list(names)


def test_flip_needs_both_sides():
    with pytest.raises(ValueError, match="right_eye"):
        flip_permutation(["nose", "left_eye"])


def test_every_landmark_belongs_to_a_side_or_the_middle():
    sides = [sum(name.startswith(side) for name in LANDMARKS) for side in ("left_", "right_")]
    assert sides[0] == sides[1]
