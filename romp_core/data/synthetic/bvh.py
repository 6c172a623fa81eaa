"""Motion capture in BVH form as poses of the SMPL tree.

Skeletons differ in names, in the number of joints and in their rest pose. Joints are found by
the names that the common exporters give; rotations are carried over so that each bone points
where the recording's bone points, whatever the rest pose of either skeleton.

Rotations are measured from a pose in which both skeletons stand. That is the rest pose where it
is a person's, in T-pose or with the arms down. Exporters whose joints have an axis along the bone
have a rest pose like a folded ruler; then it is the mean of the frames in which the person stands.
How far a bone is turned about itself in that mean cannot be seen: as little as possible is assumed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS, SMPL_PARENTS
from romp_core.errors import DataError

_SECONDS_BETWEEN_POSES = 0.2

# Names in lower case without punctuation and prefixes, best first; {s} is left, l, right, r.
_ALIASES = {
    "pelvis": ("hips", "hip", "pelvis", "root"),
    "neck": ("neck", "lowerneck", "neck1"),
    "head": ("head", "upperneck"),
    "hip": ("{s}upleg", "{s}thigh", "{s}femur", "{s}upperleg", "{s}hip"),
    "knee": ("{s}leg", "{s}knee", "{s}shin", "{s}tibia", "{s}lowerleg", "{s}calf"),
    "ankle": ("{s}ankle", "{s}foot"),
    "foot": ("{s}toebase", "{s}toe", "{s}toes", "{s}foot"),
    "collar": ("{s}collar", "{s}clavicle", "{s}shoulder"),
    "shoulder": ("{s}arm", "{s}uparm", "{s}upperarm", "{s}humerus", "{s}shldr", "{s}shoulder"),
    "elbow": ("{s}forearm", "{s}elbow", "{s}radius", "{s}lowerarm"),
    "wrist": ("{s}wrist", "{s}hand"),
}
_NEEDED = ("pelvis", "neck") + tuple(
    f"{side}_{part}" for part in ("hip", "knee", "shoulder", "elbow") for side in ("left", "right")
)

# Bones by the joint that turns them: the joint that they lead to, where that lies when SMPL's
# body is at rest (x to the left, y up, z forward), and how many degrees off a rest pose may be.
_BONES = {
    f"{side}_{part}": (f"{side}_{child}", np.array([sign * x, y, z]), limit)
    for part, child, (x, y, z), limit in (
        ("hip", "knee", (0.0, -1.0, 0.0), 40.0),
        ("knee", "ankle", (0.0, -1.0, 0.0), 40.0),
        ("ankle", "foot", (0.0, -0.3, 0.954), 180.0),
        ("shoulder", "elbow", (1.0, 0.0, 0.0), 120.0),
        ("elbow", "wrist", (1.0, 0.0, 0.0), 120.0),
    )
    for side, sign in (("left", 1), ("right", -1))
}

# Of who stands: degrees of the trunk from the vertical, of each thigh, of the hips from level.
_TRUNK_DEG, _THIGH_DEG, _HIPS_DEG = 30.0, 40.0, 45.0
_FLAT_FOOT_DEG = 45.0

# These turn y, z, -y and -z up, one of which is up in the world of a recording.
_WORLDS = Rotation.from_euler("X", [[0], [-90], [180], [90]], degrees=True)


@dataclass
class _Motion:
    """A BVH file: N joints, F frames; of each joint, the axes and columns that turn it."""

    names: list[str]
    parents: list[int]
    offsets: np.ndarray
    orders: list[str]
    columns: list[list[int]]
    frames: np.ndarray
    frame_time: float


@dataclass
class _Posed:
    """By SMPL joint: rotations in the file's world, F or one, and places (F, 3) or (3,)."""

    turns: dict[str, Rotation]
    places: dict[str, np.ndarray]

    def line(self, start: str, end: str) -> np.ndarray:
        """Unit vectors (F, 3) or (3,) from one joint to another."""
        line = self.places[end] - self.places[start]
        return line / np.linalg.norm(line, axis=-1, keepdims=True)


@dataclass
class _Reference:
    """A standing pose of the recording's skeleton.

    Attributes:
        posed: it.
        upright: turns the file's axes into those of the pose, x to the left, y up, z forward.
        is_rest: it is the rest pose of the file.
    """

    posed: _Posed
    upright: Rotation
    is_rest: bool


def _parse(path: Path) -> _Motion:
    words = iter(path.read_text(errors="replace").split())
    names, parents, offsets, orders, columns = [], [], [], [], []
    stack: list[int] = []
    channel_count, is_end, frame_time = 0, False, None
    for word in words:
        if word in ("ROOT", "JOINT"):
            names.append(next(words))
            parents.append(stack[-1] if stack else -1)
            offsets.append([0.0] * 3)
            orders.append("")
            columns.append([])
            is_end = False
        elif word == "End":
            is_end = True
        elif word == "{":
            stack.append(-1 if is_end else len(names) - 1)
        elif word == "}":
            stack.pop()
            is_end = False
        elif word == "OFFSET":
            values = [float(next(words)) for _ in range(3)]
            if not is_end:
                offsets[-1] = values
        elif word == "CHANNELS":
            channels = [next(words) for _ in range(int(next(words)))]
            turning = [n for n, name in enumerate(channels) if "rotation" in name.lower()]
            orders[-1] = "".join(channels[number][0].upper() for number in turning)
            columns[-1] = [channel_count + number for number in turning]
            channel_count += len(channels)
        elif word == "Time:":
            frame_time = float(next(words))
            break
    if frame_time is None:
        raise ValueError("it has no MOTION section with a line `Frame Time:`; export it anew")
    values = np.array([float(word) for word in words])
    if not values.size or not channel_count or values.size % channel_count:
        raise ValueError(
            f"it has {values.size} numbers after `Frame Time:`; expected one or more frames of "
            f"{channel_count}, as many as there are channels; export it anew"
        )
    frames = values.reshape(-1, channel_count)
    return _Motion(names, parents, np.array(offsets), orders, columns, frames, frame_time)


def _check(motion: _Motion, path: Path) -> None:
    if not (np.isfinite(motion.frame_time) and motion.frame_time > 0):
        raise DataError(
            f"{path} has `Frame Time: {motion.frame_time:g}`; expected the seconds from one frame "
            "to the next, more than 0: correct that line"
        )
    if not (np.isfinite(motion.frames).all() and np.isfinite(motion.offsets).all()):
        raise DataError(f"{path} has offsets or frames that are not finite: export it anew")
    for name, order in zip(motion.names, motion.orders, strict=True):
        if len(set(order)) < len(order) or not set(order) <= set("XYZ"):
            raise DataError(
                f"{path} turns {name} about {', '.join(order)}; expected X, Y and Z once each at "
                "most in its CHANNELS: export it anew"
            )


def _plain_name(name: str) -> str:
    plain = "".join(c for c in name.lower().split(":")[-1] if c.isalnum())
    for prefix in ("mixamorig", "bip01"):
        plain = plain.removeprefix(prefix)
    return plain


def _find_joints(motion: _Motion) -> dict[str, int]:
    """Index of the BVH joint for each SMPL joint that has one."""
    index = {_plain_name(name): number for number, name in reversed([*enumerate(motion.names)])}
    found: dict[str, int] = {}
    for joint in SMPL_JOINTS:
        side, _, part = joint.rpartition("_")
        for alias in _ALIASES.get(part, ()):
            spellings = [alias.format(s=s) for s in ((side, side[:1]) if side else ("",))]
            # Where "shoulder" is the collar bone, the upper arm has a name of its own.
            known = [index[s] for s in spellings if s in index and index[s] not in found.values()]
            if known:
                found[joint] = known[0]
                break
    trunk, joint = [], found.get("neck", -1)
    while joint >= 0 and motion.parents[joint] != found.get("pelvis", -1):
        joint = motion.parents[joint]
        trunk.insert(0, joint)
    if trunk and joint >= 0:
        for number, name in enumerate(("spine1", "spine2", "spine3")):
            found[name] = trunk[round(number * (len(trunk) - 1) / 2)]
    return found


def _turn_between(source: np.ndarray, target: np.ndarray) -> Rotation:
    """The smallest rotation that turns one unit vector (3,) into another."""
    axis = np.cross(source, target)
    angle = np.arctan2(np.linalg.norm(axis), source @ target)
    if np.linalg.norm(axis) < 1e-9:  # opposite ones: any axis across; equal ones: no angle
        axis = np.cross(source, np.eye(3)[np.abs(source).argmin()])
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle)


def read_bvh(path: Path) -> np.ndarray:
    """Poses of one recording, five per second.

    Args:
        path: a .bvh file. Its rest pose is that of a person who stands, or else there are frames
            in which the person stands. Up is its y or z axis or their opposites: the one along
            which the trunk is in most frames. A rest pose that stands has half of the votes.

    Returns:
        (N, 24, 3) float32 axis-angle, y up; joints that the recording lacks are zero.

    Raises:
        DataError: not a BVH file, not the skeleton of a person, or nobody stands.
    """
    try:
        motion = _parse(path)
    except (StopIteration, IndexError) as error:
        raise DataError(
            f"{path} is not a BVH file: it ends too soon or its braces do not match; export it anew"
        ) from error
    except ValueError as error:
        raise DataError(f"{path} is not a BVH file: {error}") from error
    _check(motion, path)
    found = _find_joints(motion)
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise DataError(
            f"{path} has no joints known as {', '.join(missing)}; found {', '.join(motion.names)}"
        )
    rest = _posed(motion, found, [Rotation.identity()] * len(motion.names))
    bones = [("pelvis", "neck"), ("left_hip", "right_hip")]
    bones += [(joint, child) for joint, (child, *_) in _BONES.items()]
    for joint, child in bones:
        if child in found and np.linalg.norm(rest.places[child] - rest.places[joint]) < 1e-6:
            names = " and ".join(motion.names[found[name]] for name in (joint, child))
            raise DataError(f"{path} has {names} at one place; expected a bone between them")

    step = max(1, round(_SECONDS_BETWEEN_POSES / motion.frame_time))
    local = _local_rotations(motion, motion.frames[::step])
    posed = _posed(motion, found, local)
    rest_up = _up_at_rest(rest)
    world = _world(posed, rest_up)
    if rest_up is not None:
        reference = _Reference(rest, _axes(rest, rest_up), is_rest=True)
    else:
        stands = _stands(posed, world.inv().apply([0.0, 1.0, 0.0]))
        if not stands.any():
            raise DataError(
                f"{path} shows nobody who stands, neither in its rest pose nor in a frame: export "
                "it with a T-pose as rest pose, or with a frame in which the person stands upright"
            )
        mean = _posed(motion, found, [turns[stands].mean() for turns in local])
        reference = _Reference(mean, _axes(mean, mean.line("pelvis", "neck")), is_rest=False)
    return _as_pose(posed, reference, world)


def _as_pose(posed: _Posed, reference: _Reference, world: Rotation) -> np.ndarray:
    """(F, 24, 3) axis-angle of the frames, measured from the reference."""
    frames = len(posed.places["pelvis"])
    turned: dict[str, Rotation] = {}
    aligned: dict[str, Rotation] = {}
    pose = np.zeros((frames, 24, 3), np.float32)
    for number, (joint, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        above, above_aligned = Rotation.identity(frames), Rotation.identity()
        if parent >= 0:
            above, above_aligned = turned[SMPL_JOINTS[parent]], aligned[SMPL_JOINTS[parent]]
        aligned[joint] = _alignment(joint, above_aligned, reference)
        turned[joint] = above
        if joint in posed.turns:
            at_rest = reference.upright * reference.posed.turns[joint]
            turned[joint] = world * posed.turns[joint] * at_rest.inv() * aligned[joint]
        pose[:, number] = (above.inv() * turned[joint]).as_rotvec()
    return pose


def _alignment(joint: str, above: Rotation, reference: _Reference) -> Rotation:
    """Turns SMPL's joint from its rest pose into the reference, where its parent is turned so."""
    child, direction, _ = _BONES.get(joint, ("", None, 0.0))
    # Who rests stands on flat feet, whose toes lie deeper in one skeleton than in another.
    is_resting_foot = reference.is_rest and joint.endswith("ankle")
    if child not in reference.posed.places:
        return Rotation.identity() if is_resting_foot else above
    bone = reference.upright.apply(reference.posed.line(joint, child))
    if is_resting_foot and bone @ direction > np.cos(np.radians(_FLAT_FOOT_DEG)):
        return Rotation.identity()
    return _turn_between(above.apply(direction), bone) * above


def _up_at_rest(rest: _Posed) -> np.ndarray | None:
    """The axis (3,) along which the rest pose stands; None if it is not like SMPL's."""
    trunk = rest.line("pelvis", "neck")
    up = np.sign(trunk) * (np.arange(3) == np.abs(trunk).argmax())
    if not _stands(rest, up):
        return None
    axes = _axes(rest, up)
    for joint, (child, direction, limit) in _BONES.items():
        if child in rest.places:
            bone = axes.apply(rest.line(joint, child))
            if bone @ direction < np.cos(np.radians(limit)):
                return None
    return up


def _world(posed: _Posed, rest_up: np.ndarray | None) -> Rotation:
    """Turns the file's world so that y points up."""
    ups = _WORLDS.inv().apply([0.0, 1.0, 0.0])
    upright = posed.line("pelvis", "neck") @ ups.T > np.cos(np.radians(_TRUNK_DEG))
    votes = upright.mean(0)
    if rest_up is not None:
        votes += (ups @ rest_up > 0.5) * 0.5
    return _WORLDS[int(votes.argmax())]


def _stands(posed: _Posed, up: np.ndarray) -> np.ndarray:
    """(F,) bool, or one: trunk and thighs are about vertical, the hips about level."""
    stands = posed.line("pelvis", "neck") @ up > np.cos(np.radians(_TRUNK_DEG))
    for side in ("left", "right"):
        thigh = posed.line(f"{side}_knee", f"{side}_hip")
        stands &= thigh @ up > np.cos(np.radians(_THIGH_DEG))
    hips = np.abs(posed.line("right_hip", "left_hip") @ up)
    return stands & (hips < np.sin(np.radians(_HIPS_DEG)))


def _axes(posed: _Posed, up: np.ndarray) -> Rotation:
    """Turns the file's axes into a pose's own: x to the left, y up, z forward."""
    left = posed.line("right_hip", "left_hip")
    left = left - left @ up * up
    left /= np.linalg.norm(left)
    return Rotation.from_matrix(np.stack([left, up, np.cross(left, up)]))


def _local_rotations(motion: _Motion, frames: np.ndarray) -> list[Rotation]:
    """Each joint's rotations (F,) relative to its parent."""
    return [
        Rotation.from_euler(order, frames[:, columns], degrees=True)
        if order
        else Rotation.identity(len(frames))
        for order, columns in zip(motion.orders, motion.columns, strict=True)
    ]


def _posed(motion: _Motion, found: dict[str, int], local: list[Rotation]) -> _Posed:
    """The skeleton whose joints are turned so relative to their parents; the root is at 0."""
    turns: list[Rotation] = []
    places: list[np.ndarray] = []
    for turn, parent, offset in zip(local, motion.parents, motion.offsets, strict=True):
        if parent < 0:
            turns.append(turn)
            places.append(turn.apply(np.zeros(3)))
        else:
            turns.append(turns[parent] * turn)
            places.append(places[parent] + turns[parent].apply(offset))
    return _Posed(
        {joint: turns[number] for joint, number in found.items()},
        {joint: places[number] for joint, number in found.items()},
    )


def read_bvh_folder(folder: Path, held_out: bool) -> np.ndarray:
    """Poses of all recordings in a folder and below.

    Args:
        folder: where the .bvh files are.
        held_out: take the tenth of the files whose names sort last (one at least), which is
            set aside for evaluation; else the others.

    Returns:
        (N, 24, 3) float32 axis-angle.

    Raises:
        DataError: too few files, or one of them is unusable.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".bvh" and p.is_file())
    if len(files) < 2:
        raise DataError(f"{folder} has {len(files)} .bvh files; expected 2 or more")
    split = len(files) - max(1, len(files) // 10)
    return np.concatenate([read_bvh(f) for f in (files[split:] if held_out else files[:split])])
