"""The Lightning module: maps to losses."""

from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor

from romp_core.body.model import BodyModel
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import Maps, RompNetwork
from romp_core.network.evidence import Evidence
from romp_core.training import losses
from romp_core.training.batch import Batch
from romp_core.training.body_losses import BodyLosses, mean_of, people_scales
from romp_core.training.config import TrainingConfig
from romp_core.training.evidence import COCO, heatmaps_loss, offsets_loss, refined_loss, size_loss
from romp_core.training.finite import FiniteLossModule
from romp_core.training.schedule import make_optimizer
from romp_core.training.targets import answering_cells, center_targets

_BODY_LOSSES = ("pose", "betas", "joints", "aligned_joints", "keypoints", "similarity", "prior")


class RompTraining(FiniteLossModule):
    """Learns the network's weights; everything after the maps is what inference uses.

    Args:
        network: the network.
        body: the body that betas belong to.
        config: the run.
        prior: pose prior, (K, 24, 3, 3) rotations -> (K,); None leaves it out.
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
        self.body_losses = BodyLosses(
            body,
            by_box=config.keypoints_by_box,
            similarity=config.losses.similarity > 0,
            prior=prior,
        )

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
        return result | self._people_losses(batch, params)

    def _lifted_losses(
        self, batch: Batch, center_map: Tensor, levels: list[Tensor]
    ) -> dict[str, Tensor]:
        """The same for parameters that are computed at people's cells only."""
        result, cells = self._center_loss(batch, center_map)
        result["heatmaps"] = mean_of(*heatmaps_loss(batch, self.network, levels))
        labeled = batch.labeled[batch.valid].any(-1)
        scales = people_scales(batch.diagonals[batch.valid])
        offsets = offsets_loss(batch, self.network, levels, cells, scales)
        result["offsets"] = mean_of(offsets * labeled, labeled)
        lifts = any(self.loss_weights[name] for name in _BODY_LOSSES)
        if not lifts and not self.loss_weights["refined"] and not self.loss_weights["size"]:
            return result
        evidence = self.network.evidence(levels, cells)
        rounds = self.network.refinement.rounds(levels, evidence)
        result["refined"] = mean_of(refined_loss(batch, rounds) * labeled, labeled)
        refined = self.network.size(levels, rounds[-1])
        refined = Evidence(*(values[batch.valid] for values in refined))
        points = batch.joints[batch.valid][:, COCO]
        known = batch.has_joints[batch.valid][:, COCO]
        result["size"] = mean_of(*size_loss(refined.size, points, known))
        if not lifts:
            return result
        # Refinement also learns which keypoints, confidences and depths make good bodies.
        return result | self._people_losses(batch, self.network.lifting(refined))

    def _people_losses(self, batch: Batch, params: Tensor) -> dict[str, Tensor]:
        bodies = self.decoder(params, with_vertices=False)
        return self.body_losses(bodies, self.body_losses.people(batch))

    def _center_loss(self, batch: Batch, center_map: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The center map's loss, and (B, N) the cells that answer for people."""
        size = center_map.shape[-1]
        heat, judged, centers, radii = center_targets(
            batch, size, self.config.car_gamma, self.config.center
        )
        focal, count = losses.center_focal_loss(center_map[:, 0], heat, judged)
        cells = answering_cells(center_map, centers, radii, 2 * centers.shape[1])
        return {"center": mean_of(focal, count)}, cells

    def configure_optimizers(self) -> dict:
        """Adam or AdamW with the schedule's rates."""
        return make_optimizer(self.network, self.config.schedule)
