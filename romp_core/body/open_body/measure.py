"""Figures of the open body: its mesh, its joints, and how far from Anny its surface lies.

People for the measurements are sampled anew, with another seed than those it was made from.
"""

from __future__ import annotations

from dataclasses import dataclass

import igl
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from romp_core.body.joints import JOINTS_71, SMPL_PARENTS
from romp_core.body.model import BodyModel
from romp_core.body.open_body import fit
from romp_core.body.open_body.build import OpenBody
from romp_core.body.open_body.source import AnnySource

_SURFACE_POINTS = 10_000
_LIMBS = [
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]
_LIMB_JOINTS = [JOINTS_71.index(name) for name in _LIMBS]
_LIMB_LANDMARKS = [JOINTS_71.index(f"{name}_h17") for name in _LIMBS]


def smallest_angles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The smallest angle of each triangle (F,), degrees."""
    corners = vertices[faces]
    angles = []
    for corner in range(3):
        one, two = (corners[:, (corner + k) % 3] - corners[:, corner] for k in (1, 2))
        cross = np.linalg.norm(np.cross(one, two), axis=1)
        angles.append(np.arctan2(cross, (one * two).sum(axis=1)))
    return np.degrees(np.min(angles, axis=0))


def is_closed(faces: np.ndarray) -> bool:
    """Whether every edge has exactly two triangles that run along it in opposite directions."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {tuple(edge) for edge in edges.tolist()}
    return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)


@dataclass(frozen=True)
class Distances:
    """Mean distance from the open body's surface to Anny's, in mm, over the same people.

    Attributes:
        posed: Posed by the given rotations, shapes projected on ten betas.
        posed_back: The same from Anny's outer skin to the open body.
        rest: In the rest pose, shapes projected on ten betas.
        decimated: In the rest pose, with each person's own vertices.
        skinned: Posed, with each person's own vertices and joints.
        joints: In the rest pose, from the regressed to Anny's joints.
        landmarks: Posed, from the Human3.6M limb joints regressed from the skin to the joints.
    """

    posed: float
    posed_back: float
    rest: float
    decimated: float
    skinned: float
    joints: float
    landmarks: float


def distances_to_anny(
    source: AnnySource, body: OpenBody, poses: np.ndarray, seed: int = 1
) -> Distances:
    """Mean distances over as many new people as there are poses.

    Args:
        source: Anny.
        body: The open body.
        poses: (N, 24, 3) axis-angle.
        seed: Of the people; another one than the body was made from.
    """
    data = body.data
    phenotypes = source.sample_phenotypes(len(poses), seed)
    rotations = Rotation.from_rotvec(poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    people = source.rest_bodies(phenotypes)
    target = source.posed_vertices(phenotypes, rotations)
    own = people.vertices[:, body.anny_vertices].astype(np.float64)
    betas = fit.betas_of(own, data.v_template, data.shapedirs, data.faces)

    model = BodyModel(data)
    pose = torch.as_tensor(rotations, dtype=torch.float32)
    betas_tensor = torch.as_tensor(betas, dtype=torch.float32)
    with torch.no_grad():
        in_pose = model(pose, betas_tensor)
        at_rest = model(torch.zeros(len(poses), 72), betas_tensor)
    posed, rest = in_pose.vertices.numpy(), at_rest.vertices.numpy()
    joint_gap = at_rest.joints[:, :24].numpy() - people.joints
    landmark_gap = in_pose.joints[:, _LIMB_LANDMARKS] - in_pose.joints[:, _LIMB_JOINTS]
    skinned = np.stack(
        [
            _skin(data.weights, v, j, r)
            for v, j, r in zip(own, people.joints, rotations, strict=True)
        ]
    )
    outer = source.faces[np.isin(source.faces, body.outer_vertices).all(axis=1)]
    faces = data.faces
    return Distances(
        posed=_mean_distance(posed, faces, target, source.faces),
        posed_back=_mean_distance(target, outer, posed, faces),
        rest=_mean_distance(rest, faces, people.vertices, source.faces),
        decimated=_mean_distance(own, faces, people.vertices, source.faces),
        skinned=_mean_distance(skinned, faces, target, source.faces),
        joints=1000 * float(np.linalg.norm(joint_gap, axis=-1).mean()),
        landmarks=1000 * float(landmark_gap.norm(dim=-1).mean()),
    )


def _skin(
    weights: np.ndarray, vertices: np.ndarray, joints: np.ndarray, rotations: np.ndarray
) -> np.ndarray:
    """Linear blend skinning of one person's own vertices (V, 3) about their own joints (24, 3)."""
    world, places = rotations.copy(), joints.copy()
    for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
        world[joint] = world[parent] @ rotations[joint]
        places[joint] = places[parent] + world[parent] @ (joints[joint] - joints[parent])
    shift = places - np.einsum("jab,jb->ja", world, joints)
    turned = np.einsum("vj,jab,vb->va", weights, world, vertices, optimize=True)
    return turned + weights @ shift


def _mean_distance(
    vertices: np.ndarray, faces: np.ndarray, others: np.ndarray, other_faces: np.ndarray
) -> float:
    """Mean distance in mm from surfaces (N, V, 3) to surfaces (N, W, 3)."""
    random = np.random.default_rng(0)
    means = []
    for one, two in zip(vertices.astype(np.float64), others.astype(np.float64), strict=True):
        points = surface_points(one, faces, _SURFACE_POINTS, random)
        squared = igl.point_mesh_squared_distance(points, two, other_faces.astype(np.int64))[0]
        means.append(np.sqrt(squared).mean())
    return 1000 * float(np.mean(means))


def surface_points(
    vertices: np.ndarray, faces: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """Points (count, 3) spread evenly over a surface."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = random.choice(len(faces), count, p=areas / areas.sum())
    u, v = np.sqrt(random.random((count, 1))), random.random((count, 1))
    return (1 - u) * a[chosen] + u * (1 - v) * b[chosen] + u * v * c[chosen]
