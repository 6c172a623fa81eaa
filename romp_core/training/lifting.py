"""Training of the lifting layers: from poses alone, and from people as a network sees them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from romp_core.body.joints import JOINT_SETS
from romp_core.body.model import BodyModel
from romp_core.data.mixing import NumberSampler
from romp_core.errors import ConfigError
from romp_core.evaluation.keypoints import BOX_TO_AREA
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.network.evidence import Evidence
from romp_core.training.body_losses import AnnotatedPeople, BodyLosses, mean_of
from romp_core.training.config import DataConfig, TrainingConfig
from romp_core.training.evidence import limb_size, relative_depth, size_loss
from romp_core.training.finite import FiniteLossModule
from romp_core.training.posed_people import (
    PosedPeople,
    PoseStream,
    spoil_depth,
    spoil_keypoints,
    spoil_size,
)
from romp_core.training.schedule import make_optimizer
from romp_core.training.seen_people import SeenPeople

_NEAREST_M = 0.2  # joints nearer to the camera, or behind it, are projected as if they were there


@dataclass
class LiftingBatch:
    """What one step learns from.

    Attributes:
        posed: people without pictures.
        seen: people of pictures, or None.
    """

    posed: PosedPeople
    seen: SeenPeople | None = None

    def __len__(self) -> int:
        return len(self.posed) + (len(self.seen) if self.seen else 0)

    @property
    def sources(self) -> list[str]:
        """What is in it, for messages."""
        return ["posed people", *(["people of the pictures"] if self.seen else [])]


def split_data(config: TrainingConfig) -> tuple[DataConfig, list[DataConfig]]:
    """The poses that lifting learns from, and the data sets of pictures beside them.

    Raises:
        ConfigError: not one entry of the configuration's data is named `poses`.
    """
    poses = [data for data in config.data if data.name == "poses"]
    if len(poses) != 1:
        raise ConfigError(
            f"lifting learns from poses, and perhaps from pictures: {len(poses)} entries of data "
            "are named poses, expected one"
        )
    return poses[0], [data for data in config.data if data.name != "poses"]


def make_pose_stream(config: TrainingConfig, rank: int = 0, processes: int = 1) -> PoseStream:
    """Batches of posed people for one process.

    Raises:
        ConfigError: see `split_data`; or unknown options of the poses.
        DataError: the file holds no poses.
    """
    poses, _ = split_data(config)
    seed = config.seed * processes + rank
    try:
        return PoseStream(config.schedule.batch_size, seed=seed, **poses.options)
    except TypeError as error:
        raise ConfigError(f"options of data set 'poses': {error}") from error


def make_lifting_loader(
    config: TrainingConfig, stream: PoseStream, seen: SeenPeople | None
) -> DataLoader:
    """Batches of posed people and as many seen ones, as many per epoch as the schedule says."""
    sampler = NumberSampler(config.schedule.steps_per_epoch)  # the stream has its process' seed
    return DataLoader(_Batches(stream, seen), batch_size=None, sampler=sampler)


class _Batches(Dataset):
    """Batches by number: a run that is resumed sees those that are left, none again."""

    def __init__(self, stream: PoseStream, seen: SeenPeople | None):
        self._stream, self._seen = stream, seen

    def __getitem__(self, number: int) -> LiftingBatch:
        posed, rng = self._stream[number], np.random.default_rng([self._stream.seed, 2, number])
        return LiftingBatch(posed, self._seen.drawn(len(posed), rng) if self._seen else None)


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
        used = ["pose", "betas", "joints", "aligned_joints", "keypoints"]
        # Size is seen in pictures alone.
        more = ["similarity", *(["size"] if split_data(config)[1] else [])]
        used += [name for name in more if weights[name]]
        super().__init__(config, {name: weights[name] for name in used})
        self.network = network.requires_grad_(False)
        network.lifting.requires_grad_(True)
        network.size.requires_grad_("size" in used)
        self.decoder = MeshDecoder(body, root_align=config.root_align)
        self.body_losses = BodyLosses(body, by_box=True, similarity="similarity" in used)
        self._coco = body.joint_indices(JOINT_SETS["coco17"])
        network.lifting.skeleton.measure(body)

    def train(self, mode: bool = True) -> "LiftingTraining":
        """As any module; but what says how large people are forgets nothing unless it learns."""
        super().train(mode)
        if "size" not in self.loss_weights:
            self.network.size.eval()
        return self

    def losses(self, batch: LiftingBatch) -> dict[str, Tensor]:
        """Unweighted losses by name, means over posed and seen people alike; size over seen ones
        alone."""
        with torch.autocast(batch.posed.place.device.type, enabled=False):
            evidence, people = self._posed(batch.posed)
            result = {}
            if batch.seen:
                of_seen = batch.seen.people
                seen = self.network.size.told(batch.seen.looks.float(), batch.seen.evidence)
                if "size" in self.loss_weights:
                    points, known = of_seen.joints[:, self._coco], of_seen.has_joints[:, self._coco]
                    result["size"] = mean_of(*size_loss(seen.size, points, known))
                evidence = Evidence(*(torch.cat(pair) for pair in zip(evidence, seen, strict=True)))
                people = AnnotatedPeople.joined([people, of_seen])
            # Every guess counts alike: the later ones have only what the first one gives them.
            guesses = self.network.lifting.rounds(evidence)
            bodies = self.decoder(torch.cat(guesses), with_vertices=False)
            return result | self.body_losses(bodies, people.repeated(len(guesses)))

    @torch.no_grad()
    def _posed(self, posed: PosedPeople) -> tuple[Evidence, AnnotatedPeople]:
        """Posed people as the network's own layers would see them, and as they are."""
        body = self.decoder.body
        joints = body(posed.rotations, posed.betas, with_vertices=False).joints
        placed = joints - joints[:, :1] + posed.place[:, None]
        away = placed[..., 2:].clamp(min=_NEAREST_M)
        pixels = posed.focal[:, None, None] * placed[..., :2] / away
        noise = torch.Generator(pixels.device).manual_seed(posed.seed)
        keypoints, confidence = spoil_keypoints(pixels[:, self._coco], noise)
        points = placed[:, self._coco]
        depth = spoil_depth(relative_depth(points), noise)
        size = spoil_size(limb_size(points), noise)
        extent = pixels.amax(1) - pixels.amin(1)
        everybody = torch.ones(len(posed), dtype=torch.bool, device=pixels.device)
        everything = everybody[:, None].expand(joints.shape[:2])
        people = AnnotatedPeople(
            keypoints=pixels,
            labeled=everything,
            diagonals=extent.norm(dim=-1),
            areas=BOX_TO_AREA * extent.prod(-1),
            joints=joints,
            has_joints=everything,
            rotations=posed.rotations,
            has_pose=everybody,
            betas=posed.betas,
            has_betas=everybody,
        )
        return Evidence(keypoints, confidence, depth, size), people

    def configure_optimizers(self) -> dict:
        """The schedule's optimizer, over the lifting layers."""
        return make_optimizer(self.network, self.config.schedule)
