"""A skeleton inside of the network: what of a body 2D keypoints can tell.

It lets layers see where their own guess would be seen. Only the differences between keypoints
matter, so it need not be the very body that later shows the result.
"""

import torch
from torch import Tensor, nn

from romp_core.body.joints import JOINT_SETS, SMPL_JOINTS, SMPL_PARENTS
from romp_core.body.kinematics import KinematicTree, parent_differences
from romp_core.body.model import BodyModel
from romp_core.geometry.rotations import rotation_6d_to_matrix

KEYPOINTS = JOINT_SETS["coco17"]
_CARRIERS = {"nose": "head", "eye": "head", "ear": "head", "hip_lsp": "pelvis"}
"""Joints that carry those keypoints which are no joints; with the open body the hips move against
the pelvis by 2 mm on average, the others not at all."""

_JOINTS, _BETAS = len(SMPL_JOINTS), 10
_HANDS = 2  # SMPL's last joints, which networks do not see


def _carrier(keypoint: str) -> int:
    name = keypoint.removeprefix("left_").removeprefix("right_")
    return SMPL_JOINTS.index(_CARRIERS.get(name, keypoint))


class Skeleton(nn.Module):
    """COCO's 17 keypoints on SMPL's 24 joints. Its lengths belong to the network's weights."""

    def __init__(self):
        super().__init__()
        numbers = 3 * (_JOINTS + len(KEYPOINTS))
        self.register_buffer("template", torch.zeros(numbers))
        self.register_buffer("shapedirs", torch.zeros(_BETAS, numbers))
        carriers = torch.tensor([_carrier(name) for name in KEYPOINTS])
        self.register_buffer("_carriers", carriers, persistent=False)
        self.tree = KinematicTree(SMPL_PARENTS)

    @torch.no_grad()
    def measure(self, body: BodyModel) -> None:
        """Take over a body's lengths.

        Args:
            body: with COCO's keypoints.

        Raises:
            ValueError: it lacks some.
        """
        shapes = torch.cat([torch.zeros(1, _BETAS), torch.eye(_BETAS)]).to(self.template)
        pose = shapes.new_zeros(len(shapes), 3 * _JOINTS)
        rest = body(pose, shapes, with_vertices=False).joints
        joints, keypoints = rest[:, :_JOINTS], rest[:, body.joint_indices(KEYPOINTS)]
        differences = torch.from_numpy(parent_differences(SMPL_PARENTS)).to(joints)
        offsets = [differences @ joints, keypoints - joints[:, self._carriers]]
        numbers = torch.cat(offsets, 1).flatten(1)
        self.template.copy_(numbers[0])
        self.shapedirs.copy_(numbers[1:] - numbers[0])

    def forward(self, rotations_6d: Tensor, betas: Tensor) -> Tensor:
        """Keypoints from the middle of the hips.

        Args:
            rotations_6d: (N, 22 * 6), global orient first.
            betas: (N, 10).

        Returns:
            (N, 17, 3) metres, COCO's order.
        """
        rotations = rotation_6d_to_matrix(rotations_6d.reshape(-1, _JOINTS - _HANDS, 6))
        hands = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        rotations = torch.cat([rotations, hands.expand_as(rotations[:, :_HANDS])], 1)
        lengths = torch.addmm(self.template, betas, self.shapedirs).view(
            -1, _JOINTS + len(KEYPOINTS), 3
        )
        offsets, arms = lengths[:, :_JOINTS], lengths[:, _JOINTS:]
        rotations, joints = self.tree(rotations, offsets)
        # Written out: products of many small matrices with vectors are slow.
        turned = (rotations[:, self._carriers] * arms[..., None, :]).sum(-1)
        keypoints = joints[:, self._carriers] + turned
        return keypoints - keypoints[:, _HIPS].mean(1, keepdim=True)


_HIPS = slice(KEYPOINTS.index("left_hip_lsp"), KEYPOINTS.index("right_hip_lsp") + 1)
