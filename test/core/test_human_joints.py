"""SMPL poses as joint angles of ROS4HRI's human model: the model's own kinematics bring the limbs
back to where SMPL has them."""

import numpy as np
import pytest
from place_factory import random_poses
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS, SMPL_PARENTS
from ros2_romp.human_joints import HUMAN_JOINTS, REP103_FROM_SMPL, human_joint_angles

# Axes of the model's joints (human_description/urdf/human-tpl.xacro), limb by limb.
LEFT_ARM = {"l_y_shoulder": (0, 0, -1), "l_p_shoulder": (1, 0, 0), "l_r_shoulder": (0, 0, 1)}
RIGHT_ARM = {"r_y_shoulder": (0, 0, 1), "r_p_shoulder": (-1, 0, 0), "r_r_shoulder": (0, 0, -1)}
LEFT_LEG = {"l_y_hip": (0, 0, -1), "l_p_hip": (1, 0, 0), "l_r_hip": (0, -1, 0)}
RIGHT_LEG = {"r_y_hip": (0, 0, -1), "r_p_hip": (-1, 0, 0), "r_r_hip": (0, -1, 0)}
HEAD = {"r_head": (1, 0, 0), "y_head": (0, 0, 1), "p_head": (0, -1, 0)}
WAIST = {"waist": (0, 1, 0)}
HINGE = (0, -1, 0)
DOWN = (0.0, 0.0, -1.0)


def chain(angles: dict[str, np.ndarray], axes: dict[str, tuple]) -> Rotation:
    """Rotation of the last link of a chain of joints."""
    rotation = Rotation.identity(len(next(iter(angles.values()))))
    for joint, axis in axes.items():
        rotation = rotation * Rotation.from_rotvec(np.outer(angles[joint], axis))
    return rotation


def named(pose: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(HUMAN_JOINTS, human_joint_angles(pose).T, strict=True))


def smpl_rotation(pose: np.ndarray, joint: str) -> Rotation:
    """Rotation of a joint's limb from the rest pose, in the pelvis, axes by REP 103."""
    index, rotation = SMPL_JOINTS.index(joint), Rotation.identity(len(pose))
    while index > 0:
        local = Rotation.from_rotvec(pose.reshape(len(pose), 24, 3)[:, index])
        rotation, index = local * rotation, SMPL_PARENTS[index]
    axes = Rotation.from_matrix(REP103_FROM_SMPL)
    return axes * rotation * axes.inv()


def wild_poses() -> np.ndarray:
    poses = random_poses(200)
    return poses + np.random.default_rng(1).normal(0, 0.3, poses.shape).astype(np.float32)


@pytest.mark.parametrize(
    ("side", "axes", "sideways"), [("left", LEFT_ARM, 1.0), ("right", RIGHT_ARM, -1.0)]
)
def test_arms_point_where_smpl_has_them(side, axes, sideways):
    pose = wild_poses()
    angles = named(pose)
    upper = chain(angles, WAIST) * chain(angles, axes)
    lower = upper * Rotation.from_rotvec(np.outer(angles[f"{side[0]}_elbow"], HINGE))
    along = [0.0, sideways, 0.0]  # an arm in the T-pose
    for link, joint in ((upper, "shoulder"), (lower, "elbow")):
        expected = smpl_rotation(pose, f"{side}_{joint}").apply(along)
        bend = angles[f"{side[0]}_elbow"]
        clear = bend > 0.3 if joint == "elbow" else np.ones(len(pose), bool)
        np.testing.assert_allclose(link.apply(DOWN)[clear], expected[clear], atol=1e-5)


@pytest.mark.parametrize(("side", "axes"), [("left", LEFT_LEG), ("right", RIGHT_LEG)])
def test_legs_point_where_smpl_has_them(side, axes):
    pose = wild_poses()
    angles = named(pose)
    knee = angles[f"{side[0]}_knee"]
    upper = chain(angles, axes)
    lower = upper * Rotation.from_rotvec(np.outer(knee, HINGE))
    assert (knee <= 0).all()
    for link, joint in ((upper, "hip"), (lower, "knee")):
        expected = smpl_rotation(pose, f"{side}_{joint}").apply(DOWN)
        clear = knee < -0.3 if joint == "knee" else np.ones(len(pose), bool)
        np.testing.assert_allclose(link.apply(DOWN)[clear], expected[clear], atol=1e-5)


def test_head_is_turned_as_in_smpl():
    pose = wild_poses()
    angles = named(pose)
    found = chain(angles, WAIST) * chain(angles, HEAD)
    expected = smpl_rotation(pose, "head")
    np.testing.assert_allclose((found.inv() * expected).magnitude(), 0, atol=1e-5)


def test_known_poses_have_known_angles():
    """Arms that hang, arms to the sides, a bend at the waist, a bent elbow and knee."""
    pose = np.zeros((2, 24, 3))
    pose[0, SMPL_JOINTS.index("left_shoulder"), 2] = -np.pi / 2
    pose[0, SMPL_JOINTS.index("right_shoulder"), 2] = np.pi / 2
    pose[0, SMPL_JOINTS.index("left_knee"), 0] = 1.0
    pose[1, SMPL_JOINTS.index("spine1"), 0] = 0.5
    pose[1, SMPL_JOINTS.index("left_elbow"), 1] = -1.2
    angles = named(pose.reshape(2, 72))
    np.testing.assert_allclose(angles["waist"], [0, 0.5], atol=1e-6)
    np.testing.assert_allclose(angles["l_p_shoulder"], [0, np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(angles["r_p_shoulder"], [0, np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(angles["l_elbow"], [0, 1.2], atol=1e-6)
    np.testing.assert_allclose(angles["l_knee"], [-1, 0], atol=1e-6)
    np.testing.assert_allclose(angles["r_knee"], 0, atol=1e-6)


def test_nobody_has_no_angles():
    assert human_joint_angles(np.zeros((0, 72))).shape == (0, len(HUMAN_JOINTS))
