"""Where poses come from: recordings, mixed and perturbed, or a built-in procedural sampler.

A pose here is (24, 3) axis-angle in SMPL's rest frame, radians; joint 0 tells how the body
leans in a room whose y axis points up. The direction that it faces is chosen elsewhere.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from romp_core.body.joints import SMPL_JOINTS, flip_permutation
from romp_core.data.synthetic.archetypes import procedural_pose
from romp_core.data.synthetic.bvh import read_bvh_folder
from romp_core.data.synthetic.joint_limits import perturb
from romp_core.errors import DataError

_ARM_PARTS = ("collar", "shoulder", "elbow", "wrist", "hand")
_LEG_PARTS = ("hip", "knee", "ankle", "foot")


def _joints(side: str, parts: tuple[str, ...]) -> np.ndarray:
    """(24,) bool: the parts of a side, "" for both."""
    return np.array([name.startswith(side) and name.endswith(parts) for name in SMPL_JOINTS])


_LEGS = _joints("", (*_LEG_PARTS, "pelvis"))
_LIMBS = [
    *(_joints(side, parts) for parts in (_ARM_PARTS, _LEG_PARTS) for side in ("left", "right")),
    _joints("", ("neck", "head")),
]
_MIRRORED = flip_permutation(SMPL_JOINTS)


def load_poses(path: str | Path, held_out: bool = False) -> np.ndarray:
    """Recorded poses of a file or folder.

    Args:
        path: an .npz with `pose` (N, 24, 3) or (N, 72) axis-angle, and optionally `held_out`
            (N,) bool; or a folder with .bvh files, of which a tenth is held out.
        held_out: take the poses set aside for evaluation instead of those for training.

    Returns:
        (M, 24, 3) float32.

    Raises:
        DataError: nothing usable is there.
    """
    path = Path(path)
    if path.is_dir():
        return read_bvh_folder(path, held_out)
    return np.concatenate(load_clips(path, held_out))


def load_clips(path: str | Path, held_out: bool = False) -> list[np.ndarray]:
    """Recorded poses of an .npz file, one array per recording, in order.

    Args:
        path: an .npz as for `load_poses`; `clip` (N,) names the recording of each pose. Without
            it all poses are one.
        held_out: take the poses set aside for evaluation instead of those for training.

    Returns:
        (M, 24, 3) float32 each.

    Raises:
        DataError: nothing usable is there.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"no pose file at {path}: give an .npz with `pose` (N, 24, 3), a folder of .bvh "
            "files, or no path at all for procedural poses"
        )
    arrays = _read_arrays(path)
    pose = arrays["pose"]
    chosen = arrays.get("held_out", np.zeros(len(pose), bool)).astype(bool) == held_out
    pose = pose.reshape(-1, 24, 3).astype(np.float32)[chosen]
    if not len(pose) or not np.isfinite(pose).all():
        raise DataError(f"{path} has no finite poses with held_out == {held_out}")
    clip = arrays.get("clip", np.zeros(len(chosen)))[chosen]
    return np.split(pose, np.flatnonzero(clip[1:] != clip[:-1]) + 1)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """`pose`, and `held_out` and `clip` if they are there, of equal length."""
    try:
        data = np.load(path, allow_pickle=False)
        if isinstance(data, np.ndarray):
            raise ValueError("it holds one array without a name; use numpy.savez(path, pose=...)")
        with data:
            arrays = {key: data[key] for key in ("pose", "held_out", "clip") if key in data}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    if "pose" not in arrays:
        raise DataError(f"{path} holds no array `pose`; expected `pose` (N, 24, 3) or (N, 72)")
    pose = arrays["pose"]
    if pose.shape[1:] not in ((24, 3), (72,)) or pose.dtype.kind not in "fiu":
        raise DataError(
            f"{path} holds `pose` of shape {pose.shape} and type {pose.dtype}; expected numbers "
            "(N, 24, 3) or (N, 72)"
        )
    for name, kinds in (("held_out", "biuf"), ("clip", "biufUS")):
        array = arrays.get(name)
        if array is not None and (array.shape != pose.shape[:1] or array.dtype.kind not in kinds):
            raise DataError(
                f"{path} holds `{name}` of shape {array.shape} and type {array.dtype}; expected "
                f"{'bool' if name == 'held_out' else 'a name or number'} per pose, {pose.shape[:1]}"
            )
    return arrays


def mirror(pose: np.ndarray) -> np.ndarray:
    """The pose seen in a mirror: left and right swapped. (24, 3) -> (24, 3)."""
    return pose[_MIRRORED] * np.array([1, -1, -1], np.float32)


def _matrix(axis_angle: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of (3,) axis-angle; for one vector OpenCV is ten times as fast as SciPy."""
    return cv2.Rodrigues(axis_angle.astype(np.float64))[0]


def _axis_angle(matrix: np.ndarray) -> np.ndarray:
    return cv2.Rodrigues(matrix)[0][:, 0]


def without_heading(root: np.ndarray) -> np.ndarray:
    """A root rotation turned about the vertical so that the body faces +z.

    Args:
        root: (3,) axis-angle in a room with y up.

    Returns:
        (3,) axis-angle.
    """
    rotation = _matrix(root)
    heading = np.arctan2(rotation[0, 2], rotation[2, 2])
    return _axis_angle(_matrix(np.array([0, -heading, 0])) @ rotation).astype(np.float32)


# Of an adult's left leg at rest, metres: hip from pelvis, knee from hip, and so on to the toes.
_LEG = np.array([[0.11, -0.02, 0.0], [0.01, -0.37, 0.02], [0.02, -0.41, -0.05], [0.0, -0.05, 0.14]])

_MOST_TIPTOE = 0.9
"""Radians beyond which a foot is meant to stand on its toes."""


def plant_feet(pose: np.ndarray) -> np.ndarray:
    """The pose with the feet that carry the body flat on the floor.

    Recordings know the ankles badly, and people on tiptoe look as if they float. Feet that are
    lifted, below a bent-over body, or turned far from the floor stay as they are.

    Args:
        pose: (24, 3) axis-angle, y up.

    Returns:
        (24, 3) with other ankles.
    """
    pose, root = pose.copy(), _matrix(pose[0])
    ankles, heights, knees = [], [], []
    for side, sign in (("left", 1), ("right", -1)):
        hip, knee, ankle = (SMPL_JOINTS.index(f"{side}_{n}") for n in ("hip", "knee", "ankle"))
        thigh = root @ _matrix(pose[hip])
        shin = thigh @ _matrix(pose[knee])
        foot = shin @ _matrix(pose[ankle])
        bones = np.stack([root, thigh, shin, foot]) @ (_LEG * [sign, 1, 1])[..., None]
        drop = np.cumsum(bones[:, 1, 0])
        ankles.append((ankle, shin, foot))
        knees.append(drop[1])
        heights.append(drop[2:].min())
    for (ankle, shin, foot), height, knee in zip(ankles, heights, knees, strict=True):
        if height > min(heights) + 0.1 or knee < height + 0.2:
            continue
        axis = np.cross(foot[:, 1], [0, 1, 0])  # from the sole's normal to the vertical
        sine = np.linalg.norm(axis)
        angle = np.arctan2(sine, foot[1, 1])
        if 1e-6 < angle < _MOST_TIPTOE:
            pose[ankle] = _axis_angle(shin.T @ _matrix(axis / sine * angle) @ foot)
    return pose


@dataclass
class PoseSampler:
    """Draws varied poses.

    Attributes:
        recorded: (N, 24, 3) recorded poses, or None: all poses are procedural.
        procedural_share: share of procedural poses among recorded ones.
        mix_share: share of poses whose upper body comes from another recording.
        spread: standard deviation in radians of the perturbation.
        planted_share: share of poses whose standing feet are set flat on the floor.
        limb_share: share of poses each of whose arms, legs and head may come from another
            recording.
        tilt_share: share of bodies that are tilted as a whole, as who falls, lies or tumbles.
        tilt: standard deviation in radians of how far.
    """

    recorded: np.ndarray | None
    procedural_share: float = 0.2
    mix_share: float = 0.25
    spread: float = 0.1
    planted_share: float = 0.8
    limb_share: float = 0.0
    tilt_share: float = 0.0
    tilt: float = 1.0

    @classmethod
    def varied(cls, recorded: np.ndarray | None) -> "PoseSampler":
        """One to learn from: it also draws what few recordings show."""
        return cls(recorded, spread=0.2, limb_share=0.25, tilt_share=0.12)

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """A (24, 3) float32 pose that faces +z."""
        if self.recorded is None or rng.random() < self.procedural_share:
            pose = procedural_pose(rng)
        else:
            pose = self.recorded[rng.integers(len(self.recorded))].copy()
            if rng.random() < self.mix_share:
                other = self.recorded[rng.integers(len(self.recorded))]
                pose[~_LEGS] = other[~_LEGS]
            if self.limb_share and rng.random() < self.limb_share:
                self._exchange_limbs(pose, rng)
        if rng.random() < 0.5:
            pose = mirror(pose)
        pose = perturb(pose, rng, self.spread * rng.random())
        if rng.random() < self.planted_share:
            pose = plant_feet(pose)
        if self.tilt_share and rng.random() < self.tilt_share:
            direction = rng.uniform(-np.pi, np.pi)
            axis = np.array([np.cos(direction), 0, np.sin(direction)])
            pose[0] = _axis_angle(_matrix(axis * rng.normal(0, self.tilt)) @ _matrix(pose[0]))
        pose[0] = without_heading(pose[0])
        return pose

    def _exchange_limbs(self, pose: np.ndarray, rng: np.random.Generator) -> None:
        for limb in _LIMBS:
            if rng.random() < 0.5:
                other = self.recorded[rng.integers(len(self.recorded))]
                pose[limb] = other[limb]
