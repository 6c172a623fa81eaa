"""SMPL poses as joint angles of the human model of ROS4HRI. Needs no ROS.

The model (human_description, REP 155, "Kinematic Model of the Human") has fewer joints than SMPL:
the spine bends forwards only, elbows and knees are hinges. Limbs keep the directions that they
have in SMPL, relative to the model's own torso and pelvis. Its links hang down (-z) at angle
zero, with x forward and y left.
"""

import warnings

import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS, SMPL_PARENTS

REP103_FROM_SMPL = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""SMPL's axes (x left, y up, z forward) as REP 103 has them for bodies: x forward, y left, z up."""

HUMAN_JOINTS = (
    "waist", "r_head", "y_head", "p_head",
    "l_y_shoulder", "l_p_shoulder", "l_r_shoulder", "l_elbow",
    "r_y_shoulder", "r_p_shoulder", "r_r_shoulder", "r_elbow",
    "l_y_hip", "l_p_hip", "l_r_hip", "l_knee",
    "r_y_hip", "r_p_hip", "r_r_hip", "r_knee",
)  # fmt: skip
"""The movable joints of the model; each name ends in `_` and the body's id."""


_STRAIGHT = np.radians(15)
"""Bends below which a hinge does not tell how its limb is turned about itself."""


def body_id(track_id: int) -> str:
    """A person's id in ROS4HRI: it stands in topics, where nothing may begin with a digit."""
    return f"p{track_id}"


def human_joint_angles(pose: np.ndarray) -> np.ndarray:
    """Angles of the human model's joints.

    Args:
        pose: (K, 72) axis-angle, radians, of the SMPL joints.

    Returns:
        (K, 20) radians, in the order of `HUMAN_JOINTS`. The model's limits are not applied.
    """
    if not len(pose):
        return np.zeros((0, len(HUMAN_JOINTS)))
    in_pelvis = _rotations_in_pelvis(pose)
    spine = in_pelvis["spine3"].as_matrix()
    waist = np.arctan2(spine[:, 0, 2], spine[:, 2, 2])
    torso = Rotation.from_euler("y", waist[:, None])
    angles = [waist, *_head(torso.inv() * in_pelvis["head"])]
    for side, sign in (("left", 1), ("right", -1)):
        upper = torso.inv() * in_pelvis[f"{side}_shoulder"]
        lower = torso.inv() * in_pelvis[f"{side}_elbow"]
        angles += _arm(upper, lower, sign)
    for side, sign in (("left", 1), ("right", -1)):
        angles += _leg(in_pelvis[f"{side}_hip"], in_pelvis[f"{side}_knee"], sign)
    return np.stack(angles, 1)


def _rotations_in_pelvis(pose: np.ndarray) -> dict[str, Rotation]:
    """Rotation of each joint's limb from the rest pose, about the pelvis' axes by REP 103."""
    axes = Rotation.from_matrix(REP103_FROM_SMPL)
    local = pose.reshape(len(pose), -1, 3)
    found = [Rotation.identity(len(pose))]
    for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
        found.append(found[parent] * Rotation.from_rotvec(local[:, joint]))
    return {
        name: axes * rotation * axes.inv()
        for name, rotation in zip(SMPL_JOINTS, found, strict=True)
    }


def _head(rotation: Rotation) -> list[np.ndarray]:
    """Roll about x, yaw about z, pitch about -y."""
    roll, yaw, pitch = _euler(rotation, "XZY")
    return [roll, yaw, -pitch]


def _arm(upper: Rotation, lower: Rotation, sign: int) -> list[np.ndarray]:
    """Three angles of a shoulder, about z, x and z, and one of the elbow, about -y."""
    # SMPL rests with its arms to the sides, the model with arms that hang.
    hanging = Rotation.from_euler("x", sign * np.pi / 2)
    link, bend = _hinge(upper * hanging, lower * hanging, forward=True)
    yaw, pitch, roll = _euler(link, "ZXZ")
    if sign < 0:  # the same rotation with the middle angle mirrored, as this side counts it
        yaw, roll = _wrapped(yaw + np.pi), _wrapped(roll + np.pi)
    return [-sign * yaw, pitch, sign * roll, bend]


def _leg(upper: Rotation, lower: Rotation, sign: int) -> list[np.ndarray]:
    """Three angles of a hip, about -z, x and -y, and one of the knee, about -y."""
    link, bend = _hinge(upper, lower, forward=False)
    yaw, pitch, roll = _euler(link, "ZXY")
    return [-yaw, sign * pitch, -roll, -bend]


def _hinge(upper: Rotation, lower: Rotation, forward: bool) -> tuple[Rotation, np.ndarray]:
    """The upper link, turned about itself so that the lower one lies in its x-z plane; the bend."""
    lower_direction = (upper.inv() * lower).apply([0.0, 0.0, -1.0])
    x, y, z = lower_direction.T if forward else (lower_direction * [-1, -1, 1]).T
    bend = np.arctan2(np.hypot(x, y), -z)
    turn = np.where(bend > _STRAIGHT, np.arctan2(y, x), 0.0)
    return upper * Rotation.from_euler("z", turn[:, None]), bend


def _euler(rotation: Rotation, axes: str) -> np.ndarray:
    """(3, K) intrinsic Euler angles."""
    with warnings.catch_warnings():  # gimbal lock: any of the equal answers will do
        warnings.simplefilter("ignore", UserWarning)
        return rotation.as_euler(axes).T


def _wrapped(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi
