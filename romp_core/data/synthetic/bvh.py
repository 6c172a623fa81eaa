"""Motion capture in BVH form as poses of the SMPL tree.

Skeletons differ in names, in the number of joints and in their rest pose. Joints are found by
the names that the common exporters give; rotations are carried over so that each bone points
where the recording's bone points, whatever the rest pose of either skeleton.
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
    "ankle": ("{s}foot", "{s}ankle"),
    "foot": ("{s}toebase", "{s}toe", "{s}toes"),
    "collar": ("{s}collar", "{s}clavicle", "{s}shoulder"),
    "shoulder": ("{s}arm", "{s}uparm", "{s}upperarm", "{s}humerus", "{s}shldr", "{s}shoulder"),
    "elbow": ("{s}forearm", "{s}elbow", "{s}radius", "{s}lowerarm"),
    "wrist": ("{s}hand", "{s}wrist"),
}
_NEEDED = ("pelvis", "neck", "hip", "knee", "shoulder", "elbow")

# Bones by the joint that turns them: the child that they lead to, and where that lies at rest.
_BONES = {
    "hip": ("knee", (0.0, -1.0, 0.0)),
    "knee": ("ankle", (0.0, -1.0, 0.0)),
    "shoulder": ("elbow", (1.0, 0.0, 0.0)),
    "elbow": ("wrist", (1.0, 0.0, 0.0)),
}


@dataclass
class _Motion:
    """A BVH file: N joints, F frames."""

    names: list[str]
    parents: list[int]
    offsets: np.ndarray
    orders: list[str]
    columns: list[int]
    frames: np.ndarray
    frame_time: float


def _parse(path: Path) -> _Motion:
    words = iter(path.read_text(errors="replace").split())
    names, parents, offsets, orders, columns = [], [], [], [], []
    stack: list[int] = []
    channel_count, is_end = 0, False
    for word in words:
        if word in ("ROOT", "JOINT"):
            names.append(next(words))
            parents.append(stack[-1] if stack else -1)
            offsets.append([0.0] * 3)
            orders.append("")
            columns.append(0)
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
            turning = [number for number, name in enumerate(channels) if "rotation" in name]
            orders[-1] = "".join(channels[number][0].upper() for number in turning)
            columns[-1] = channel_count + (turning[0] if turning else 0)
            channel_count += len(channels)
        elif word == "Time:":
            frame_time = float(next(words))
            break
    frames = np.array([float(word) for word in words]).reshape(-1, channel_count)
    return _Motion(names, parents, np.array(offsets), orders, columns, frames, frame_time)


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
    """The smallest rotation that turns one direction (3,) into another."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    angle = np.arctan2(np.linalg.norm(axis), source @ target)
    return Rotation.from_rotvec(axis / max(np.linalg.norm(axis), 1e-12) * angle)


def read_bvh(path: Path) -> np.ndarray:
    """Poses of one recording, five per second.

    Args:
        path: a .bvh file.

    Returns:
        (N, 24, 3) float32 axis-angle, y up; joints that the recording lacks are zero.

    Raises:
        DataError: not a BVH file, or not the skeleton of a person.
    """
    try:
        motion = _parse(path)
    except (StopIteration, RuntimeError, ValueError, IndexError, UnboundLocalError) as error:
        raise DataError(f"{path} is not a BVH file: {error or 'it ends too soon'}") from error
    found = _find_joints(motion)
    sides = [name if name in ("pelvis", "neck") else f"left_{name}" for name in _NEEDED]
    missing = [name for name in sides if name not in found]
    if missing:
        raise DataError(
            f"{path} has no joints known as {', '.join(missing)}; found {', '.join(motion.names)}"
        )
    step = max(1, round(_SECONDS_BETWEEN_POSES / motion.frame_time))
    turns, rest = _global_rotations(motion, motion.frames[::step])

    # Axes of the rest pose: x to the left, y up, whatever the file's own are.
    left = rest[found["left_hip"]] - rest[found["right_hip"]]
    up = rest[found["neck"]] - rest[found["pelvis"]]
    forward = np.cross(left, up)
    axes = np.stack([np.cross(up, forward), up, forward])
    upright = Rotation.from_matrix(axes / np.linalg.norm(axes, axis=1, keepdims=True))

    world: dict[str, Rotation] = {}
    pose = np.zeros((len(motion.frames[::step]), 24, 3), np.float32)
    still = Rotation.identity(len(pose))
    for number, (joint, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        above = world[SMPL_JOINTS[parent]] if parent >= 0 else still
        world[joint] = above
        if joint in found:
            align = _alignment(joint, found, rest, upright)
            world[joint] = upright * turns[found[joint]] * upright.inv() * align
        pose[:, number] = (above.inv() * world[joint]).as_rotvec()
    return pose


def _alignment(joint: str, found: dict, rest: np.ndarray, upright: Rotation) -> Rotation:
    """Turns SMPL's resting bone into the recording's resting bone."""
    side, _, part = joint.rpartition("_")
    # The hand and the foot rest in line with the bone before them.
    part = {"wrist": "elbow"}.get(part, part)
    if part not in _BONES or f"{side}_{_BONES[part][0]}" not in found:
        return Rotation.identity()
    child, direction = _BONES[part]
    bone = rest[found[f"{side}_{child}"]] - rest[found[f"{side}_{part}"]]
    mirror = -1 if side == "right" else 1
    return _turn_between(np.array(direction) * [mirror, 1, 1], upright.apply(bone))


def _global_rotations(motion: _Motion, frames: np.ndarray) -> tuple[list[Rotation], np.ndarray]:
    """Each joint's rotation in the file's world, and the joints' places (N, 3) at rest."""
    turns: list[Rotation] = []
    rest = np.zeros((len(motion.names), 3))
    for joint, parent in enumerate(motion.parents):
        order, column = motion.orders[joint], motion.columns[joint]
        turn = Rotation.identity(len(frames))
        if order:
            angles = frames[:, column : column + len(order)]
            turn = Rotation.from_euler(order, angles, degrees=True)
        if parent >= 0:
            turn = turns[parent] * turn
            rest[joint] = rest[parent] + motion.offsets[joint]
        turns.append(turn)
    return turns, rest


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
    files = sorted(folder.rglob("*.bvh"))
    if len(files) < 2:
        raise DataError(f"{folder} has {len(files)} .bvh files; expected 2 or more")
    split = len(files) - max(1, len(files) // 10)
    return np.concatenate([read_bvh(f) for f in (files[split:] if held_out else files[:split])])
