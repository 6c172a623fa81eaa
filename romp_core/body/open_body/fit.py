"""What is fitted to the sampled people: shape directions, joint regressor, skinning weights."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import csr_matrix, diags

from romp_core.body.joints import SMPL_JOINTS, flip_permutation

_NEIGHBOURS_OF_JOINT = 300
_MOST_JOINTS_PER_VERTEX = 4
FLIP = np.array(flip_permutation(SMPL_JOINTS))


def shape_directions(
    samples: np.ndarray, faces: np.ndarray, count: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of the shapes, each vertex weighted by its area.

    Unweighted, hands and face would count for most of the body, for they have most vertices.

    Args:
        samples: (N, V, 3) people in the rest pose, metres.
        faces: (F, 3).
        count: Number of directions.

    Returns:
        mean (V, 3); directions (V, 3, count), metres per standard deviation, each signed so
        that the body's volume grows; share of the variance that each explains (count,).
    """
    mean = samples.mean(axis=0)
    scale = np.sqrt(vertex_areas(mean, faces) / surface_area(mean, faces))[:, None]
    centred = ((samples - mean) * scale).reshape(len(samples), -1)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = values.argsort()[::-1][:count]
    directions = centred.T @ vectors[:, order] / np.sqrt(len(samples))
    directions = directions.reshape(-1, 3, count) / scale[..., None]
    for index in range(count):
        if volume(mean + directions[..., index], faces) < volume(mean, faces):
            directions[..., index] *= -1
    return mean, directions, values[order] / values.sum()


def betas_of(
    samples: np.ndarray, mean: np.ndarray, directions: np.ndarray, faces: np.ndarray
) -> np.ndarray:
    """Betas (N, 10) whose bodies lie nearest to the samples (N, V, 3), weighted by area."""
    weight = np.repeat(np.sqrt(vertex_areas(mean, faces)), 3)
    basis = directions.reshape(-1, directions.shape[-1]) * weight[:, None]
    offsets = (samples - mean).reshape(len(samples), -1) * weight
    return np.linalg.lstsq(basis, offsets.T, rcond=None)[0].T


def joint_regressor(
    samples: np.ndarray, joints: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """Non-negative rows (24, V) that sum to one and give the joints of every shape.

    Args:
        samples: (N, V, 3) people in the rest pose.
        joints: (N, 24, 3) their joints.
        mirror: (V,) the vertex on the other side of each vertex.
    """
    regressor = np.zeros((joints.shape[1], samples.shape[1]))
    left = np.flatnonzero(samples.mean(axis=0)[:, 0] > -1e-6)
    for joint, other in enumerate(FLIP):
        if joint == other:
            pairs = (samples[:, left] + samples[:, mirror[left]]) / 2
            half = _nonnegative_row(pairs, samples[:, left], joints[:, joint])
            np.add.at(regressor[joint], left, half / 2)
            np.add.at(regressor[joint], mirror[left], half / 2)
        elif joint < other:
            regressor[joint] = _nonnegative_row(samples, samples, joints[:, joint])
            regressor[other] = regressor[joint][mirror]
    return regressor


def _nonnegative_row(points: np.ndarray, places: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """Weights (V,) over points (N, V, 3), those nearest to the joint (N, 3) in the mean body."""
    distance = np.linalg.norm((places - joint[:, None]).mean(axis=0), axis=1)
    near = distance.argsort()[:_NEIGHBOURS_OF_JOINT]
    relative = (points[:, near] - joint[:, None]).transpose(0, 2, 1).reshape(-1, len(near))
    # A heavy last row asks for a sum of one; dividing makes it exact.
    heavy = 100.0 * np.sqrt(len(relative))
    system = np.concatenate([relative, np.full((1, len(near)), heavy)])
    weights, _ = nnls(system, np.append(np.zeros(len(relative)), heavy))
    row = np.zeros(points.shape[1])
    row[near] = weights / weights.sum()
    return row


def skinning_weights(
    merged: np.ndarray, faces: np.ndarray, mirror: np.ndarray, passes: int = 2
) -> np.ndarray:
    """Weights (V, 24): smoothed over the surface, at most four per vertex, rows summing to one.

    Smoothing widens the seams that merging Anny's bones made sharp.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    shape = (len(merged), len(merged))
    neighbours = csr_matrix((np.ones(len(edges)), edges.T), shape=shape)
    neighbours = ((neighbours + neighbours.T) > 0).astype(float)
    average = diags(1 / np.asarray(neighbours.sum(axis=1)).ravel()) @ neighbours
    weights = merged.copy()
    for _ in range(passes):
        weights = (weights + average @ weights) / 2
    weights = (weights + weights[mirror][:, FLIP]) / 2
    weights[weights < 1e-3] = 0
    # Ties between the fourth and fifth largest are broken the same way on both sides.
    fifth = np.sort(weights, axis=1)[:, -_MOST_JOINTS_PER_VERTEX - 1, None]
    weights[weights <= fifth] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """A third of the area of the triangles around each vertex (V,), square metres."""
    areas = _double_areas(vertices, faces) / 6
    return np.bincount(faces.ravel(), np.repeat(areas, 3), minlength=len(vertices))


def surface_area(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Area of the surface, square metres."""
    return float(_double_areas(vertices, faces).sum() / 2)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume inside a closed surface, cubic metres; positive when its normals point outwards."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def _double_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1)
