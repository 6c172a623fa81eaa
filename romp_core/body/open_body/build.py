"""From Anny to `open_body.npz`, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from romp_core.body.data import BodyData
from romp_core.body.joints import LANDMARKS, SMPL_PARENTS
from romp_core.body.model import BodyModel
from romp_core.body.open_body import fit
from romp_core.body.open_body.decimate import decimate
from romp_core.body.open_body.landmarks import landmark_regressor, landmark_vertices
from romp_core.body.open_body.source import AnnySource, RestBodies
from romp_core.body.open_body.surface import HalfSkin, left_half_skin, mirror_half

# The midline is shared by the halves: this many in the half give about 6,900 in the whole.
_HALF_VERTICES = 3515
# Lengths are stored in steps of 2^-16 m = 0.015 mm, which compresses to half the size.
_STEP = 2.0**-16
# Random poses that the landmarks inside the body are fitted to: radians per axis and joint.
_POSES = 200
_POSE_SPREAD = 0.35


@dataclass(frozen=True)
class OpenBody:
    """The body and what the report needs to know of its making.

    Attributes:
        data: The body.
        anny_vertices: (V,) the Anny vertex of each vertex.
        outer_vertices: Anny's vertices of the outer skin, before decimation.
        variance: (10,) share of the shapes' variance that each direction explains.
    """

    data: BodyData
    anny_vertices: np.ndarray
    outer_vertices: np.ndarray
    variance: np.ndarray


def build_open_body(source: AnnySource, count: int = 1000, seed: int = 0) -> OpenBody:
    """Make the open body from `count` sampled people.

    Args:
        source: Anny.
        count: Number of sampled people.
        seed: Of the sampling.
    """
    template = source.model.template_vertices.numpy()
    mirror = cKDTree(template).query(template * [-1, 1, 1])[1]
    people = symmetric(source.rest_bodies(source.sample_phenotypes(count, seed)), mirror)
    mean = people.vertices.mean(axis=0, dtype=np.float64)

    skin = left_half_skin(source.model, source.faces, mean)
    on_skin = landmark_vertices(source, skin.source, mean, mirror)
    locked = np.flatnonzero(np.isin(skin.source, list(on_skin.values())))
    kept, faces = decimate(mean[skin.source], skin.faces, skin.midline, locked, _HALF_VERTICES)
    anny_vertices, faces = mirror_half(
        HalfSkin(skin.source[kept], faces, skin.midline[kept]), mirror
    )

    outer_vertices = np.union1d(skin.source, mirror[skin.source])
    index = np.full(len(template), -1)
    index[anny_vertices] = np.arange(len(anny_vertices))
    mirror = index[mirror[anny_vertices]]
    samples = people.vertices[:, anny_vertices].astype(np.float64)
    mean, directions, variance = fit.shape_directions(samples, faces)
    betas = fit.betas_of(samples, mean, directions, faces)
    weights = fit.skinning_weights(source.weights[anny_vertices], faces, mirror)
    bodies = np.concatenate([mean[None], np.moveaxis(directions, -1, 0)])
    bodies = fit.without_pubic_mound(bodies, faces)
    data = BodyData(
        name="open_body",
        v_template=_rounded(bodies[0]),
        shapedirs=_rounded(np.moveaxis(bodies[1:], 0, -1)),
        posedirs=np.zeros((207, 3 * len(mean)), np.float32),
        J_regressor=fit.joint_regressor(
            bodies, fit.linear_in_betas(people.joints, betas), mirror
        ).astype(np.float32),
        weights=weights.astype(np.float32),
        parents=np.array(SMPL_PARENTS),
        faces=faces.astype(np.int32),
        landmark_names=(),
        landmark_regressor=np.zeros((0, len(mean)), np.float32),
    )
    landmarks = {name: int(index[vertex]) for name, vertex in on_skin.items()}
    regressor = landmark_regressor(_posed_joint_rows(data, mirror, seed), landmarks)
    data = replace(data, landmark_names=LANDMARKS, landmark_regressor=regressor.astype(np.float32))
    return OpenBody(data, anny_vertices, outer_vertices, variance)


def _posed_joint_rows(data: BodyData, mirror: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    pose = random.normal(scale=_POSE_SPREAD, size=(_POSES, 24, 3))
    betas = random.normal(size=(_POSES, 10))
    pose[0], betas[0] = 0, 0
    with torch.no_grad():
        posed = BodyModel(data)(
            torch.as_tensor(pose, dtype=torch.float32), torch.as_tensor(betas, dtype=torch.float32)
        )
    return fit.posed_joint_rows(posed.vertices.numpy(), posed.joints.numpy(), mirror)


def symmetric(people: RestBodies, mirror: np.ndarray) -> RestBodies:
    """The same people with both sides of the body averaged; Anny's differ by up to 3 mm."""
    flip = np.array([-1, 1, 1], np.float32)
    return RestBodies(
        (people.vertices + people.vertices[:, mirror] * flip) / 2,
        (people.joints + people.joints[:, fit.FLIP] * flip) / 2,
    )


def _rounded(lengths: np.ndarray) -> np.ndarray:
    return (np.round(lengths / _STEP) * _STEP).astype(np.float32)
