"""Procedural poses: archetypes of everyday postures, each a mean and a spread per joint."""

import numpy as np

from romp_core.body.joints import SMPL_JOINTS
from romp_core.data.synthetic.joint_limits import HIGH, LOW

# Per archetype: joint -> mean (x, y, z) and standard deviation in radians. "both_" stands for
# the left joint and its mirror image on the right.
_HANGING_ARMS = {
    "both_shoulder": ((0.1, -0.1, -1.25), 0.15),
    "both_elbow": ((0.0, -0.35, 0.0), 0.25),
}
_SITTING_LEGS = {
    "both_hip": ((-1.45, 0.15, 0.12), 0.2),
    "both_knee": ((1.4, 0.0, 0.0), 0.3),
    "both_ankle": ((0.05, 0.0, 0.0), 0.15),
    "spine1": ((0.1, 0.0, 0.0), 0.12),
}
_ARCHETYPES = {
    "standing": {
        **_HANGING_ARMS,
        "both_hip": ((-0.05, 0.08, 0.06), 0.08),
        "both_knee": ((0.08, 0.0, 0.0), 0.08),
    },
    "walking": {
        **_HANGING_ARMS,
        "left_hip": ((-0.45, 0.0, 0.03), 0.2),
        "right_hip": ((0.3, 0.0, -0.03), 0.2),
        "left_knee": ((0.2, 0.0, 0.0), 0.2),
        "right_knee": ((0.6, 0.0, 0.0), 0.3),
        "left_shoulder": ((0.2, 0.3, -1.2), 0.2),
        "right_shoulder": ((0.2, 0.4, 1.2), 0.2),
    },
    "sitting": {**_HANGING_ARMS, **_SITTING_LEGS},
    "sitting, hands in front": {
        **_SITTING_LEGS,
        "both_shoulder": ((0.1, -0.55, -0.95), 0.25),
        "both_elbow": ((0.2, -1.3, 0.0), 0.4),
    },
    "hands in front": {
        "both_shoulder": ((0.1, -0.5, -1.05), 0.3),
        "both_elbow": ((0.2, -1.5, 0.0), 0.5),
        "both_hip": ((-0.1, 0.1, 0.1), 0.12),
        "both_knee": ((0.15, 0.0, 0.0), 0.12),
    },
    "arms raised": {
        "both_shoulder": ((0.0, -0.3, 0.8), 0.5),
        "both_elbow": ((0.0, -0.6, 0.3), 0.5),
        "both_collar": ((0.0, 0.0, 0.15), 0.1),
        "both_hip": ((-0.1, 0.1, 0.1), 0.15),
    },
    "arms spread": {
        "both_shoulder": ((0.0, -0.1, -0.1), 0.3),
        "both_elbow": ((0.0, -0.2, 0.0), 0.2),
    },
    "one arm out": {
        **_HANGING_ARMS,
        "left_shoulder": ((0.0, -1.0, -0.1), 0.5),
        "left_elbow": ((0.0, -0.5, 0.0), 0.4),
    },
    "crouching": {
        "both_hip": ((-1.75, 0.3, 0.25), 0.2),
        "both_knee": ((2.1, 0.0, 0.0), 0.2),
        "both_ankle": ((-0.4, 0.0, 0.0), 0.15),
        "pelvis": ((0.4, 0.0, 0.0), 0.15),
        "both_shoulder": ((0.1, -0.8, -0.9), 0.3),
        "both_elbow": ((0.0, -0.8, 0.0), 0.4),
    },
    "bending over": {
        "pelvis": ((0.6, 0.0, 0.0), 0.25),
        "both_hip": ((-0.75, 0.05, 0.08), 0.2),
        "both_knee": ((0.25, 0.0, 0.0), 0.2),
        "spine1": ((0.25, 0.0, 0.0), 0.12),
        "spine2": ((0.25, 0.0, 0.0), 0.12),
        "both_shoulder": ((0.0, -0.9, -0.7), 0.35),
        "both_elbow": ((0.0, -0.5, 0.0), 0.4),
    },
}
_WEIGHTS = np.array([3.0, 3.0, 2.5, 2.5, 3.0, 1.0, 0.7, 2.0, 0.7, 0.8])
_BACKGROUND_SPREAD = 0.08


def _tables(archetype: dict) -> tuple[np.ndarray, np.ndarray]:
    """An archetype's mean (24, 3) and standard deviation (24, 1); later entries win."""
    mean, deviation = np.zeros((24, 3)), np.full((24, 1), _BACKGROUND_SPREAD)
    deviation[0] = 0
    for joint, (angles, spread) in archetype.items():
        names = [joint.replace("both_", side) for side in ("left_", "right_")]
        for name, sign in zip(names, ((1, 1, 1), (1, -1, -1)), strict=True):
            index = SMPL_JOINTS.index(name)
            is_mirror_image = joint.startswith("both_")
            mean[index] = np.multiply(angles, sign if is_mirror_image else 1)
            deviation[index] = spread
    return mean, deviation


_TABLES = [_tables(archetype) for archetype in _ARCHETYPES.values()]
_LEAN = 1.2


def procedural_pose(rng: np.random.Generator) -> np.ndarray:
    """A posture that people take, drawn without any recording.

    Args:
        rng: source of randomness.

    Returns:
        (24, 3) float32 axis-angle within the joint limits; joint 0 leans but does not turn.
    """
    mean, deviation = _TABLES[rng.choice(len(_TABLES), p=_WEIGHTS / _WEIGHTS.sum())]
    # Most archetypes bend about their first axis; the others vary half as much.
    pose = mean + rng.normal(0, 1, (24, 3)) * deviation * (1.0, 0.5, 0.5)
    pose[1:] = np.clip(pose[1:], LOW[1:], HIGH[1:])
    pose[0] = np.clip(pose[0], -_LEAN, _LEAN)
    return pose.astype(np.float32)
