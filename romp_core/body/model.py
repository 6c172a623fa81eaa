"""The batched SMPL layer: pose and betas to vertices and joints."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from romp_core import compiled
from romp_core.body.data import NUM_BETAS, NUM_JOINTS, NUM_POSE_FEATURES, BodyData
from romp_core.body.files import read_body
from romp_core.body.joints import JOINT_SETS, SMPL_JOINTS
from romp_core.body.kinematics import KinematicTree
from romp_core.body.products import FixedProduct
from romp_core.errors import BodyFileError
from romp_core.geometry.rotations import axis_angle_to_matrix, rotation_6d_to_matrix

OPEN_BODY = Path(__file__).parents[1] / "assets" / "open_body.npz"


class BodyOutput(NamedTuple):
    """What the layer gives: metres, body frame.

    Attributes:
        vertices: (B, V, 3), or None when they were not asked for.
        joints: (B, 24 + L, 3), in the order of `BodyModel.joint_names`.
    """

    vertices: Tensor | None
    joints: Tensor


class _SkinnedPoints(nn.Module):
    """Points that follow the joints, N of them: all vertices, or a few and the joints themselves.

    Args:
        template: (N, 3) where they are in the rest pose.
        shapedirs: (N, 3, 10) what each beta adds.
        posedirs: (207, N, 3) what each pose feature adds.
        weights: (N, 24) how much they follow each joint.
    """

    def __init__(
        self,
        template: np.ndarray,
        shapedirs: np.ndarray,
        posedirs: np.ndarray,
        weights: np.ndarray,
    ) -> None:
        super().__init__()
        # Stored coordinate by coordinate (3, N): one matrix product then serves all
        # displacements, another all skinning transforms, without strided access.
        self.count = len(template)
        resting = template.T.ravel()
        directions = shapedirs.transpose(2, 1, 0).reshape(NUM_BETAS, -1)
        self.uses_pose = bool(posedirs.any())
        if self.uses_pose:
            posedirs = posedirs.transpose(0, 2, 1).reshape(NUM_POSE_FEATURES, -1)
            directions = np.concatenate([directions, posedirs])
            # What displaces is a rotation's difference from the identity: taken off once, here.
            identities = np.tile(np.eye(3).ravel(), NUM_JOINTS - 1)
            resting = resting - identities @ posedirs
        self.displaced = FixedProduct(_float32(directions), _float32(resting))
        self.blended = FixedProduct(_float32(weights.T))
        self.influences = compiled.Influences(weights)

    def displace(self, betas: Tensor, rotations: Tensor) -> Tensor:
        """The points in the rest pose as shape and pose displace them.

        Args:
            betas: (B, 10).
            rotations: (B, 216) matrices of the joints relative to their parents.

        Returns:
            (B, 3, N).
        """
        coefficients = torch.cat([betas, rotations[:, 9:]], 1) if self.uses_pose else betas
        return self.displaced(coefficients).view(len(betas), 3, self.count)

    def skin(self, resting: Tensor, transforms: Tensor) -> Tensor:
        """(B, N, 3) posed points out of (B, 3, N) resting ones and transforms (B, 24, 4, 4)."""
        if compiled.applies_to(resting):
            return compiled.skin(resting, transforms, self.influences)
        x, y, z = resting.unbind(1)
        # Dense although most weights are zero: for torch, gathering four transforms per point
        # takes ten times as long on a CPU. Rows first: sums over the first axis are fast.
        columns = transforms[..., :3].permute(2, 3, 0, 1)
        blended = self.blended(columns.reshape(-1, NUM_JOINTS))
        blended = blended.view(*columns.shape[:3], self.count)
        posed = torch.addcmul(blended[3], blended[0], x)
        posed = posed.addcmul_(blended[1], y).addcmul_(blended[2], z)
        return posed.permute(1, 2, 0).contiguous()


class BodyModel(nn.Module):
    """A body in SMPL's form as a differentiable layer (Loper et al., SMPL, 2015).

    It has nothing to learn: its arrays are buffers outside the state dict. `.to(device)` and
    `.double()` work as for any module.

    Args:
        data: The body; see `read_body`.

    Attributes:
        name: The body's name.
        id: Name and content hash.
        faces: (F, 3) int32 ndarray, triangles.
        joint_names: 24 SMPL joints, then the body's landmarks, in the order of `JOINTS_71`.
        parents: 24 parent indices, -1 for the root.
    """

    def __init__(self, data: BodyData) -> None:
        super().__init__()
        self.name = data.name
        self.id = data.id
        self.faces = data.faces
        self.joint_names = SMPL_JOINTS + data.landmark_names
        self.parents = tuple(int(parent) for parent in data.parents)
        self.tree = KinematicTree(self.parents)
        self._parents = np.array(self.parents, np.int64)
        posedirs = data.posedirs.reshape(NUM_POSE_FEATURES, -1, 3)
        self.mesh = _SkinnedPoints(data.v_template, data.shapedirs, posedirs, data.weights)
        # Joints are linear in betas: regressed once here, never from the shaped mesh. As points
        # that follow only themselves they go along with the vertices that landmarks need.
        regressor = data.J_regressor.astype(np.float64)
        touched = np.flatnonzero(data.landmark_regressor.any(axis=0))
        self.key_points = _SkinnedPoints(
            np.concatenate([regressor @ data.v_template, data.v_template[touched]]),
            np.concatenate(
                [np.einsum("jv,vcb->jcb", regressor, data.shapedirs), data.shapedirs[touched]]
            ),
            np.pad(posedirs[:, touched], ((0, 0), (NUM_JOINTS, 0), (0, 0))),
            np.concatenate([np.eye(NUM_JOINTS), data.weights[touched]]),
        )
        joints_of_points = np.zeros((len(self.joint_names), self.key_points.count))
        joints_of_points[:NUM_JOINTS, :NUM_JOINTS] = np.eye(NUM_JOINTS)
        joints_of_points[NUM_JOINTS:, NUM_JOINTS:] = data.landmark_regressor[:, touched]
        self.register_buffer("joints_of_points", _float32(joints_of_points), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where its arrays are."""
        return self.joints_of_points.device

    @property
    def joints_template(self) -> Tensor:
        """(24, 3) joints of the mean shape in the rest pose, metres."""
        return self.key_points.displaced.offset.view(3, -1)[:, :NUM_JOINTS].T

    @property
    def joints_shapedirs(self) -> Tensor:
        """(10, 24, 3) what each beta adds to them."""
        directions = self.key_points.displaced.matrix[:NUM_BETAS]
        return directions.view(NUM_BETAS, 3, -1)[..., :NUM_JOINTS].mT

    @classmethod
    def load(cls, source: str | Path) -> "BodyModel":
        """Load a body.

        Args:
            source: "open" for the body that comes with this package, or a file for `read_body`.

        Raises:
            FileNotFoundError: There is no such file.
            BodyFileError: The file does not hold an SMPL body.
        """
        return cls(read_body(OPEN_BODY if source == "open" else source))

    def forward(self, pose: Tensor, betas: Tensor, *, with_vertices: bool = True) -> BodyOutput:
        """Vertices and joints of B people, root joint where the shape puts it (no translation).

        The time does not depend on the number of joints in a chain, and on a GPU hardly on B.
        Computed in the layer's own precision, also under autocast.

        Args:
            pose: Global orient first: (B, 72) or (B, 24, 3) axis-angle in radians,
                (B, 24, 3, 3) rotation matrices, or (B, 24, 6) in ROMP's 6D form.
            betas: (B, 10) shape coefficients.
            with_vertices: False computes the joints only, from the few vertices they need;
                the joints are the same to the last bit.

        Returns:
            Vertices (B, V, 3) or None, and joints (B, 24 + L, 3), metres.

        Raises:
            ValueError: Another shape of pose or betas.
        """
        if torch.is_autocast_enabled(pose.device.type):
            with torch.autocast(pose.device.type, enabled=False):  # bfloat16 costs millimetres
                return self(pose, betas, with_vertices=with_vertices)
        dtype = self.joints_of_points.dtype
        rotations, betas = _rotation_matrices(pose.to(dtype)), betas.to(dtype)
        if betas.shape != (len(rotations), NUM_BETAS):
            raise ValueError(
                f"betas have shape {tuple(betas.shape)}; expected "
                f"({len(rotations)}, {NUM_BETAS}) for poses of {len(rotations)} people"
            )
        matrices = rotations.flatten(1)
        points = self.key_points.displace(betas, matrices)
        transforms = self._transforms(rotations, points)
        joints = self._joints(self.key_points.skin(points, transforms))
        vertices = None
        if with_vertices:
            vertices = self.mesh.skin(self.mesh.displace(betas, matrices), transforms)
        return BodyOutput(vertices, joints)

    def joint_indices(self, names: str | Sequence[str]) -> list[int]:
        """Where joints are in `joint_names`.

        Args:
            names: A joint set of `joints.JOINT_SETS`, for example "coco17", or joint names.

        Returns:
            One index per name: `joints[:, body.joint_indices("coco17")]`.

        Raises:
            ValueError: An unknown set.
            BodyFileError: Joints that this body lacks, by name.
        """
        if isinstance(names, str):
            if names not in JOINT_SETS:
                raise ValueError(
                    f"unknown joint set {names!r}; expected one of {', '.join(JOINT_SETS)}"
                )
            names = JOINT_SETS[names]
        missing = [name for name in names if name not in self.joint_names]
        if missing:
            raise BodyFileError(
                f"body {self.name} has no {', '.join(missing)}: expected a body with all 71 "
                f"joints, this one has {len(self.joint_names)}. Give the open body or the packed "
                "SMPL_NEUTRAL.pth of the published ROMP, not SMPL's official file"
            )
        return [self.joint_names.index(name) for name in names]

    def _joints(self, points: Tensor) -> Tensor:
        """(B, 24 + L, 3) out of (B, N, 3) posed key points."""
        if compiled.applies_to(points):
            # Torch's products of such a size cost twice as much.
            return torch.from_numpy(self.joints_of_points.numpy() @ points.numpy())
        return (points.mT @ self.joints_of_points.T).mT.contiguous()

    def _transforms(self, rotations: Tensor, points: Tensor) -> Tensor:
        """(B, 24, 4, 4) from the rest pose to the posed body, columns first.

        Args:
            rotations: (B, 24, 3, 3), each joint relative to its parent.
            points: (B, 3, N) of which the first 24 are the joints in the rest pose.
        """
        if compiled.applies_to(points):
            return compiled.compose(self._parents, rotations, points)
        rotations, rest = rotations.permute(2, 3, 1, 0), points[..., :NUM_JOINTS].permute(1, 2, 0)
        rotations = rotations.contiguous()
        # A joint alone turns the body about where it rests, and so do its ancestors. Written out:
        # products of many small matrices with vectors are slow.
        transforms = self.tree.compose(rotations, rest - (rotations * rest).sum(1))
        return pad(transforms, (0, 0, 0, 0, 0, 0, 0, 1)).permute(3, 2, 1, 0)


def _float32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _rotation_matrices(pose: Tensor) -> Tensor:
    """Rotation matrices (B, 24, 3, 3) of a pose in any of the accepted forms."""
    shape = tuple(pose.shape[1:])
    if shape in ((3 * NUM_JOINTS,), (NUM_JOINTS, 3)):
        return axis_angle_to_matrix(pose.reshape(-1, NUM_JOINTS, 3))
    if shape == (NUM_JOINTS, 6):
        return rotation_6d_to_matrix(pose)
    if shape == (NUM_JOINTS, 3, 3):
        return pose
    raise ValueError(
        f"pose has shape {tuple(pose.shape)}; expected (B, 72) or (B, 24, 3) axis-angle, "
        "(B, 24, 3, 3) matrices or (B, 24, 6) in 6D form"
    )
