"""People in recorded poses before random cameras, without any picture."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from romp_core.data.synthetic.people import random_betas
from romp_core.data.synthetic.poses import PoseSampler, load_poses
from romp_core.geometry.rotations import axis_angle_to_matrix
from romp_core.network.evidence import KEYPOINTS
from romp_core.training.evidence import believable

_FIRST_LEG_KEYPOINT = 13  # knees and ankles come last in COCO's order
_DEPTH_SPREAD, _DEPTH_NOISE = 0.5, (0.05, 1.0)  # in units of `Evidence.depth`
_SIZE_NOISE = 0.5, 3.0  # in units of `Evidence.size`, whose spread is 1
_POOL = 40_000
"""Poses drawn once; cameras, shapes and noise are new for every person."""


@dataclass
class PosedPeople:
    """K people in front of level-headed cameras.

    Attributes:
        rotations: (K, 24, 3, 3), the global orient turning into the optical frame.
        betas: (K, 10).
        place: (K, 3) where the pelvis is, metres, optical frame.
        focal: (K,) focal length over the picture's half side.
        seed: of the noise that they are seen with.
    """

    rotations: Tensor
    betas: Tensor
    place: Tensor
    focal: Tensor
    seed: int

    def __len__(self) -> int:
        return len(self.rotations)


class PoseStream:
    """As many batches of posed people as are asked for.

    Args:
        batch_size: K.
        path: recorded poses, see `load_poses`; None for procedural ones.
        seed: of everything random.
        pool: number of different poses.

    Raises:
        DataError: the file holds no poses.
    """

    def __init__(self, batch_size: int, path: str | None = None, seed: int = 0, pool: int = _POOL):
        self.batch_size = batch_size
        self.seed = seed
        sampler = PoseSampler.varied(load_poses(Path(path)) if path else None)
        rng = np.random.default_rng(seed)
        self._poses = torch.from_numpy(np.stack([sampler(rng) for _ in range(pool)]))

    def __getitem__(self, number: int) -> PosedPeople:
        """Batch of that number, whatever was asked for before."""
        rng, count = np.random.default_rng([self.seed, 1, number]), self.batch_size
        rotations = axis_angle_to_matrix(self._poses[rng.integers(len(self._poses), size=count)])
        heading = rng.uniform(-math.pi, math.pi, count)
        facing = rng.random(count) < 0.5
        heading = np.where(facing, math.pi + rng.normal(0, 0.7, count), heading)
        steep = rng.random(count) < 0.2
        pitch = np.where(steep, rng.uniform(-0.6, 1.2, count), rng.normal(0.1, 0.25, count))
        roll = rng.normal(0, 0.08, count)
        turn = _rotations(heading, 1)
        # World (x left, y up, z away) to optical (x right, y down, z forward): half a turn.
        camera = _rotations(roll, 2) @ _rotations(pitch, 0) @ _rotations(np.full(count, math.pi), 2)
        rotations[:, 0] = camera @ turn @ rotations[:, 0]
        focal = 1 / np.tan(np.radians(rng.uniform(35, 100, count)) / 2)
        # A standing person's height as a share of the picture's.
        share = np.exp(rng.uniform(np.log(0.08), np.log(1.6), count))
        depth = np.clip(focal * 2 * 1.6 / (2 * share), 0.7, 25)
        sideways = rng.uniform(-0.9, 0.9, (count, 2)) * (depth / focal)[:, None]
        place = np.concatenate([sideways, depth[:, None]], 1)
        return PosedPeople(
            rotations,
            torch.from_numpy(random_betas(rng, count)).float(),
            torch.from_numpy(place).float(),
            torch.from_numpy(focal).float(),
            int(rng.integers(2**63)),
        )


def _rotations(angles: np.ndarray, axis: int) -> Tensor:
    """(K, 3, 3) rotations about a coordinate axis."""
    vectors = torch.zeros(len(angles), 3)
    vectors[:, axis] = torch.from_numpy(angles).float()
    return axis_angle_to_matrix(vectors)


def spoil_keypoints(keypoints: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Keypoints as the network's own layers see them: some people well, some hardly.

    The relation of error to confidence is that of the open model's layers on synthetic
    pictures of the training set.

    Args:
        keypoints: (K, 17, 2), -1..1.
        generator: of the noise, on the same device.

    Returns:
        (K, 17, 2), with noise in proportion to the person's size, and confidences (K, 17).
        Keypoints outside of the picture are not seen; of the others some are hidden, now and
        then all of the legs, or of one side.
    """
    count, device = len(keypoints), keypoints.device

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    extent = (keypoints - keypoints.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
    number = torch.arange(KEYPOINTS, device=device)
    legs, side = number >= _FIRST_LEG_KEYPOINT, number % 2 == 1
    hidden = random(count, KEYPOINTS) < 0.1
    hidden |= legs & (random(count, 1) < 0.15)
    hidden |= side & (random(count, 1) < 0.05)
    outside = (keypoints.abs() > 1).any(-1)
    easy, hard = math.log(0.01), math.log(0.35)
    person = easy + (hard - easy) * random(count, 1)
    level = (person + 0.6 * _normal(hidden, generator)).exp()
    level = torch.where(hidden | outside, 2 * level + 0.1, level).clamp(max=1)
    noise = level[..., None] * extent[:, None, None] * _normal(keypoints, generator)
    seen = believable(level) * (0.6 + 0.7 * random(count, KEYPOINTS))
    confidence = torch.where(outside, 0.1 * random(count, KEYPOINTS), seen)
    return keypoints + noise, confidence.clamp(max=1)


def spoil_depth(depth: Tensor, generator: torch.Generator) -> Tensor:
    """Depth (K, 17) as layers see it that learnt least squares: the less they know, the flatter.

    For one person in ten nothing is known.
    """
    return _half_known(depth, _DEPTH_SPREAD, _DEPTH_NOISE, generator)


def spoil_size(size: Tensor, generator: torch.Generator) -> Tensor:
    """Size (K,) in the same way, of which less is known."""
    return _half_known(size[:, None], 1, _SIZE_NOISE, generator)[:, 0]


def _half_known(
    values: Tensor, spread: float, noises: tuple[float, float], generator: torch.Generator
) -> Tensor:
    person = values.new_empty(len(values), 1)
    noise = person.uniform_(*noises, generator=generator)
    known = torch.rand(person.shape, generator=generator, device=values.device) > 0.1
    share = spread**2 / (spread**2 + noise**2) * known
    return share * (values + noise * _normal(values, generator))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device)
