"""The people of one picture: posed, dressed, and set on the floor."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial.transform import Rotation

from romp_core.data.synthetic.cameras import Camera
from romp_core.data.synthetic.garments import DressedBody
from romp_core.data.synthetic.outfit import Outfit
from romp_core.data.synthetic.poses import PoseSampler

_SHAPE_LIMIT = 2.5
"""Betas are standard deviations of the population that the body was made from."""

_SIZES = {
    -2.5: -3.54, -2.0: -3.15, -1.75: -2.77, -1.5: -1.88, -1.25: -1.1, -1.0: -0.61, -0.5: -0.14,
    0.0: 0.19, 1.0: 0.79, 2.5: 1.64,
}  # fmt: skip
"""Beta 0, size, where a normal distribution has the same share of people below. It is skewed: of
people aged 2 to 90, each age as often, few are children and those are small (docs/open-body.md)."""


@dataclass
class People:
    """K people in the camera's optical frame, metres.

    Attributes:
        pose: (K, 72) axis-angle, global orient into the optical frame.
        betas: (K, 10).
        translation: (K, 3).
        vertices, normals: (K, V, 3) of body and wardrobe.
        joints: (K, 71, 3).
        outfits: K outfits.
        headings: (K,) radians about the world's vertical; 0 faces +z, away from the camera.
    """

    pose: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    joints: np.ndarray
    outfits: list[Outfit]
    headings: np.ndarray


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, incidence: csr_matrix) -> np.ndarray:
    """Unit normals (K, V, 3) of K posed meshes (K, V, 3) with the same faces (F, 3).

    `incidence` is (V, F), 1 where a vertex belongs to a face.
    """
    a, b, c = (vertices[:, faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    count, number = len(vertices), vertices.shape[1]
    stacked = incidence @ across.transpose(1, 0, 2).reshape(len(faces), 3 * count)
    normals = stacked.reshape(number, count, 3).transpose(1, 0, 2)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def random_betas(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 10) float32 shapes: the population's own spread, some more alike, some less."""
    betas = rng.normal(size=(count, 10)) * rng.uniform(0.6, 1.4, (count, 1))
    betas = np.clip(betas, -_SHAPE_LIMIT, _SHAPE_LIMIT)
    betas[:, 0] = np.interp(betas[:, 0], list(_SIZES), list(_SIZES.values()))
    return betas.astype(np.float32)


class Tailor:
    """Poses, grounds and dresses people.

    Args:
        body: body and wardrobe.
        sampler: source of poses.
    """

    def __init__(self, body: DressedBody, sampler: PoseSampler):
        self.body = body
        self._sampler = sampler
        self.faces = np.concatenate([body.body_faces, *body.piece_faces.values()])
        vertex_count, face_count = len(body.static), len(self.faces)
        self.incidence = csr_matrix(
            (
                np.ones(3 * face_count, np.float32),
                (self.faces.ravel(), np.repeat(np.arange(face_count), 3)),
            ),
            shape=(vertex_count, face_count),
        )

    def make(
        self,
        rng: np.random.Generator,
        camera: Camera,
        spots: np.ndarray,
        outfits: list[Outfit],
    ) -> People:
        """People standing on spots (K, 2) of the floor, lowest point of the shoes touching it."""
        count = len(spots)
        headings = rng.uniform(-np.pi, np.pi, count)
        # Robots meet faces more often than backs: half of all people look at the camera.
        facing = rng.random(count) < 0.5
        headings = np.where(facing, np.pi + rng.normal(0, 0.7, count), headings)
        pose = np.array([self._sampler(rng) for _ in range(count)], np.float32).reshape(
            count, 24, 3
        )
        optical_from_world = Rotation.from_matrix(camera.world_from_optical.T)
        turn = Rotation.from_rotvec(np.outer(headings, [0, 1, 0]))
        root = optical_from_world * turn * Rotation.from_rotvec(pose[:, 0])
        pose[:, 0] = root.as_rotvec()
        betas = random_betas(rng, count)
        with torch.inference_mode():
            output = self.body.model(torch.from_numpy(pose), torch.from_numpy(betas))
        vertices, joints = output.vertices.numpy(), output.joints.numpy()

        pelvis = joints[:, 0]
        skin = vertices[:, : self.body.body_vertex_count] - pelvis[:, None]
        lowest = (skin @ camera.up).min(1)
        soles = np.array([outfit.sole for outfit in outfits])
        pelvis_world = np.stack([spots[:, 0], soles - lowest, spots[:, 1]], 1)
        translation = (camera.to_optical(pelvis_world) - pelvis).astype(np.float32)
        vertices = vertices + translation[:, None]
        return People(
            pose.reshape(count, 72),
            betas,
            translation,
            vertices,
            vertex_normals(vertices, self.faces, self.incidence),
            joints + translation[:, None],
            outfits,
            headings,
        )
