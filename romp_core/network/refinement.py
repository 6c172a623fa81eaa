"""Keypoints of a person moved by what the features show at all of them at once."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, pad

from romp_core.network.evidence import KEYPOINTS, WHOLE, Evidence, Part, keypoint_extent
from romp_core.network.layers import MixerLayer, silent_linear

ROUNDS = 2
LOOKED_AT = ("wide", "narrow", "keypoint_heatmaps")
"""What of the features layers look at that work on people."""

_TOLD = 6  # numbers beside what is looked at: place among the others and in the picture, ...
_MARGIN = 1e-3  # of confidences, whose logits stay finite


class KeypointRefinement(nn.Module):
    """Corrects a person's keypoints, says how sure and how deep they are, in rounds of same layers.

    Offsets say whose a keypoint is, heatmaps where one like it is seen; what neither can tell, left
    from right or where hidden limbs are, is seen from the whole person: the keypoints and, as one
    more token, their middle.

    Args:
        channels: where in the features what is, see `MobileNetPyramid.evidence_channels`.
        levels: number of features that are looked at, see `read_evidence`.
        width: numbers per token.
        layers: number of layers.
    """

    def __init__(
        self, channels: Mapping[str, slice], levels: int = 1, width: int = 96, layers: int = 3
    ):
        super().__init__()
        self._slices = [channels[name] for name in LOOKED_AT]
        looks = levels * sum(part.stop - part.start for part in self._slices)
        tokens = KEYPOINTS + 1
        self.input = nn.Linear(looks + _TOLD, width)
        self.names = nn.Parameter(torch.zeros(tokens, width))  # which token is which keypoint
        self.layers = nn.Sequential(*(MixerLayer(tokens, width) for _ in range(layers)))
        self.output = silent_linear(width, 4)

    def forward(self, levels: Sequence[Tensor], evidence: Evidence, part: Part = WHOLE) -> Evidence:
        """Better evidence of the same people.

        Args:
            levels: (B, C, H, W) features, then those of the picture at half its size if any.
            evidence: of N people in each picture.
            part: of the squares that the features show.
        """
        return self.rounds(levels, evidence, part)[-1]

    def rounds(
        self, levels: Sequence[Tensor], evidence: Evidence, part: Part = WHOLE
    ) -> list[Evidence]:
        """The evidence after each round."""
        results = []
        for _ in range(ROUNDS):
            evidence = self._round(levels, evidence, part)
            results.append(evidence)
        return results

    def _round(self, levels: Sequence[Tensor], evidence: Evidence, part: Part) -> Evidence:
        # Where a round looks is given to it; only how it looks is learnt.
        keypoints = evidence.keypoints.detach()
        extent = keypoint_extent(keypoints)[..., None]
        middle = keypoints.mean(-2, keepdim=True)
        confidence, depth = evidence.confidence.detach(), evidence.depth.detach()
        logits = confidence.clamp(_MARGIN, 1 - _MARGIN).logit()
        places = torch.cat([keypoints, middle], -2)
        told = torch.cat([logits / 4, depth], -1).unflatten(-1, (2, KEYPOINTS)).transpose(-1, -2)
        told = pad(told, (0, 0, 0, 1))  # nothing is told of the middle
        centred = (places - middle) / extent
        looks = look(levels, self._slices, part.from_square(places))
        tokens = torch.cat([looks, centred, places, told], -1)
        change = self.output(self.layers(self.input(tokens) + self.names))[..., :KEYPOINTS, :]
        return evidence._replace(
            keypoints=keypoints + extent * change[..., :2],
            confidence=(logits + change[..., 2]).sigmoid(),
            depth=depth + change[..., 3],
        )


def look(levels: Sequence[Tensor], channels: Sequence[slice], places: Tensor) -> Tensor:
    """(B, N, P, F) what channels of the features show at places (B, N, P, 2) in their part."""
    seen = []
    for level in levels:
        # All channels at few places: choosing some first would copy whole maps.
        found = grid_sample(level, places, padding_mode="zeros", align_corners=False)
        seen += [found[:, part] for part in channels]
    return torch.cat(seen, 1).permute(0, 2, 3, 1)
