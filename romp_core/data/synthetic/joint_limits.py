"""How far joints turn: ranges of the axis-angle components in SMPL's rest frame.

Read off anatomy tables and widened to cover CMU's recordings (the components of one axis-angle
vector are not Euler angles; for the ranges that occur the difference is small). Rest frame: x
to the person's left, y up, z forward, so bending forwards turns the spine about +x, lifts a
thigh about -x, and bends a knee about +x.
"""

import numpy as np

from romp_core.body.joints import SMPL_JOINTS

# Left side and middle: (low, high) of x, y and z in radians.
_LIMITS = {
    "spine1": ((-0.30, 0.55), (-0.35, 0.35), (-0.30, 0.30)),
    "spine2": ((-0.30, 0.55), (-0.35, 0.35), (-0.30, 0.30)),
    "spine3": ((-0.30, 0.30), (-0.30, 0.30), (-0.25, 0.25)),
    "neck": ((-0.50, 0.60), (-0.60, 0.60), (-0.40, 0.40)),
    "head": ((-0.60, 0.50), (-0.70, 0.70), (-0.40, 0.40)),
    "left_hip": ((-2.10, 0.70), (-0.80, 0.80), (-0.40, 0.90)),
    "left_knee": ((-0.05, 2.50), (-0.20, 0.20), (-0.15, 0.15)),
    "left_ankle": ((-0.60, 0.70), (-0.50, 0.50), (-0.35, 0.35)),
    "left_foot": ((-0.50, 0.20), (-0.10, 0.10), (-0.10, 0.10)),
    "left_collar": ((-0.10, 0.10), (-0.25, 0.25), (-0.10, 0.35)),
    "left_shoulder": ((-1.30, 1.30), (-1.90, 0.90), (-1.50, 1.30)),
    "left_elbow": ((-0.60, 0.60), (-2.40, 0.10), (-0.60, 0.60)),
    "left_wrist": ((-1.20, 1.00), (-0.40, 0.40), (-0.80, 0.80)),
}


def _table() -> tuple[np.ndarray, np.ndarray]:
    limits = np.zeros((24, 3, 2), np.float32)
    for index, name in enumerate(SMPL_JOINTS):
        if name in _LIMITS:
            limits[index] = _LIMITS[name]
        elif name.replace("right_", "left_") in _LIMITS:
            x, y, z = _LIMITS[name.replace("right_", "left_")]
            # The mirror x -> -x keeps rotations about x and reverses the others.
            limits[index] = x, (-y[1], -y[0]), (-z[1], -z[0])
    return limits[..., 0], limits[..., 1]


LOW, HIGH = _table()
"""(24, 3) float32 radians. Pelvis and hands are zero: they are not joints of their own here."""


def perturb(pose: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    """A pose nearby: Gaussian noise on each joint that stays within the limits.

    A joint that is already beyond a limit may stay there, but goes no further.

    Args:
        pose: (24, 3) axis-angle in radians; the pelvis is left alone.
        rng: source of randomness.
        spread: standard deviation in radians; limbs with narrow ranges move less.

    Returns:
        (24, 3) float32.
    """
    noise = rng.normal(0, spread, pose.shape) * np.minimum(1, (HIGH - LOW) / 0.6)
    return np.clip(pose + noise, np.minimum(LOW, pose), np.maximum(HIGH, pose)).astype(np.float32)
