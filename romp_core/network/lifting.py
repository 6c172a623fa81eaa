"""From 2D keypoints to bodies, cell by cell.

A backbone that already says where a person's keypoints are, seen from the person's center, has
solved what differs between photographs and rendered pictures. What remains, 17 points in the
plane to a posed body and its camera, can be learnt from recorded poses alone, without a picture.
"""

import math

import torch
from torch import Tensor, nn

from romp_core.network.evidence import KEYPOINTS, Evidence, keypoint_extent
from romp_core.network.layers import residual_layers, silent_linear
from romp_core.network.parameters import (
    BETAS_CHANNELS,
    CAMERA_CHANNELS,
    PARAMETER_CHANNELS,
    ROTATION_CHANNELS,
    SCALE_BASE,
)
from romp_core.network.skeleton import Skeleton

BODY_EXTENT = 0.45
"""Root mean square distance in metres of an upright person's keypoints from their mean."""

ROUNDS = 2
_FARTHEST = 3.0
"""Extents of a person by which a keypoint is missed at most, as far as layers are told."""

_LOG_SCALE_LIMIT = 30.0


class KeypointLifting(nn.Module):
    """Mesh parameters out of keypoints: a first guess, then corrections of it.

    Before each correction the guess' own skeleton is projected, and the layers are told by how
    much it misses the keypoints: learned gradient descent (Song et al., ECCV 2020) with residuals
    in the place of gradients.

    Place and size are taken out before and put back into the camera after the layers, so that
    what is learnt holds for people of any size anywhere in a picture of any size.

    Args:
        width: of the hidden layers.
        layers: number of residual layers of the guess.
        correction_layers: the same of the correction, which is the same in every round.
    """

    def __init__(self, width: int = 256, layers: int = 3, correction_layers: int = 2):
        super().__init__()
        self.input = nn.Linear(4 * KEYPOINTS + 3, width)
        self.layers = residual_layers(width, layers)
        self.output = silent_linear(width, PARAMETER_CHANNELS)
        self.skeleton = Skeleton()
        self.feedback = nn.Linear(4 * KEYPOINTS + PARAMETER_CHANNELS, width)
        self.correction_layers = residual_layers(width, correction_layers)
        self.correction = silent_linear(width, PARAMETER_CHANNELS)

    def forward(self, evidence: Evidence) -> Tensor:
        """Parameters of people.

        Args:
            evidence: of people (*) instead of (B, N).

        Returns:
            (*, 145): camera (raw scale, tx, ty) first.
        """
        return self.rounds(evidence)[-1]

    def rounds(self, evidence: Evidence) -> list[Tensor]:
        """The first guess, and what it is after each correction; as in `forward`."""
        leading = evidence.size.shape
        keypoints = evidence.keypoints.flatten(0, -3)
        confidence, depth = evidence.confidence.flatten(0, -2), evidence.depth.flatten(0, -2)
        middle = keypoints.mean(-2, keepdim=True)
        extent = keypoint_extent(keypoints)
        centred = (keypoints - middle) / extent[..., None]
        middle = middle.squeeze(-2)
        # Perspective makes the place matter, though little.
        told = [centred.flatten(-2), confidence, middle, depth, evidence.size.reshape(-1, 1)]
        hidden = self.input(torch.cat(told, -1))
        lifted = self.output(self.layers(hidden))
        guesses = [lifted]
        for _ in range(ROUNDS):
            lifted = lifted + self._correction(lifted, hidden, centred, confidence)
            guesses.append(lifted)
        zoom = (extent / BODY_EXTENT).log() / math.log(SCALE_BASE)
        return [
            torch.cat(
                [guess[..., :1] + zoom, middle + extent * guess[..., 1:3], guess[..., 3:]], -1
            ).unflatten(0, leading)
            for guess in guesses
        ]

    def _correction(
        self, lifted: Tensor, hidden: Tensor, centred: Tensor, confidence: Tensor
    ) -> Tensor:
        camera, rotations, betas = lifted.split(
            [CAMERA_CHANNELS, ROTATION_CHANNELS, BETAS_CHANNELS], -1
        )
        log_scale = camera[:, :1] * math.log(SCALE_BASE)
        scale = log_scale.clamp(-_LOG_SCALE_LIMIT, _LOG_SCALE_LIMIT).exp() / BODY_EXTENT
        points = self.skeleton(rotations, betas)[..., :2]
        seen = scale[..., None] * points + camera[:, None, 1:]
        missed = (centred - seen).clamp(-_FARTHEST, _FARTHEST)
        believed = missed * confidence[..., None]
        told = torch.cat([missed.flatten(1), believed.flatten(1), lifted], 1)
        return self.correction(self.correction_layers(hidden + self.feedback(told)))
