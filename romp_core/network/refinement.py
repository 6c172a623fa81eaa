"""Keypoints of a person moved by what the features show at all of them at once."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from romp_core.network.evidence import KEYPOINTS, Evidence, keypoint_extent
from romp_core.network.layers import residual_layers, silent_linear

ROUNDS = 2
_LOOKED_AT = ("wide", "narrow", "keypoint_heatmaps")
_EMBEDDED = 48  # numbers per keypoint
_MARGIN = 1e-3  # of confidences, whose logits stay finite


class KeypointRefinement(nn.Module):
    """Corrects a person's keypoints, says how sure and how deep they are, in rounds of same layers.

    Offsets say whose a keypoint is, heatmaps where one like it is seen; what neither can tell, left
    from right or where hidden limbs are, is seen from the whole person.

    Args:
        channels: where in the features what is, see `MobileNetPyramid.evidence_channels`.
        width: of the hidden layers.
        layers: number of residual layers.
    """

    def __init__(self, channels: Mapping[str, slice], width: int = 256, layers: int = 2):
        super().__init__()
        self._slices = [channels[name] for name in _LOOKED_AT]
        looks = sum(part.stop - part.start for part in self._slices)
        self.embedding = nn.Sequential(nn.Linear(looks, _EMBEDDED), nn.ReLU())
        self.input = nn.Linear(KEYPOINTS * (_EMBEDDED + 4), width)
        self.layers = residual_layers(width, layers)
        self.output = silent_linear(width, 4 * KEYPOINTS)

    def forward(self, features: Tensor, evidence: Evidence) -> Evidence:
        """Better evidence of the same people.

        Args:
            features: (B, C, H, W).
            evidence: of N people in each picture.
        """
        return self.rounds(features, evidence)[-1]

    def rounds(self, features: Tensor, evidence: Evidence) -> list[Evidence]:
        """The evidence after each round."""
        results = []
        for _ in range(ROUNDS):
            evidence = self._round(features, evidence)
            results.append(evidence)
        return results

    def _round(self, features: Tensor, evidence: Evidence) -> Evidence:
        # Where a round looks is given to it; only how it looks is learnt.
        keypoints = evidence.keypoints.detach()
        # All channels at few places: choosing some first would copy whole maps.
        seen = grid_sample(features, keypoints, padding_mode="zeros", align_corners=False)
        seen = torch.cat([seen[:, part] for part in self._slices], 1)
        embedded = self.embedding(seen.permute(0, 2, 3, 1)).flatten(2)
        extent = keypoint_extent(keypoints)[..., None]
        centred = (keypoints - keypoints.mean(-2, keepdim=True)) / extent
        confidence, depth = evidence.confidence.detach(), evidence.depth.detach()
        told = torch.cat([embedded, centred.flatten(-2), confidence, depth], -1)
        change = self.output(self.layers(self.input(told))).unflatten(-1, (KEYPOINTS, 4))
        logits = confidence.clamp(_MARGIN, 1 - _MARGIN).logit() + change[..., 2]
        return Evidence(
            keypoints + extent * change[..., :2], logits.sigmoid(), depth + change[..., 3]
        )
