"""People who move: poses along recorded or procedural clips, and ways across a floor."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS
from romp_core.data.synthetic.poses import mirror, without_heading

LIMB_SPEED = 3.0
"""Radians per second of a clip's fastest joint: clips tell poses, not times."""

WAY_RATE = 50.0
"""Points per second in which a way is computed."""

_GAIT = {
    # joint: (axis, mean, amplitude, phase) in radians, over one cycle of two steps
    "left_hip": (0, -0.1, 0.45, 0.0),
    "right_hip": (0, -0.1, 0.45, np.pi),
    "left_knee": (0, 0.45, 0.4, -1.9),
    "right_knee": (0, 0.45, 0.4, np.pi - 1.9),
    "left_shoulder": (1, 0.0, 0.4, np.pi),
    "right_shoulder": (1, 0.0, 0.4, np.pi),
    "left_elbow": (1, -0.4, 0.15, np.pi),
    "right_elbow": (1, 0.4, 0.15, np.pi),
    "spine2": (1, 0.0, 0.08, 0.0),
}


def procedural_walk(rng: np.random.Generator, cycles: int = 8) -> np.ndarray:
    """A clip of walking, drawn without any recording.

    Args:
        rng: source of randomness: every walk swings differently.
        cycles: of two steps each.

    Returns:
        (24 * cycles, 24, 3) float32 axis-angle, facing +z.
    """
    phase = np.linspace(0, 2 * np.pi * cycles, 24 * cycles, endpoint=False)
    pose = np.zeros((len(phase), 24, 3))
    pose[:, SMPL_JOINTS.index("left_shoulder"), 2] = -1.25
    pose[:, SMPL_JOINTS.index("right_shoulder"), 2] = 1.25
    vigour = rng.uniform(0.6, 1.2)
    for joint, (axis, mean, amplitude, shift) in _GAIT.items():
        swing = vigour * amplitude * np.sin(phase + shift) + rng.normal(0, 0.05)
        pose[:, SMPL_JOINTS.index(joint), axis] = mean + swing
    return pose.astype(np.float32)


class Motion:
    """Poses at any time along a clip, which is played to and fro.

    Args:
        clip: (N, 24, 3) axis-angle, neighbours some degrees apart; N at least 2.
    """

    def __init__(self, clip: np.ndarray):
        clip = clip.astype(np.float64)
        clip[:, 0] = [without_heading(root) for root in clip[:, 0]]
        there_and_back = np.concatenate([clip, clip[-2:0:-1], clip[:1]])
        quaternions = Rotation.from_rotvec(there_and_back.reshape(-1, 3)).as_quat()
        quaternions = quaternions.reshape(-1, 24, 4)
        cosine = (quaternions[1:] * quaternions[:-1]).sum(-1)
        sign = np.cumprod(np.where(cosine < 0, -1, 1), axis=0)  # the shorter way round
        quaternions[1:] *= sign[..., None]
        quaternions[-1] = quaternions[0]  # but for rounding: the way back undoes every sign
        angle = 2 * np.arccos(np.abs(cosine).clip(max=1)).max(1)
        steps = angle / LIMB_SPEED + 1e-3
        turns = [0, len(clip) - 2, len(clip) - 1, len(steps) - 1]
        steps[turns] *= 3  # who turns back slows down
        times = np.concatenate([[0], np.cumsum(steps)])
        self.duration = times[-1]
        self._spline = CubicSpline(times, quaternions, bc_type="periodic")

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """(F,) seconds -> (F, 24, 3) axis-angle in radians, heading +z."""
        quaternions = self._spline(np.mod(times, self.duration))
        return Rotation.from_quat(quaternions.reshape(-1, 4)).as_rotvec().reshape(-1, 24, 3)


def random_motion(rng: np.random.Generator, clips: Sequence[np.ndarray] | None) -> Motion:
    """A clip, or its mirror image; procedural walking where there are none."""
    if clips is None:
        return Motion(procedural_walk(rng))
    clip = clips[rng.integers(len(clips))]
    return Motion(np.stack([mirror(pose) for pose in clip]) if rng.random() < 0.5 else clip)


class Way:
    """A way across the floor: from point to point with pauses, round corners.

    Args:
        points: (N, 2) x and z in metres.
        pauses: (N,) seconds spent at each.
        speed: m/s in between.
        seconds: how long it must last; the last point is stayed at.
    """

    def __init__(self, points: np.ndarray, pauses: np.ndarray, speed: float, seconds: float):
        walks = np.linalg.norm(np.diff(points, axis=0), axis=1) / speed
        arrivals = np.concatenate([[0], np.cumsum(walks + pauses[:-1])])
        times = np.stack([arrivals, arrivals + pauses], 1).ravel()
        self._times = np.arange(0, seconds + 2 / WAY_RATE, 1 / WAY_RATE)
        line = np.stack([np.interp(self._times, times, np.repeat(p, 2)) for p in points.T], 1)
        self.points = gaussian_filter1d(line, 0.25 * WAY_RATE, axis=0, mode="nearest")
        velocity = np.gradient(self.points, 1 / WAY_RATE, axis=0)
        # Who stands still keeps looking where he went.
        looks = np.linalg.norm(velocity, axis=1) > 0.05
        last = np.maximum.accumulate(np.where(looks, np.arange(len(looks)), 0))
        direction = velocity[last]
        heading = np.unwrap(np.arctan2(direction[:, 0], direction[:, 1]))
        self._heading = gaussian_filter1d(heading, 0.15 * WAY_RATE, mode="nearest")

    def __call__(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F,) seconds -> (F, 2) x, z in metres and (F,) headings in radians, 0 towards +z."""
        points = [np.interp(times, self._times, column) for column in self.points.T]
        return np.stack(points, 1), np.interp(times, self._times, self._heading)
