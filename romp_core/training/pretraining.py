"""Pretraining of the backbone: what pixels show, before who stands where.

Joint heatmaps and associative embedding as HigherHRNet (paper, section 4.1); synthetic pictures
add body parts, depth and normals, which teach at every pixel instead of once per person.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from romp_core.body.joints import JOINT_SETS, JOINTS_71, SMPL_JOINTS
from romp_core.center_map import encode
from romp_core.network import RompNetwork
from romp_core.training.batch import UNJUDGED_PART, Batch, to_cells
from romp_core.training.config import TrainingConfig
from romp_core.training.finite import FiniteLossModule
from romp_core.training.schedule import make_optimizer

JOINTS = [JOINTS_71.index(name) for name in JOINT_SETS["coco17"]]
PARTS = 1 + len(SMPL_JOINTS)
HEATMAP_RADIUS = 5.5  # cells; sigma (2k + 1) / 6 = 2, HigherHRNet's
WEIGHTS = {
    "heatmaps": 1000.0,
    "pull": 1.0,
    "push": 1.0,
    "parts": 10.0,
    "depth": 10.0,
    "normals": 10.0,
}
_CHANNELS = {"heatmaps": len(JOINTS), "tags": len(JOINTS), "parts": PARTS, "depth": 1, "normals": 3}


class Pretraining(FiniteLossModule):
    """Learns a backbone; the network's heads stay as they are.

    Args:
        network: the network whose backbone learns.
        config: the run.
    """

    def __init__(self, network: RompNetwork, config: TrainingConfig):
        super().__init__(config, WEIGHTS)
        self.network = network.to(memory_format=torch.channels_last).requires_grad_(False)
        network.backbone.requires_grad_(True)
        channels = network.backbone.out_channels
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(channels, count, 1) for name, count in _CHANNELS.items()}
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted losses by name."""
        images = batch.images.float().to(memory_format=torch.channels_last)
        network = self.network
        features = network.backbone((images - network.pixel_mean) / network.pixel_std)
        maps = {name: head(features).float() for name, head in self.heads.items()}
        with torch.autocast(images.device.type, enabled=False):
            return self._joint_losses(batch, maps) | _dense_losses(batch, maps)

    def _joint_losses(self, batch: Batch, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        size = maps["heatmaps"].shape[-1]
        cells = to_cells(batch.keypoints[:, :, JOINTS], size)
        labeled = batch.labeled[:, :, JOINTS]
        radii = torch.full(labeled.shape, HEATMAP_RADIUS, device=cells.device)
        # Per joint, over people: (B, J, N, ...).
        target = encode(
            cells.transpose(1, 2), radii.transpose(1, 2), labeled.transpose(1, 2), (size, size)
        )
        pull, push = associative_embedding(maps["tags"], cells, labeled)
        # What a data set never labels, and who is in an ignored box, may be anywhere.
        judged = batch.annotated[:, JOINTS, None, None] & batch.judged(size)[:, None]
        missed = (maps["heatmaps"] - target).square() * judged
        heatmaps = missed.sum() / judged.sum().clamp(min=1)
        return {"heatmaps": heatmaps, "pull": pull, "push": push}

    def configure_optimizers(self) -> dict:
        """The schedule's optimizer, over the backbone and the pretraining heads."""
        return make_optimizer(self.network, self.config.schedule, extra=self.heads)


def associative_embedding(tags: Tensor, cells: Tensor, labeled: Tensor) -> tuple[Tensor, Tensor]:
    """Losses that give all joints of one person one tag and other people other tags.

    Newell et al., NIPS 2017: joints are pulled to their person's mean tag, means of one
    picture's people are pushed apart.

    Args:
        tags: (B, J, h, w) predicted.
        cells: (B, N, J, 2) where the joints are, in cells.
        labeled: (B, N, J) bool.

    Returns:
        Pull and push, scalars.
    """
    height, width = tags.shape[-2:]
    x = cells[..., 0].round().long().clamp(0, width - 1)
    y = cells[..., 1].round().long().clamp(0, height - 1)
    found = tags.flatten(2).gather(2, (y * width + x).transpose(1, 2)).transpose(1, 2)
    count = labeled.sum(-1)
    mean = (found * labeled).sum(-1) / count.clamp(min=1)
    spread = ((found - mean[..., None]).square() * labeled).sum(-1) / count.clamp(min=1)
    present = count > 0
    pull = spread.sum() / present.sum().clamp(min=1)
    pairs = present[:, :, None] & present[:, None]
    pairs &= ~torch.eye(pairs.shape[-1], dtype=torch.bool, device=pairs.device)
    closeness = torch.exp(-(mean[:, :, None] - mean[:, None]).square())
    push = (closeness * pairs).sum() / pairs.sum().clamp(min=1)
    return pull, push


def _dense_losses(batch: Batch, maps: dict[str, Tensor]) -> dict[str, Tensor]:
    """Losses of parts, depth and normals; none where no picture of the batch has them."""
    if not batch.has_dense.any():
        return {}
    parts = cross_entropy(
        maps["parts"], batch.parts, ignore_index=UNJUDGED_PART, reduction="sum"
    ) / (batch.parts != UNJUDGED_PART).sum().clamp(min=1)
    on_people = (batch.parts > 0) & (batch.parts != UNJUDGED_PART) & (batch.depth > 0)
    judged = on_people.sum().clamp(min=1)
    # The scale of a scene is not to be seen in one picture, so depth is learnt as its logarithm.
    depth = (maps["depth"][:, 0] - batch.depth.clamp(min=0.1).log()).abs()
    normals = 1 - cosine_similarity(maps["normals"], batch.normals, dim=1)
    return {
        "parts": parts,
        "depth": (depth * on_people).sum() / judged,
        "normals": (normals * on_people).sum() / judged,
    }
