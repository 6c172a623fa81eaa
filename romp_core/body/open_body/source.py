"""Anny in SMPL's axes: sampled people, brought to SMPL's rest pose, and posed by Anny's own rig.

Axes: x to the person's left, y up, z forward, metres. Every body stands with its pelvis joint
at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import anny
import numpy as np
import torch
from anny.shape_distribution import SimpleShapeDistribution

from romp_core.body.joints import SMPL_JOINTS, SMPL_PARENTS

# Prefixes of the Anny bones that move with each SMPL joint, side taken from ".L" / ".R". The
# first bone's head is the joint, unless _JOINT_BONES says otherwise.
_GROUPS = {
    "pelvis": ("root", "pelvis", "spine05", "spine04"),
    "spine1": ("spine03",),
    "spine2": ("spine02",),
    "spine3": ("spine01",),
    "neck": ("neck",),
    "head": ("head", "eye"),
    "hip": ("upperleg",),
    "knee": ("lowerleg",),
    "ankle": ("foot",),
    "foot": ("toe",),
    "collar": ("clavicle", "shoulder01"),
    "shoulder": ("upperarm",),
    "elbow": ("lowerarm",),
    "wrist": ("wrist", "metacarpal"),
    "hand": ("finger",),
}
_JOINT_BONES = {"foot": "toe2-1", "hand": "finger3-1"}

# Directions between joints in the rest pose, for the left side. The leg's line is SMPL's, so
# that standing poses stand equally wide in both bodies.
_LEG = np.array([0.035, -1.0, -0.036])
_ARM = np.array([1.0, 0.0, 0.0])
_REST_DIRECTIONS = {
    ("hip", "ankle"): _LEG,
    ("shoulder", "elbow"): _ARM,
    ("elbow", "wrist"): _ARM,
    ("wrist", "hand"): _ARM,
}

# Ages of the sampled people in years. Younger children neither stand nor walk.
_AGES = (2.0, 90.0)


@dataclass(frozen=True)
class RestBodies:
    """N people in SMPL's rest pose.

    Attributes:
        vertices: (N, V, 3) float32, metres.
        joints: (N, 24, 3) float64, the SMPL joints, pelvis at the origin.
    """

    vertices: np.ndarray
    joints: np.ndarray


class AnnySource:
    """Anny's default topology and rig, seen through the 24 joints of SMPL.

    Attributes:
        faces: (F, 3) int64 triangles.
        weights: (V, 24) float64 skinning weights, Anny's bones merged into SMPL's joints.
        bone_joint: (B,) int64, the SMPL joint that each Anny bone moves with.
    """

    def __init__(self) -> None:
        self.model = anny.Anny(skinning_method="lbs").to(dtype=torch.float64)
        self.faces = self.model.faces.numpy().copy()
        self.bone_joint = np.array([_joint_of_bone(label) for label in self.model.bone_labels])
        self._joint_bone = np.array([self._first_bone(joint) for joint in SMPL_JOINTS])
        self._bone_weights = self.model.dense_vertex_bone_weights.numpy()
        self.weights = np.zeros((len(self._bone_weights), len(SMPL_JOINTS)))
        for bone, joint in enumerate(self.bone_joint):
            self.weights[:, joint] += self._bone_weights[:, bone]

    def _first_bone(self, joint: str) -> int:
        side, _, part = joint.rpartition("_")
        suffix = {"left": ".L", "right": ".R"}.get(side, "")
        name = _JOINT_BONES.get(part, "")
        for bone, label in enumerate(self.model.bone_labels):
            wanted = label == name + suffix if name else True
            if wanted and SMPL_JOINTS[self.bone_joint[bone]] == joint:
                return bone
        raise ValueError(f"no Anny bone found for the SMPL joint {joint}")

    def sample_phenotypes(self, count: int, seed: int) -> dict[str, torch.Tensor]:
        """Phenotypes of `count` people of both genders, aged 2 to 90, from Anny's distributions."""
        torch.manual_seed(seed)
        ages = torch.distributions.Uniform(*(torch.tensor(a, dtype=torch.float64) for a in _AGES))
        sampler = SimpleShapeDistribution(self.model, morphological_age_distribution=ages)
        return sampler.sample(count)[1]

    def bodies(self, phenotypes: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Anny's own rest vertices (N, V, 3) and bone heads (N, B, 3) in SMPL's axes."""
        with torch.no_grad():
            coefficients = self.model.get_phenotype_blendshape_coefficients(**phenotypes)
            rest = self.model.get_rest_model(coefficients)
        heads = rest["rest_bone_poses"][..., :3, 3]
        return _to_smpl_axes(rest["rest_vertices"].numpy()), _to_smpl_axes(heads.numpy())

    def rest_bodies(self, phenotypes: dict[str, torch.Tensor], batch: int = 32) -> RestBodies:
        """The same people in SMPL's rest pose, arms along +-x."""
        parts = [self._repose(chunk, None) for chunk in _chunks(phenotypes, batch)]
        vertices, heads = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        joints = heads[:, self._joint_bone]
        return RestBodies(vertices, joints)

    def posed_vertices(
        self, phenotypes: dict[str, torch.Tensor], rotations: np.ndarray
    ) -> np.ndarray:
        """Vertices (N, V, 3) of Anny, posed by its own rig and its own skinning weights.

        Args:
            phenotypes: N people.
            rotations: (N, 24, 3, 3) local rotations of the SMPL joints; the bones of a joint
                turn together.
        """
        return self._repose(phenotypes, rotations)[0]

    def _repose(
        self, phenotypes: dict[str, torch.Tensor], rotations: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        vertices, heads = self.bodies(phenotypes)
        world = self._rest_rotations(heads)
        if rotations is not None:
            world = _world_rotations(rotations) @ world
        return self._skin(vertices, heads, world[:, self.bone_joint])

    def _rest_rotations(self, heads: np.ndarray) -> np.ndarray:
        """World rotation (N, 24, 3, 3) of each joint that takes Anny's pose to SMPL's rest pose."""
        joints = heads[:, self._joint_bone]
        world = np.broadcast_to(np.eye(3), (len(heads), len(SMPL_JOINTS), 3, 3)).copy()
        for index, name in enumerate(SMPL_JOINTS):
            if index:
                world[:, index] = world[:, SMPL_PARENTS[index]]
            side, _, part = name.rpartition("_")
            if part == "ankle":  # soles stay flat on the floor, as Anny's are
                world[:, index] = np.eye(3)
            for (start, end), direction in _REST_DIRECTIONS.items():
                if part != start:
                    continue
                bone = joints[:, SMPL_JOINTS.index(f"{side}_{end}")] - joints[:, index]
                target = direction * ([1, 1, 1] if side == "left" else [-1, 1, 1])
                current = np.einsum("nij,nj->ni", world[:, index], bone)
                world[:, index] = _rotation_between(current, target) @ world[:, index]
        return world

    def _skin(
        self, vertices: np.ndarray, heads: np.ndarray, world: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Linear blend skinning over Anny's bones by their world rotations (N, B, 3, 3)."""
        posed_heads = np.zeros_like(heads)
        for bone, parent in enumerate(self.model.bone_parents):
            if parent >= 0:
                offset = heads[:, bone] - heads[:, parent]
                turned = np.einsum("nij,nj->ni", world[:, parent], offset)
                posed_heads[:, bone] = posed_heads[:, parent] + turned
        shift = posed_heads - np.einsum("nbij,nbj->nbi", world, heads)
        transforms = np.concatenate([world, shift[..., None]], axis=-1)
        blended = np.tensordot(transforms, self._bone_weights, axes=(1, 1))  # (N, 3, 4, V)
        posed = np.einsum("nijv,nvj->nvi", blended[:, :, :3], vertices)
        posed += np.moveaxis(blended[:, :, 3], 1, 2)
        return posed.astype(np.float32), posed_heads


def _joint_of_bone(label: str) -> int:
    name, _, suffix = label.partition(".")
    side = {"L": "left_", "R": "right_"}.get(suffix, "")
    for part, prefixes in _GROUPS.items():
        if name.startswith(prefixes):
            joint = part if part in ("pelvis", "head") else side + part
            return SMPL_JOINTS.index(joint)
    raise ValueError(f"Anny bone {label} belongs to no SMPL joint; this script knows anny 0.6")


def _chunks(phenotypes: dict[str, torch.Tensor], batch: int) -> list[dict[str, torch.Tensor]]:
    count = len(next(iter(phenotypes.values())))
    return [
        {key: value[start : start + batch] for key, value in phenotypes.items()}
        for start in range(0, count, batch)
    ]


def _to_smpl_axes(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def _world_rotations(local: np.ndarray) -> np.ndarray:
    world = local.copy()
    for index in range(1, len(SMPL_PARENTS)):
        world[:, index] = world[:, SMPL_PARENTS[index]] @ local[:, index]
    return world


def _rotation_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotations (N, 3, 3) that turn each source (N, 3) onto target (3,)."""
    source = source / np.linalg.norm(source, axis=-1, keepdims=True)
    target = target / np.linalg.norm(target)
    axis = np.cross(source, target)
    cosine = (source @ target)[:, None, None]
    cross = np.cross(axis[:, None], -np.eye(3)[None])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
