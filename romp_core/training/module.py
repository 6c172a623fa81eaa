"""The Lightning module: maps to losses."""

import logging
from collections.abc import Callable
from dataclasses import asdict

import torch
import torch.distributed as dist
from torch import Tensor

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.checkpoints import shares_betas
from romp_core.errors import ConfigError
from romp_core.mesh_parameters import Bodies, MeshDecoder
from romp_core.network import Maps, RompNetwork
from romp_core.training import losses
from romp_core.training.batch import Batch
from romp_core.training.config import TrainingConfig
from romp_core.training.evidence import (
    COCO,
    coco_similarity_loss,
    heatmaps_loss,
    offsets_loss,
    refined_loss,
)
from romp_core.training.finite import FiniteLossModule
from romp_core.training.schedule import make_optimizer
from romp_core.training.targets import answering_cells, center_targets

_BODY_LOSSES = ("pose", "betas", "joints", "aligned_joints", "keypoints", "similarity", "prior")
_MINIMUM_BOX = 0.05  # of the picture's half side: distances within tinier people count no more
_NAMED_JOINTS = 3
_log = logging.getLogger(__name__)


class RompTraining(FiniteLossModule):
    """Learns the network's weights; everything after the maps is what inference uses.

    Betas are learnt only from samples whose betas belong to the training body (`shares_betas`);
    those of others are left out, with one warning per body. Pose and joints are learnt from all:
    where the bodies' skeletons differ, so do, by millimetres to centimetres, the joints that one
    pose gives, and the network learns what fits both best.

    Args:
        network: the network.
        body: the body that betas belong to.
        config: the run.
        prior: pose prior, (K, 69) axis-angle -> (K,); None leaves it out.
    """

    def __init__(
        self,
        network: RompNetwork,
        body: BodyModel,
        config: TrainingConfig,
        prior: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(config, asdict(config.losses))
        self.network = network.to(memory_format=torch.channels_last)
        self.decoder = MeshDecoder(body, root_align=config.root_align)
        self.prior = prior
        # Annotations come for the 71 joints; a body may have fewer.
        self._joints = [JOINTS_71.index(name) for name in body.joint_names]
        self._lacking = torch.tensor([name not in body.joint_names for name in JOINTS_71])
        self._body_id = body.id
        self._warned: set[str | None] = set()
        self._coco = body.joint_indices("coco17") if config.losses.similarity else []
        root = torch.zeros(len(body.joint_names), dtype=torch.bool)
        root[self.decoder.root_joint_indices] = True
        self.register_buffer("_root", root, persistent=False)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted losses by name of `LossWeights`, means over the people of all processes.

        Raises:
            ConfigError: people of a sample are labeled, but at no joint that the body has.
        """
        images = batch.images.float().to(memory_format=torch.channels_last)
        if self.network.lifting is not None:
            levels = self.network.pyramids(images)
            center_map = self.network.center_map(self.network.joined(levels))
            with torch.autocast(images.device.type, enabled=False):
                levels = [level.float() for level in levels]
                return self._lifted_losses(batch, center_map.float(), levels)
        maps = self.network.maps(self.network.features(images))
        with torch.autocast(images.device.type, enabled=False):  # bodies need full precision
            return self._losses_of_maps(batch, maps)

    def _losses_of_maps(self, batch: Batch, maps: Maps) -> dict[str, Tensor]:
        result, cells = self._center_loss(batch, maps.center_map.float())
        channels = maps.params_map.shape[1]
        params = maps.params_map.flatten(2).gather(2, cells[:, None].expand(-1, channels, -1))
        params = params.transpose(1, 2)[batch.valid].float()
        return result | self._people_losses(batch, self.decoder(params, with_vertices=False))

    def _lifted_losses(
        self, batch: Batch, center_map: Tensor, levels: list[Tensor]
    ) -> dict[str, Tensor]:
        """The same for parameters that are computed at people's cells only."""
        result, cells = self._center_loss(batch, center_map)
        result["heatmaps"] = _mean(*heatmaps_loss(batch, self.network, levels))
        labeled = batch.labeled[batch.valid].any(-1)
        offsets = offsets_loss(batch, self.network, levels, cells, _scales(batch))
        result["offsets"] = _mean(offsets * labeled, labeled)
        lifts = any(self.loss_weights[name] for name in _BODY_LOSSES)
        if not lifts and not self.loss_weights["refined"]:
            return result
        evidence = self.network.evidence(levels, cells)
        rounds = self.network.refinement.rounds(levels, evidence)
        result["refined"] = _mean(refined_loss(batch, rounds) * labeled, labeled)
        if not lifts:
            return result
        # Refinement learns from keypoints alone, as the layers before it do.
        refined = (values[batch.valid].detach() for values in rounds[-1])
        bodies = self.decoder(self.network.lifting(*refined), with_vertices=False)
        return result | self._people_losses(batch, bodies)

    def _center_loss(self, batch: Batch, center_map: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The center map's loss, and (B, N) the cells that answer for people."""
        size = center_map.shape[-1]
        heat, judged, centers, radii = center_targets(
            batch, size, self.config.car_gamma, self.config.center
        )
        focal, count = losses.center_focal_loss(center_map[:, 0], heat, judged)
        cells = answering_cells(center_map, centers, radii, 2 * centers.shape[1])
        return {"center": _mean(focal, count)}, cells

    def _people_losses(self, batch: Batch, bodies: Bodies) -> dict[str, Tensor]:
        self._check_joints(batch)
        valid = batch.valid

        def annotated(values: Tensor) -> Tensor:
            return values[valid][:, self._joints]

        has_pose, has_betas = batch.has_pose[valid], self._own_betas(batch)[valid]
        known, labeled = annotated(batch.has_joints), annotated(batch.labeled)
        joints, keypoints = annotated(batch.joints), annotated(batch.keypoints)
        # Hands are never predicted.
        rotations = losses.rotation_loss(bodies.rotations[:, :22], batch.rotations[valid][:, :22])
        parts = {
            "pose": (rotations, has_pose),
            "betas": (losses.betas_loss(bodies.betas, batch.betas[valid]), has_betas),
            "joints": (
                losses.joints_loss(bodies.joints, joints, known, self._root),
                known.any(-1),
            ),
            "aligned_joints": (
                losses.aligned_joints_loss(bodies.joints, joints, known),
                known.sum(-1) >= 4,
            ),
            "keypoints": (
                losses.keypoints_loss(
                    bodies.projected,
                    keypoints,
                    labeled,
                    _scales(batch) if self.config.keypoints_by_box else 1.0,
                ),
                labeled.any(-1),
            ),
        }
        if self._coco:
            labeled = batch.labeled[valid][:, COCO]
            cost = coco_similarity_loss(
                bodies.projected[:, self._coco],
                batch.keypoints[valid][:, COCO],
                labeled,
                batch.areas[valid],
            )
            parts["similarity"] = (cost, labeled.any(-1))
        if self.prior is not None:
            cost = self.prior(bodies.rotations)
            parts["prior"] = (cost, torch.ones_like(has_pose))
        return {name: _mean(value * mask, mask) for name, (value, mask) in parts.items()}

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

    def configure_optimizers(self) -> dict:
        """Adam or AdamW with the schedule's rates."""
        return make_optimizer(self.network, self.config.schedule)


def _scales(batch: Batch) -> Tensor:
    """(K,) sizes of the valid people, -1..1."""
    return (batch.diagonals[batch.valid] / 2).clamp(min=_MINIMUM_BOX)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Sum over sum of counts, so that averaging gradients over processes gives the true mean."""
    total = counts.sum().to(values.dtype)
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(total)
        total = total / dist.get_world_size()
    return values.sum() / total.clamp(min=1)
