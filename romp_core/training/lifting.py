"""Training of the lifting layers: poses seen by random cameras, without any picture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from romp_core.body.joints import JOINT_SETS
from romp_core.body.model import BodyModel
from romp_core.data.synthetic.people import random_betas
from romp_core.data.synthetic.poses import PoseSampler, load_poses
from romp_core.errors import ConfigError
from romp_core.geometry.rotations import axis_angle_to_matrix
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.network.evidence import KEYPOINTS
from romp_core.training import losses
from romp_core.training.config import TrainingConfig
from romp_core.training.evidence import believable, relative_depth
from romp_core.training.finite import FiniteLossModule
from romp_core.training.schedule import make_optimizer

FIRST_LEG_KEYPOINT = 13  # knees and ankles come last in COCO's order
_DEPTH_SPREAD, _DEPTH_NOISE = 0.5, (0.05, 1.0)  # in units of `Evidence.depth`
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
        sources: what they are, for messages.
    """

    rotations: Tensor
    betas: Tensor
    place: Tensor
    focal: Tensor
    sources: list[str] = field(default_factory=lambda: ["posed people"])

    def __len__(self) -> int:
        return len(self.rotations)


class PoseStream(IterableDataset):
    """Endless batches of posed people.

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

    def __iter__(self) -> Iterator[PosedPeople]:
        rng = np.random.default_rng([self.seed, 1])
        while True:
            yield self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> PosedPeople:
        count = self.batch_size
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
        )


def _rotations(angles: np.ndarray, axis: int) -> Tensor:
    """(K, 3, 3) rotations about a coordinate axis."""
    vectors = torch.zeros(len(angles), 3)
    vectors[:, axis] = torch.from_numpy(angles).float()
    return axis_angle_to_matrix(vectors)


def make_pose_loader(config: TrainingConfig, rank: int = 0, processes: int = 1) -> DataLoader:
    """Batches of posed people, as many per epoch as the schedule says.

    Raises:
        ConfigError: the configuration's data are not one entry named `poses`.
    """
    if len(config.data) != 1 or config.data[0].name != "poses":
        raise ConfigError("lifting learns from poses: expected data of one entry named poses")
    try:
        stream = PoseStream(
            config.schedule.batch_size,
            seed=config.seed * processes + rank,
            **config.data[0].options,
        )
    except TypeError as error:
        raise ConfigError(f"options of data set 'poses': {error}") from error
    return DataLoader(_Epochs(stream, config.schedule.steps_per_epoch), batch_size=None)


class _Epochs(IterableDataset):
    """An endless stream cut into epochs, going on where the last one ended."""

    def __init__(self, stream: PoseStream, length: int):
        self._items, self._length = iter(stream), length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[PosedPeople]:
        return (next(self._items) for _ in range(self._length))


class LiftingTraining(FiniteLossModule):
    """Learns the lifting layers; everything else of the network stays as it is.

    Args:
        network: a network with `lifting`.
        body: the body.
        config: the run.

    Raises:
        ConfigError: the network has no lifting layers.
    """

    def __init__(self, network: RompNetwork, body: BodyModel, config: TrainingConfig):
        if network.lifting is None:
            raise ConfigError("task is lifting, but network.lifting is false")
        weights = vars(config.losses)
        used = ("pose", "betas", "joints", "aligned_joints", "keypoints")
        super().__init__(config, {name: weights[name] for name in used})
        self.network = network.requires_grad_(False)
        network.lifting.requires_grad_(True)
        self.decoder = MeshDecoder(body, root_align=config.root_align)
        self._coco = body.joint_indices(JOINT_SETS["coco17"])
        network.lifting.skeleton.measure(body)

    def losses(self, batch: PosedPeople) -> dict[str, Tensor]:
        """Unweighted losses by name."""
        with torch.autocast(batch.place.device.type, enabled=False):
            return self._losses(batch)

    def _losses(self, batch: PosedPeople) -> dict[str, Tensor]:
        body = self.decoder.body
        with torch.no_grad():
            joints = body(batch.rotations, batch.betas, with_vertices=False).joints
            placed = joints - joints[:, :1] + batch.place[:, None]
            pixels = batch.focal[:, None, None] * placed[..., :2] / placed[..., 2:].clamp(min=0.2)
        keypoints, confidence = spoil_keypoints(pixels[:, self._coco])
        depth = spoil_depth(relative_depth(placed[:, self._coco]))
        guesses = self.network.lifting.rounds(keypoints, confidence, depth)
        # Every guess counts alike: the later ones have only what the first one gives them.
        bodies = self.decoder(torch.cat(guesses), with_vertices=False)

        def true(values: Tensor) -> Tensor:
            return values.repeat(len(guesses), *[1] * (values.ndim - 1))

        joints, pixels = true(joints), true(pixels)
        known = torch.ones_like(joints[..., 0], dtype=torch.bool)
        root = torch.zeros(joints.shape[1], dtype=torch.bool, device=joints.device)
        root[self.decoder.root_joint_indices] = True
        extent = (pixels - pixels.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
        return {
            "pose": losses.rotation_loss(
                bodies.rotations[:, :22], true(batch.rotations[:, :22])
            ).mean(),
            "betas": losses.betas_loss(bodies.betas, true(batch.betas)).mean(),
            "joints": losses.joints_loss(bodies.joints, joints, known, root).mean(),
            "aligned_joints": losses.aligned_joints_loss(bodies.joints, joints, known).mean(),
            "keypoints": losses.keypoints_loss(
                bodies.projected, pixels, known, 2 * extent.clamp(min=0.02)
            ).mean(),
        }

    def configure_optimizers(self) -> dict:
        """The schedule's optimizer, over the lifting layers."""
        return make_optimizer(self.network, self.config.schedule)


def spoil_keypoints(keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """Keypoints as the network's own layers see them: some people well, some hardly.

    The relation of error to confidence is that of the open model's layers on synthetic
    pictures of the training set.

    Args:
        keypoints: (K, 17, 2), -1..1.

    Returns:
        (K, 17, 2), with noise in proportion to the person's size, and confidences (K, 17).
        Keypoints outside of the picture are not seen; of the others some are hidden, now and
        then all of the legs, or of one side.
    """
    count, device = len(keypoints), keypoints.device

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device)

    extent = (keypoints - keypoints.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
    number = torch.arange(KEYPOINTS, device=device)
    legs, side = number >= FIRST_LEG_KEYPOINT, number % 2 == 1
    hidden = random(count, KEYPOINTS) < 0.1
    hidden |= legs & (random(count, 1) < 0.15)
    hidden |= side & (random(count, 1) < 0.05)
    outside = (keypoints.abs() > 1).any(-1)
    easy, hard = math.log(0.01), math.log(0.35)
    person = easy + (hard - easy) * random(count, 1)
    level = (person + 0.6 * torch.randn(count, KEYPOINTS, device=device)).exp()
    level = torch.where(hidden | outside, 2 * level + 0.1, level).clamp(max=1)
    noise = level[..., None] * extent[:, None, None] * torch.randn_like(keypoints)
    seen = believable(level) * (0.6 + 0.7 * random(count, KEYPOINTS))
    confidence = torch.where(outside, 0.1 * random(count, KEYPOINTS), seen)
    return keypoints + noise, confidence.clamp(max=1)


def spoil_depth(depth: Tensor) -> Tensor:
    """Depth (K, 17) as layers see it that learnt least squares: the less they know, the flatter.

    For one person in ten nothing is known.
    """
    count = len(depth)
    noise = torch.empty(count, 1, device=depth.device).uniform_(*_DEPTH_NOISE)
    known = torch.rand(count, 1, device=depth.device) > 0.1
    share = _DEPTH_SPREAD**2 / (_DEPTH_SPREAD**2 + noise**2) * known
    return share * (depth + noise * torch.randn_like(depth))
