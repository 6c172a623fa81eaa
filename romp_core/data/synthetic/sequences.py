"""Sequences of people who walk, cross, stop, hide each other, leave and return, with the truth.

No pictures are rendered: what a network would find is the truth with noise, misses and ghosts.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from romp_core.body.model import BodyModel
from romp_core.data.synthetic.walkers import WAY_RATE, Way, random_motion
from romp_core.geometry.cameras import Letterbox, intrinsics_from_fov
from romp_core.people import People
from romp_core.posing import posed

KEEPING_APART_M = 0.45
"""Metres that the middles of two people stay apart."""

SWING_DEG = 30.0

SHADOW_WIDTH = 0.6
"""Share of a person's box, about its middle, that hides whoever is behind."""


@dataclass(frozen=True)
class SequenceConfig:
    """What sequences are like.

    Attributes:
        seconds: length.
        people: fewest and most people.
        rate: lowest and highest frames per second.
        stamp_jitter: standard deviation of the time between images, as a share of it.
        drop_share: share of images that are lost one by one.
        gaps: lost stretches of `gap_s` seconds each.
        gap_s: shortest and longest.
        size: height and width in pixels.
        horizontal_fov_deg: of the camera.
        camera_height: metres above the floor; the camera looks straight ahead.
        turning_deg_s: fastest turning of the camera, which swings by `SWING_DEG` to both sides;
            0: it stands still.
        distance: nearest and farthest people, metres.
        visible_share: share of a person's joints that must be in view, unhidden, for him to count
            as there.
    """

    seconds: float = 10.0
    people: tuple[int, int] = (3, 8)
    rate: tuple[float, float] = (10.0, 60.0)
    stamp_jitter: float = 0.1
    drop_share: float = 0.05
    gaps: int = 1
    gap_s: tuple[float, float] = (0.2, 0.5)
    size: tuple[int, int] = (720, 1280)
    horizontal_fov_deg: float = 70.0
    camera_height: float = 1.4
    turning_deg_s: float = 0.0
    distance: tuple[float, float] = (2.5, 8.0)
    visible_share: float = 0.3


@dataclass(frozen=True)
class DetectionNoise:
    """How a network's answers differ from the truth. Angles in radians.

    Each error is the sum of one drawn anew in every image and a slow one, which keeps its value
    for about `slow_s`. Both grow by up to the factor `hidden` as a person gets hidden.

    Attributes:
        pose: per joint and axis, anew and slow.
        direction: of the line of sight.
        log_depth: of the distance, as a share of it.
        betas: per coefficient.
        slow_s: time constant of slow errors, seconds.
        hidden: growth of the errors of who is hardly visible.
        missed: share of visible people that are not found.
        ghosts: people found per image where nobody is.
    """

    pose: tuple[float, float] = (0.05, 0.08)
    direction: tuple[float, float] = (0.003, 0.004)
    log_depth: tuple[float, float] = (0.02, 0.05)
    betas: tuple[float, float] = (0.3, 0.4)
    slow_s: float = 1.0
    hidden: float = 2.0
    missed: float = 0.02
    ghosts: float = 0.02


@dataclass(frozen=True)
class Sequence:
    """F images of one camera.

    Attributes:
        stamps: (F,) seconds.
        intrinsics: (3, 3) K, pixels.
        size: height and width, pixels.
        everybody: per image, the same P people, in view or not, with ids from 1 to P.
        visible: (F, P) share of each that is visible.
        config: what it is like.
    """

    stamps: np.ndarray
    intrinsics: np.ndarray
    size: tuple[int, int]
    everybody: list[People]
    visible: np.ndarray
    config: SequenceConfig

    @cached_property
    def truth(self) -> list[People]:
        """Per image, who is visible."""
        there = self.visible >= self.config.visible_share
        return [people[seen] for people, seen in zip(self.everybody, there, strict=True)]


def make_sequence(
    seed: int,
    body: BodyModel,
    clips: list[np.ndarray] | None = None,
    config: SequenceConfig | None = None,
) -> Sequence:
    """A sequence.

    Args:
        seed: the same seed makes the same sequence.
        body: of everybody.
        clips: (N, 24, 3) poses each, as `poses.load_clips` reads them; None: procedural walks.
        config: what it is like.
    """
    config, rng = config or SequenceConfig(), np.random.default_rng(seed)
    stamps = _stamps(rng, config)
    walks = []
    ways: list[Way] = []
    for _ in range(rng.integers(config.people[0], config.people[1] + 1)):
        ways.append(_free_way(rng, config, ways))
        walks.append(_walk(rng, ways[-1], stamps, body, clips, config))
    intrinsics = intrinsics_from_fov(*config.size, config.horizontal_fov_deg)
    ids = np.arange(1, len(walks) + 1)
    pose, betas, translation = (np.stack(parts, 1) for parts in zip(*walks, strict=True))
    everybody = [
        _complete(*parameters, ids, body, intrinsics, config.size)
        for parameters in zip(pose, betas, translation, strict=True)
    ]
    visible = np.stack([visible_shares(people, config.size) for people in everybody])
    return Sequence(stamps, intrinsics, config.size, everybody, visible, config)


def detections(
    sequence: Sequence, body: BodyModel, seed: int, noise: DetectionNoise | None = None
) -> list[People]:
    """What a network would find in each image.

    Args:
        sequence: that it looks at.
        body: of everybody.
        seed: of the errors.
        noise: how large they are.

    Returns:
        People per image, best confidence first. Their `track_ids` are those of the truth, for
        scoring, and 0 for ghosts: trackers do not look at them.
    """
    noise, rng = noise or DetectionNoise(), np.random.default_rng(seed)
    slow = rng.normal(size=(sequence.visible.shape[1], _NUMBERS))
    found, last = [], sequence.stamps[0]
    for stamp, people, visible in zip(
        sequence.stamps, sequence.everybody, sequence.visible, strict=True
    ):
        kept = math.exp(-(stamp - last) / noise.slow_s)
        last = stamp
        slow = kept * slow + math.sqrt(1 - kept**2) * rng.normal(size=slow.shape)
        errors = _scaled(rng.normal(size=slow.shape), slow, noise)
        errors *= 1 + (noise.hidden - 1) * (1 - visible[:, None])
        hits = visible >= sequence.config.visible_share
        hits &= rng.random(len(people)) >= noise.missed
        pose, betas, translation = _disturbed(people[hits], errors[hits])
        ids = people.track_ids[hits]
        for _ in range(rng.poisson(noise.ghosts)):
            pose, betas, translation = _with_ghost(rng, pose, betas, translation)
            ids = np.append(ids, 0)
        noisy = _complete(pose, betas, translation, ids, body, sequence.intrinsics, sequence.size)
        confidence = rng.uniform(0.3, 0.9, len(noisy)).astype(np.float32)
        found.append(replace(noisy, confidence=confidence)[np.argsort(-confidence)])
    return found


def visible_shares(people: People, size: tuple[int, int]) -> np.ndarray:
    """(K,) share of each person's joints that are in an image of that size and behind nobody."""
    height, width = size
    points = people.keypoints_2d
    seen = ((points >= 0) & (points < (width, height))).all(-1)
    seen &= people.joints[..., 2] > 0.1
    low, high = points.min(1), points.max(1)
    middle, half = (low + high) / 2, (high - low) / 2 * (SHADOW_WIDTH, 1)
    depth = people.joints[:, 0, 2]
    for front in np.argsort(depth):
        covered = (np.abs(points - middle[front]) < half[front]).all(-1)
        seen &= ~(covered & (depth > depth[front])[:, None])
    return seen.mean(1)


def _stamps(rng: np.random.Generator, config: SequenceConfig) -> np.ndarray:
    step = 1 / rng.uniform(*config.rate)
    count = round(config.seconds / step)
    steps = step * rng.normal(1, config.stamp_jitter, count).clip(0.3, 3)
    stamps = np.cumsum(steps)
    kept = rng.random(count) >= config.drop_share
    for _ in range(config.gaps):
        start, length = rng.uniform(0, config.seconds), rng.uniform(*config.gap_s)
        kept &= (stamps < start) | (stamps > start + length)
    return stamps[kept]


def _free_way(rng: np.random.Generator, config: SequenceConfig, others: list[Way]) -> Way:
    """A way that keeps clear of others, as far as can be found."""
    best, most = None, -1.0
    for _ in range(200):
        way = _random_way(rng, config)
        gaps = [np.linalg.norm(way.points - other.points, axis=1).min() for other in others]
        gap = min(gaps, default=np.inf)
        if gap > most:
            best, most = way, gap
        if gap >= KEEPING_APART_M:
            break
    return best


def _random_way(rng: np.random.Generator, config: SequenceConfig) -> Way:
    """Across the picture, perhaps out of it and back; from point to point; or mostly standing."""
    near, far = config.distance
    slope = math.tan(math.radians(config.horizontal_fov_deg / 2))

    def inside() -> list[float]:
        z = rng.uniform(near, far)
        return [rng.uniform(-0.8, 0.8) * slope * z, z]

    def outside(side: float) -> list[float]:
        z = rng.uniform(near, far)
        return [side * (slope * z + rng.uniform(0.6, 1.2)), z]

    count = math.ceil(config.seconds / 2) + 3
    points = [inside() for _ in range(count)]
    pauses = rng.uniform(0.5, 3.0, count) * (rng.random(count) < 0.4)
    kind = rng.choice(["wanders", "crosses", "stands"], p=[0.4, 0.4, 0.2])
    if kind == "crosses":
        side = rng.choice([-1.0, 1.0])
        points[0], points[1] = outside(side), outside(-side)
        pauses[:2] = rng.uniform(0, 1.5), rng.uniform(0, 1.0)
        if rng.random() < 0.5:  # back on the same side, as from behind a door
            points.insert(1, inside())
            points[2] = outside(side)
            pauses = np.insert(pauses, 1, 0.0)
    elif kind == "stands":
        pauses = pauses + 3.0
    return Way(np.array(points), pauses, rng.uniform(0.8, 1.6), config.seconds)


def _walk(
    rng: np.random.Generator,
    way: Way,
    stamps: np.ndarray,
    body: BodyModel,
    clips: list[np.ndarray] | None,
    config: SequenceConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pose (F, 72), betas (F, 10) and translation (F, 3) of one person in the optical frame."""
    motion = random_motion(rng, clips)
    pose = motion(rng.uniform(0, motion.duration) + stamps)
    points, heading = way(stamps)
    yaw = math.radians(SWING_DEG) * np.sin(config.turning_deg_s / SWING_DEG * stamps)
    sine, cosine = np.sin(yaw), np.cos(yaw)
    (x, z), heading = points.T, heading + yaw
    points = np.stack([cosine * x + sine * z, cosine * z - sine * x], 1)
    # From a room with y up and z towards the camera to the optical frame: half a turn about x.
    turned = Rotation.from_euler("y", np.pi - heading[:, None]) * Rotation.from_rotvec(pose[:, 0])
    pose[:, 0] = (Rotation.from_rotvec([np.pi, 0, 0]) * turned).as_rotvec()
    betas = np.tile(rng.normal(0, 1, 10).clip(-2, 2), (len(stamps), 1))
    with torch.inference_mode():
        joints = body(
            torch.from_numpy(pose).float().flatten(1),
            torch.from_numpy(betas).float(),
            with_vertices=False,
        ).joints.numpy()
    lowest = joints[..., 1].max(1)  # y points down
    drop = config.camera_height - _smooth_over_time(stamps, lowest, 0.1)
    return pose.reshape(-1, 72), betas, np.stack([points[:, 0], drop, points[:, 1]], 1)


def _smooth_over_time(stamps: np.ndarray, values: np.ndarray, seconds: float) -> np.ndarray:
    regular = np.arange(stamps[0], stamps[-1] + 1 / WAY_RATE, 1 / WAY_RATE)
    line = np.interp(regular, stamps, values)
    return np.interp(stamps, regular, gaussian_filter1d(line, seconds * WAY_RATE, mode="nearest"))


_NUMBERS = 72 + 10 + 3


def _scaled(fresh: np.ndarray, slow: np.ndarray, noise: DetectionNoise) -> np.ndarray:
    """(K, 85) errors of pose, betas, x/z, y/z and log z."""
    kinds = (noise.pose, noise.betas, noise.direction, noise.log_depth)
    anew, lasting = np.repeat(kinds, (72, 10, 2, 1), axis=0).T
    errors = anew * fresh + lasting * slow
    errors[:, 66:72] = 0  # hands are not seen
    return errors


def _disturbed(people: People, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    turn, change, way = np.split(errors, [72, 82], axis=1)
    pose = Rotation.from_rotvec(people.pose.reshape(-1, 3).astype(np.float64))
    pose = pose * Rotation.from_rotvec(turn.reshape(-1, 3))
    depth = people.translation[:, 2:] * np.exp(way[:, 2:])
    direction = people.translation[:, :2] / people.translation[:, 2:] + way[:, :2]
    translation = np.concatenate([direction * depth, depth], 1)
    return pose.as_rotvec().reshape(-1, 72), people.betas + change, translation


def _with_ghost(
    rng: np.random.Generator, pose: np.ndarray, betas: np.ndarray, translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    depth = rng.uniform(2, 8)
    place = np.array([rng.uniform(-0.6, 0.6) * depth, rng.uniform(0.2, 0.6), depth])
    ghost = rng.normal(0, 0.2, 72)
    ghost[:3] = Rotation.from_euler("xy", [np.pi, rng.uniform(0, 2 * np.pi)]).as_rotvec()
    return (
        np.concatenate([pose, ghost[None]]),
        np.concatenate([betas, rng.normal(0, 1, (1, 10))]),
        np.concatenate([translation, place[None]]),
    )


def _complete(
    pose: np.ndarray,
    betas: np.ndarray,
    translation: np.ndarray,
    ids: np.ndarray,
    body: BodyModel,
    intrinsics: np.ndarray,
    size: tuple[int, int],
) -> People:
    """People of these parameters, as a network with the right camera would give them."""
    count = len(pose)
    parts = {"pose": pose, "betas": betas, "translation": translation}
    empty = vars(People.empty(joints=len(body.joint_names)))
    fields = {
        name: np.zeros((count, *values.shape[1:]), values.dtype) for name, values in empty.items()
    } | {name: values.astype(np.float32) for name, values in parts.items()}
    people = posed(People(**fields), body, intrinsics, size, with_vertices=False)
    pelvis = people.keypoints_2d[:, 0]
    box = Letterbox(*size)
    scale = 2 * intrinsics[0, 0] / box.side / people.joints[:, :1, 2]
    camera = np.concatenate([scale, box.to_normalized(torch.from_numpy(pelvis)).numpy()], 1)
    return replace(people, camera=camera, center=pelvis, track_ids=ids.astype(np.int64))
