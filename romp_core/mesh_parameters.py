"""From sampled mesh parameters to bodies: the stretch of road that inference and training share."""

import logging
from typing import NamedTuple

import torch
from torch import Tensor, nn

from romp_core.body.model import BodyModel
from romp_core.geometry.cameras import weak_perspective_project
from romp_core.geometry.rotations import rotation_6d_to_matrix
from romp_core.network.parameters import (
    BETAS_CHANNELS,
    CAMERA_CHANNELS,
    ROTATION_CHANNELS,
    SCALE_BASE,
)

logger = logging.getLogger(__name__)

RAW_SCALE_LIMIT = 60.0
"""Raw scales beyond +-60 (a body 0.3 % of the image's size, or 300 times it) are cut, so that
no weights can overflow what follows."""


class Bodies(NamedTuple):
    """K people in their own body frames, rotated as the camera sees them; metres.

    Attributes:
        camera: (K, 3) weak-perspective s, tx, ty.
        rotations: (K, 24, 3, 3), global orient first.
        betas: (K, 10).
        vertices: (K, V, 3), or None where they were not asked for.
        joints: (K, J, 3), in the body's order.
        projected: (K, J, 2) joints by the camera, -1..1 in the padded square.
    """

    camera: Tensor
    rotations: Tensor
    betas: Tensor
    vertices: Tensor | None
    joints: Tensor
    projected: Tensor


class MeshDecoder(nn.Module):
    """Evaluates the body for sampled parameters.

    Args:
        body: the body.
        root_align: subtract the body's root before projection; belongs to the weights.
        use_betas: false sets the betas to zero (weights of another body).

    Attributes:
        root_joint_indices: joints whose mean is the root.
    """

    def __init__(self, body: BodyModel, *, root_align: bool = True, use_betas: bool = True):
        super().__init__()
        self.body = body
        self.root_align = root_align
        self.use_betas = use_betas
        self.root_joint_indices = root_joints(body)
        # On the body's device: a list would have to be brought there for every person.
        self.register_buffer("_roots", torch.tensor(self.root_joint_indices), persistent=False)

    def forward(self, params: Tensor, *, with_vertices: bool = True) -> Bodies:
        """Bodies of K people.

        Args:
            params: (K, 145) camera (raw scale, tx, ty), 22 rotations in 6D, 10 betas.
            with_vertices: false leaves the mesh out.
        """
        raw_camera, sixes, betas = params.split(
            [CAMERA_CHANNELS, ROTATION_CHANNELS, BETAS_CHANNELS], dim=1
        )
        raw_scale, offset = raw_camera.split([1, 2], dim=1)
        scale = SCALE_BASE ** raw_scale.clamp(-RAW_SCALE_LIMIT, RAW_SCALE_LIMIT)
        camera = torch.cat([scale, offset], 1)
        rotations = rotation_6d_to_matrix(sixes.unflatten(1, (-1, 6)))
        # The network does not see hands: SMPL's last two joints stay at rest.
        hands = torch.eye(3, dtype=params.dtype, device=params.device).expand(len(params), 2, 3, 3)
        rotations = torch.cat([rotations, hands], 1)
        if not self.use_betas:
            betas = torch.zeros_like(betas)
        vertices, joints = self.body(rotations, betas, with_vertices=with_vertices)
        aligned = joints - self.root(joints) if self.root_align else joints
        projected = weak_perspective_project(aligned, camera)
        return Bodies(camera, rotations, betas, vertices, joints, projected)

    def root(self, joints: Tensor) -> Tensor:
        """(K, 1, 3) middle of the hips of (K, J, 3) joints."""
        return joints[:, self._roots].mean(1, keepdim=True)


def root_joints(body: BodyModel) -> list[int]:
    """The hips whose middle is the root: joints 45 and 46 of the published 71."""
    names = ("right_hip_lsp", "left_hip_lsp")
    if not set(names) <= set(body.joint_names):
        names = ("right_hip", "left_hip")
        logger.info("body %s has no LSP hips: SMPL's hip joints are its root", body.name)
    return body.joint_indices(names)
