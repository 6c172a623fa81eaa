"""Where poses come from: recordings, mixed and perturbed, or a built-in procedural sampler.

A pose here is (24, 3) axis-angle in SMPL's rest frame, radians; joint 0 tells how the body
leans in a room whose y axis points up. The direction that it faces is chosen elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS
from romp_core.data.synthetic.archetypes import procedural_pose
from romp_core.data.synthetic.joint_limits import perturb
from romp_core.errors import DataError

_LEGS = np.array(
    [name.endswith(("hip", "knee", "ankle", "foot")) or name == "pelvis" for name in SMPL_JOINTS]
)
_MIRRORED = np.array(
    [
        SMPL_JOINTS.index(
            name.replace("left_", "#").replace("right_", "left_").replace("#", "right_")
        )
        for name in SMPL_JOINTS
    ]
)


def load_poses(path: str | Path, held_out: bool = False) -> np.ndarray:
    """Recorded poses of a file.

    Args:
        path: an .npz with `pose` (N, 24, 3) or (N, 72) axis-angle, and optionally `held_out`
            (N,) bool.
        held_out: take the poses set aside for evaluation instead of those for training.

    Returns:
        (M, 24, 3) float32.

    Raises:
        DataError: nothing usable is there.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"no pose file at {path}: give an .npz with `pose` (N, 24, 3), a folder of .bvh "
            "files, or no path at all for procedural poses"
        )
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {key: data[key] for key in ("pose", "held_out") if key in data}
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    pose = arrays.get("pose")
    if pose is None or pose[0].size != 72:
        found = "no array `pose`" if pose is None else f"`pose` of shape {pose.shape}"
        raise DataError(f"{path} holds {found}; expected `pose` (N, 24, 3) or (N, 72)")
    pose = pose.reshape(-1, 24, 3).astype(np.float32)
    mask = arrays.get("held_out", np.zeros(len(pose), bool)).astype(bool)
    chosen = pose[mask == held_out]
    if not len(chosen) or not np.isfinite(chosen).all():
        raise DataError(f"{path} has no finite poses with held_out == {held_out}")
    return chosen


def mirror(pose: np.ndarray) -> np.ndarray:
    """The pose seen in a mirror: left and right swapped. (24, 3) -> (24, 3)."""
    return pose[_MIRRORED] * np.array([1, -1, -1], np.float32)


def without_heading(root: np.ndarray) -> np.ndarray:
    """A root rotation turned about the vertical so that the body faces +z.

    Args:
        root: (3,) axis-angle in a room with y up.

    Returns:
        (3,) axis-angle.
    """
    rotation = Rotation.from_rotvec(root)
    forward = rotation.apply([0, 0, 1])
    heading = np.arctan2(forward[0], forward[2])
    return (Rotation.from_rotvec([0, -heading, 0]) * rotation).as_rotvec().astype(np.float32)


@dataclass
class PoseSampler:
    """Draws varied poses.

    Attributes:
        recorded: (N, 24, 3) recorded poses, or None: all poses are procedural.
        procedural_share: share of procedural poses among recorded ones.
        mix_share: share of poses whose upper body comes from another recording.
        spread: standard deviation in radians of the perturbation.
    """

    recorded: np.ndarray | None
    procedural_share: float = 0.15
    mix_share: float = 0.25
    spread: float = 0.1

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """A (24, 3) float32 pose that faces +z."""
        if self.recorded is None or rng.random() < self.procedural_share:
            pose = procedural_pose(rng)
        else:
            pose = self.recorded[rng.integers(len(self.recorded))].copy()
            if rng.random() < self.mix_share:
                other = self.recorded[rng.integers(len(self.recorded))]
                pose[~_LEGS] = other[~_LEGS]
        if rng.random() < 0.5:
            pose = mirror(pose)
        pose = perturb(pose, rng, self.spread * rng.random())
        pose[0] = without_heading(pose[0])
        return pose
