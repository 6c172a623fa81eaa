"""The batched SMPL layer: pose and betas to vertices and joints."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from romp_core.body.data import NUM_BETAS, NUM_JOINTS, NUM_POSE_FEATURES, BodyData
from romp_core.body.files import read_body
from romp_core.body.joints import JOINT_SETS, SMPL_JOINTS
from romp_core.body.kinematics import KinematicTree, parent_differences
from romp_core.body.products import FixedProduct
from romp_core.geometry.rotations import axis_angle_to_matrix, rotation_6d_to_matrix

_PEOPLE_IN_CACHE = 16
"""So many people's blended transforms, 330 kB each, stay in a server CPU's cache."""

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
    """Mesh points that follow the joints: all vertices, or a few of them."""

    def __init__(self, data: BodyData, points: np.ndarray) -> None:
        super().__init__()
        self.uses_pose = bool(data.posedirs.any())
        # Stored coordinate by coordinate (3, N): one matrix product then serves all
        # displacements, another all skinning transforms, without strided access.
        self.count = len(points)
        directions = data.shapedirs[points].transpose(2, 1, 0).reshape(NUM_BETAS, 3 * self.count)
        if self.uses_pose:
            poses = data.posedirs.reshape(NUM_POSE_FEATURES, -1, 3)[:, points].transpose(0, 2, 1)
            directions = np.concatenate(
                [directions, poses.reshape(NUM_POSE_FEATURES, 3 * self.count)]
            )
        self.displaced = FixedProduct(
            _float32(directions), _float32(data.v_template[points].T.reshape(-1))
        )
        self.blended = FixedProduct(_float32(data.weights[points].T))

    def forward(self, betas: Tensor, rotations: Tensor, transforms: Tensor) -> Tensor:
        """Positions of the points.

        Args:
            betas: (B, 10).
            rotations: (B, 24, 3, 3), each joint relative to its parent.
            transforms: (B, 24, 3, 4), from the rest pose to the posed body.

        Returns:
            (B, N, 3).
        """
        coefficients = betas
        if self.uses_pose:
            identity = torch.eye(3, dtype=betas.dtype, device=betas.device)
            pose_feature = (rotations[:, 1:] - identity).flatten(1)
            coefficients = torch.cat([betas, pose_feature], 1)
        resting = self.displaced(coefficients).unflatten(1, (3, 1, self.count))
        rows = transforms.permute(0, 2, 3, 1)  # (B, 3, 4, 24)
        if torch.is_grad_enabled() or not resting.is_cpu:
            return self._skin(resting, rows).contiguous()
        posed = resting.new_empty(len(resting), self.count, 3)
        for first in range(0, len(resting), _PEOPLE_IN_CACHE):
            group = slice(first, first + _PEOPLE_IN_CACHE)
            posed[group] = self._skin(resting[group], rows[group])
        return posed

    def _skin(self, resting: Tensor, rows: Tensor) -> Tensor:
        """(B, N, 3) posed points out of (B, 3, 1, N) resting ones and rows (B, 3, 4, 24)."""
        x, y, z = resting.unbind(1)
        # Dense although most weights are zero: gathering four transforms per vertex instead takes
        # ten times as long on a CPU.
        blended = self.blended(rows.reshape(-1, NUM_JOINTS)).view(*rows.shape[:3], self.count)
        posed = torch.addcmul(blended[:, :, 3], blended[:, :, 0], x)
        posed.addcmul_(blended[:, :, 1], y).addcmul_(blended[:, :, 2], z)
        return posed.transpose(1, 2)


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
        # Joints are linear in betas: regressed once here, never from the shaped mesh.
        regressor = data.J_regressor.astype(np.float64)
        template = regressor @ data.v_template
        shapedirs = np.einsum("jv,vcb->bjc", regressor, data.shapedirs)
        # Joints, then the way to each from its parent, as rows that one product gives.
        from_parent = parent_differences(data.parents)
        _register(self, "rest_template", np.concatenate([template, from_parent @ template]).ravel())
        both = np.concatenate([shapedirs, from_parent @ shapedirs], 1)
        _register(self, "rest_shapedirs", both.reshape(NUM_BETAS, -1))
        self.tree = KinematicTree(self.parents)
        self.mesh = _SkinnedPoints(data, np.arange(len(data.v_template)))
        touched = np.flatnonzero(data.landmark_regressor.any(axis=0))
        self.landmark_points = _SkinnedPoints(data, touched)
        _register(self, "landmark_regressor", data.landmark_regressor[:, touched])

    @property
    def joints_template(self) -> Tensor:
        """(24, 3) joints of the mean shape in the rest pose, metres."""
        return self.rest_template[: 3 * NUM_JOINTS].view(NUM_JOINTS, 3)

    @property
    def joints_shapedirs(self) -> Tensor:
        """(10, 24, 3) what each beta adds to them."""
        return self.rest_shapedirs[:, : 3 * NUM_JOINTS].unflatten(1, (NUM_JOINTS, 3))

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
        rotations = _rotation_matrices(pose.to(self.rest_template.dtype))
        betas = betas.to(self.rest_template.dtype)
        if betas.shape != (len(rotations), NUM_BETAS):
            raise ValueError(
                f"betas have shape {tuple(betas.shape)}; expected "
                f"({len(rotations)}, {NUM_BETAS}) for poses of {len(rotations)} people"
            )
        rest = torch.addmm(self.rest_template, betas, self.rest_shapedirs)
        joints, transforms = self._pose_joints(rotations, rest.view(-1, 2, NUM_JOINTS, 3))
        points = self.landmark_points(betas, rotations, transforms)
        joints = torch.cat([joints, _regress(self.landmark_regressor, points)], 1)
        vertices = self.mesh(betas, rotations, transforms) if with_vertices else None
        return BodyOutput(vertices, joints)

    def joint_indices(self, names: str | Sequence[str]) -> list[int]:
        """Where joints are in `joint_names`.

        Args:
            names: A joint set of `joints.JOINT_SETS`, for example "coco17", or joint names.

        Returns:
            One index per name: `joints[:, body.joint_indices("coco17")]`.

        Raises:
            ValueError: An unknown set, or a joint that this body lacks.
        """
        if isinstance(names, str):
            if names not in JOINT_SETS:
                raise ValueError(
                    f"unknown joint set {names!r}; expected one of {', '.join(JOINT_SETS)}"
                )
            names = JOINT_SETS[names]
        missing = [name for name in names if name not in self.joint_names]
        if missing:
            raise ValueError(
                f"body {self.name} has no {', '.join(missing)}; the open body and the packed "
                "SMPL_NEUTRAL.pth of the published ROMP have all 71 joints"
            )
        return [self.joint_names.index(name) for name in names]

    def _pose_joints(self, rotations: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Posed joints (B, 24, 3) and skinning transforms (B, 24, 3, 4).

        `rest` (B, 2, 24, 3): the joints of the rest pose, and the way to each from its parent.
        """
        resting, offsets = rest.unbind(1)
        rotation, position = self.tree(rotations, offsets)
        # Written out: products of many small matrices with vectors are slow.
        from_rest = position - (rotation * resting[..., None, :]).sum(-1)
        return position, torch.cat([rotation, from_rest[..., None]], -1)


def _regress(regressor: Tensor, points: Tensor) -> Tensor:
    """(B, L, 3) averages by a regressor (L, N) of points (B, N, 3), in one product for all."""
    rows = points.transpose(1, 2).reshape(3 * len(points), points.shape[1]) @ regressor.T
    return rows.view(len(points), 3, len(regressor)).transpose(1, 2)


def _register(module: nn.Module, name: str, array: np.ndarray) -> None:
    """A float32 buffer that the state dict leaves out."""
    module.register_buffer(name, _float32(array), persistent=False)


def _float32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _rotation_matrices(pose: Tensor) -> Tensor:
    """Rotation matrices (B, 24, 3, 3) of a pose in any of the accepted forms."""
    shape = tuple(pose.shape[1:])
    if shape == (3 * NUM_JOINTS,):
        return axis_angle_to_matrix(pose.unflatten(1, (NUM_JOINTS, 3)))
    if shape == (NUM_JOINTS, 3):
        return axis_angle_to_matrix(pose)
    if shape == (NUM_JOINTS, 6):
        return rotation_6d_to_matrix(pose)
    if shape == (NUM_JOINTS, 3, 3):
        return pose
    raise ValueError(
        f"pose has shape {tuple(pose.shape)}; expected (B, 72) or (B, 24, 3) axis-angle, "
        "(B, 24, 3, 3) matrices or (B, 24, 6) in 6D form"
    )
