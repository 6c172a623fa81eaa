"""Losses of predicted bodies, each from the people who are annotated with what it needs."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
import torch.distributed as dist
from torch import Tensor, nn

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.checkpoints import shares_betas
from romp_core.errors import ConfigError
from romp_core.mesh_parameters import Bodies, root_joints
from romp_core.training import losses
from romp_core.training.batch import Batch
from romp_core.training.evidence import coco_similarity_loss

_MINIMUM_BOX = 0.05  # of the picture's half side: distances within tinier people count no more
_NAMED_JOINTS = 3
_log = logging.getLogger(__name__)


@dataclass
class AnnotatedPeople:
    """K people and what is known of them; what is unknown is zero and masked.

    Attributes:
        keypoints: (K, J, 2), -1..1 in the padded square, J in the body's order.
        labeled: (K, J) bool.
        diagonals: (K,) of their boxes, in the same unit.
        areas: (K,), in that unit squared, for keypoint similarity.
        joints: (K, J, 3) metres, any origin.
        has_joints: (K, J) bool.
        rotations: (K, 24, 3, 3).
        has_pose: (K,) bool.
        betas: (K, 10) of the body that is learnt with.
        has_betas: (K,) bool.
    """

    keypoints: Tensor
    labeled: Tensor
    diagonals: Tensor
    areas: Tensor
    joints: Tensor
    has_joints: Tensor
    rotations: Tensor
    has_pose: Tensor
    betas: Tensor
    has_betas: Tensor

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: Tensor) -> "AnnotatedPeople":
        """Some of them, or in another order."""
        return AnnotatedPeople(*(getattr(self, each.name)[index] for each in fields(self)))

    def repeated(self, times: int) -> "AnnotatedPeople":
        """All of them, so many times in a row."""
        return self[torch.arange(len(self), device=self.keypoints.device).repeat(times)]

    @staticmethod
    def joined(parts: "list[AnnotatedPeople]") -> "AnnotatedPeople":
        """All people of all parts."""
        names = [each.name for each in fields(AnnotatedPeople)]
        return AnnotatedPeople(
            *(torch.cat([getattr(part, name) for part in parts]) for name in names)
        )


class BodyLosses(nn.Module):
    """Judges bodies by what is known of the people whose they should be.

    Betas are learnt only from samples whose betas belong to the body (`shares_betas`); those of
    others are left out, with one warning per body. Pose and joints are learnt from all: where the
    bodies' skeletons differ, so do, by millimetres to centimetres, the joints that one pose gives,
    and the network learns what fits both best.

    Args:
        body: the body that betas belong to.
        by_box: measure projected joints in units of a person's size.
        similarity: also judge by keypoint similarity, for which the body must have COCO's joints.
        prior: pose prior, (K, 24, 3, 3) -> (K,); None leaves it out.
    """

    def __init__(
        self,
        body: BodyModel,
        *,
        by_box: bool,
        similarity: bool = False,
        prior: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.by_box = by_box
        self.prior = prior
        # Annotations come for the 71 joints; a body may have fewer.
        self._joints = [JOINTS_71.index(name) for name in body.joint_names]
        self._lacking = torch.tensor([name not in body.joint_names for name in JOINTS_71])
        self._body_id = body.id
        self._warned: set[str | None] = set()
        self._coco = body.joint_indices("coco17") if similarity else []
        root = torch.zeros(len(body.joint_names), dtype=torch.bool)
        root[root_joints(body)] = True
        self.register_buffer("_root", root, persistent=False)

    def people(self, batch: Batch) -> AnnotatedPeople:
        """The valid people of a batch.

        Raises:
            ConfigError: people of a sample are labeled, but at no joint that the body has.
        """
        self._check_joints(batch)
        valid = batch.valid

        def annotated(values: Tensor) -> Tensor:
            return values[valid][:, self._joints]

        return AnnotatedPeople(
            keypoints=annotated(batch.keypoints),
            labeled=annotated(batch.labeled),
            diagonals=batch.diagonals[valid],
            areas=batch.areas[valid],
            joints=annotated(batch.joints),
            has_joints=annotated(batch.has_joints),
            rotations=batch.rotations[valid],
            has_pose=batch.has_pose[valid],
            betas=batch.betas[valid],
            has_betas=self._own_betas(batch)[valid],
        )

    def forward(self, bodies: Bodies, people: AnnotatedPeople) -> dict[str, Tensor]:
        """Unweighted losses by name of `LossWeights`, means over the people of all processes.

        Args:
            bodies: predicted for K people.
            people: the same K people.
        """
        known, labeled = people.has_joints, people.labeled
        # Hands are never predicted.
        rotations = losses.rotation_loss(bodies.rotations[:, :22], people.rotations[:, :22])
        scales = people_scales(people.diagonals) if self.by_box else 1.0
        parts = {
            "pose": (rotations, people.has_pose),
            "betas": (losses.betas_loss(bodies.betas, people.betas), people.has_betas),
            "joints": (
                losses.joints_loss(bodies.joints, people.joints, known, self._root),
                known.any(-1),
            ),
            "aligned_joints": (
                losses.aligned_joints_loss(bodies.joints, people.joints, known),
                known.sum(-1) >= 4,
            ),
            "keypoints": (
                losses.keypoints_loss(bodies.projected, people.keypoints, labeled, scales),
                labeled.any(-1),
            ),
        }
        if self._coco:
            labeled = labeled[:, self._coco]
            cost = coco_similarity_loss(
                bodies.projected[:, self._coco],
                people.keypoints[:, self._coco],
                labeled,
                people.areas,
            )
            parts["similarity"] = (cost, labeled.any(-1))
        if self.prior is not None:
            parts["prior"] = (self.prior(bodies.rotations), torch.ones_like(people.has_pose))
        return {name: mean_of(value * mask, mask) for name, (value, mask) in parts.items()}

    def _own_betas(self, batch: Batch) -> Tensor:
        """(B, N) bool: the person's betas are known, and are the training body's."""
        own = torch.tensor([shares_betas(body_id, self._body_id) for body_id in batch.body_ids])
        if own.all():
            return batch.has_betas
        foreign = batch.has_betas.any(1).cpu() & ~own
        for row in foreign.nonzero().flatten().tolist():
            self._warn_of_betas(batch.body_ids[row], batch.sources[row])
        return batch.has_betas & own.to(batch.has_betas.device)[:, None]

    def _warn_of_betas(self, body_id: str | None, source: str) -> None:
        if body_id in self._warned:
            return
        self._warned.add(body_id)
        _log.warning(
            "betas of %s belong to %s, not to the training body %s: they are not learnt. To learn "
            "them, set `body` to the file of the body that they belong to",
            source,
            f"the body {body_id}" if body_id else "several bodies or an unknown one",
            self._body_id,
        )

    def _check_joints(self, batch: Batch) -> None:
        """Refuse samples all of whose labels would be lost, as the body has none of the joints."""
        if len(self._joints) == len(JOINTS_71):
            return
        labels = ((batch.labeled | batch.has_joints) & batch.valid[..., None]).any(1).cpu()
        lost = labels.any(1) & ~(labels & ~self._lacking).any(1)
        for row in lost.nonzero().flatten().tolist():
            names = [JOINTS_71[index] for index in labels[row].nonzero().flatten().tolist()]
            more = f" and {len(names) - _NAMED_JOINTS} more" if len(names) > _NAMED_JOINTS else ""
            raise ConfigError(
                f"{batch.sources[row]} is labeled at {', '.join(names[:_NAMED_JOINTS])}{more}, "
                f"none of them a joint of the body {self._body_id}: nothing could be learnt from "
                "it. Set `body` to one with all 71 joints, the packed SMPL_NEUTRAL.pth of the "
                "published ROMP or `open`, or leave this data set out"
            )


def people_scales(diagonals: Tensor) -> Tensor:
    """(K,) what distances within people are divided by, whose boxes have such diagonals."""
    return (diagonals / 2).clamp(min=_MINIMUM_BOX)


def mean_of(values: Tensor, counts: Tensor) -> Tensor:
    """Sum over sum of counts, so that averaging gradients over processes gives the true mean."""
    total, processes = counts.sum().to(values.dtype), 1
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(total)
        processes = dist.get_world_size()
    return processes * values.sum() / total.clamp(min=1)
