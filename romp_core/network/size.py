"""How large people are: not to be told from 17 points, but from what features show around them.

Of two people whose keypoints are seen alike, a child stands nearer. Heads, hands and faces tell.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from romp_core.network.evidence import KEYPOINTS, WHOLE, Evidence, Part, keypoint_extent
from romp_core.network.layers import residual_layers, silent_linear
from romp_core.network.refinement import LOOKED_AT, look

_PLACES = KEYPOINTS + 1  # and their middle
_TOLD = 4 * KEYPOINTS + 3  # keypoints, confidences and depths; place and size in the picture


class SizeEstimate(nn.Module):
    """Says how large people are.

    Args:
        channels: where in the features what is, see `MobileNetPyramid.evidence_channels`.
        levels: number of features that are looked at, see `read_evidence`.
        token_width: numbers that are kept of what is seen at one keypoint.
        width: of the hidden layers.
        layers: number of residual layers.
    """

    def __init__(
        self,
        channels: Mapping[str, slice],
        levels: int = 1,
        token_width: int = 24,
        width: int = 128,
        layers: int = 2,
    ):
        super().__init__()
        self._slices = [channels[name] for name in LOOKED_AT]
        seen = levels * sum(part.stop - part.start for part in self._slices)
        self.norm = nn.LayerNorm(seen)
        self.forget = nn.Dropout(0.4)  # people who are learnt from are few
        self.token = nn.Linear(seen, token_width)
        self.input = nn.Linear(_PLACES * token_width + _TOLD, width)
        self.layers = residual_layers(width, layers)
        self.output = silent_linear(width, 1)

    def forward(self, levels: Sequence[Tensor], evidence: Evidence, part: Part = WHOLE) -> Evidence:
        """The same people's evidence, with their size.

        Args:
            levels: (B, C, H, W) features, then those of the picture at half its size if any.
            evidence: of N people in each picture, refined.
            part: of the squares that the features show.
        """
        return self.told(self.looks(levels, evidence.keypoints, part), evidence)

    def looks(self, levels: Sequence[Tensor], keypoints: Tensor, part: Part = WHOLE) -> Tensor:
        """(B, N, 18, F) what the features show at keypoints (B, N, 17, 2) and at their middle."""
        keypoints = keypoints.detach()
        places = torch.cat([keypoints, keypoints.mean(-2, keepdim=True)], -2)
        return look(levels, self._slices, part.from_square(places))

    def told(self, looks: Tensor, evidence: Evidence) -> Evidence:
        """Evidence of people (*) with the size that looks (*, 18, F) tell."""
        # Where people are is not to be learnt from how large they are.
        keypoints, confidence, depth, _ = (values.detach() for values in evidence)
        middle = keypoints.mean(-2, keepdim=True)
        extent = keypoint_extent(keypoints)
        centred = (keypoints - middle) / extent[..., None]
        tokens = self.token(self.forget(self.norm(looks)))
        parts = [tokens.flatten(-2), centred.flatten(-2), confidence, depth, middle.squeeze(-2)]
        hidden = self.input(torch.cat([*parts, extent.log()], -1))
        return evidence._replace(size=self.output(self.layers(hidden)).squeeze(-1))
