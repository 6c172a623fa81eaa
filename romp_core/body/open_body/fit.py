"""What is fitted to the sampled people: shape directions, joint regressor, skinning weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import csr_matrix, diags

from romp_core.body.joints import SMPL_JOINTS, flip_permutation

_NEIGHBOURS_AT_REST = 600
_NEIGHBOURS_POSED = 800
_DAMPING = 1e-6
_CROTCH_RADIUS = 0.07
_CROTCH_PASSES = 30
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


def linear_in_betas(joints: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Joints (11, 24, 3) of the mean body and per unit of each beta, by least squares.

    Args:
        joints: (N, 24, 3) of N people.
        betas: (N, 10) of the same people.
    """
    ones_and_betas = np.concatenate([np.ones((len(betas), 1)), betas], axis=1)
    solution = np.linalg.lstsq(ones_and_betas, joints.reshape(len(joints), -1), rcond=None)[0]
    return solution.reshape(-1, *joints.shape[1:])


def joint_regressor(bodies: np.ndarray, joints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Rows (24, V) that sum to one and give the joints of the mean body and of every direction.

    The nearest vertices alone reach Anny's joints only to some 10 mm with non-negative weights:
    her bones do not keep their place in the flesh from child to adult. So the best non-negative
    row gets the smallest correction, of either sign, that closes the gap.

    Args:
        bodies: (11, V, 3) mean body and shape directions at rest.
        joints: (11, 24, 3) the joints that go with each.
        mirror: (V,) the vertex on the other side of each vertex.
    """

    def row(points: np.ndarray, joint: np.ndarray, near: np.ndarray) -> np.ndarray:
        weights = _nonnegative_row(points, joint, near)
        system = np.concatenate([_equations(points, near), np.ones((1, len(near)))])
        gap = np.append(joint.ravel(), 1.0) - system @ weights[near]
        normal = system @ system.T
        damping = _DAMPING * np.trace(normal) / len(normal)
        weights[near] += system.T @ np.linalg.solve(normal + damping * np.eye(len(normal)), gap)
        return weights / weights.sum()

    return _symmetric_rows(bodies, joints, mirror, row, _NEIGHBOURS_AT_REST)


def posed_joint_rows(bodies: np.ndarray, joints: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Non-negative rows (24, V) that sum to one and follow the joints of posed bodies.

    Args:
        bodies: (N, V, 3) people in many poses, the first at rest.
        joints: (N, 24, 3) their joints.
        mirror: (V,) the vertex on the other side of each vertex.
    """
    return _symmetric_rows(bodies, joints, mirror, _nonnegative_row, _NEIGHBOURS_POSED)


def _symmetric_rows(
    bodies: np.ndarray,
    joints: np.ndarray,
    mirror: np.ndarray,
    row: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    neighbours: int,
) -> np.ndarray:
    """One row per joint over its nearest vertices in the first body, the same on both sides."""
    rows = np.zeros((len(FLIP), bodies.shape[1]))
    for joint, other in enumerate(FLIP):
        if joint <= other:
            distance = np.linalg.norm(bodies[0] - joints[0, joint], axis=1)
            rows[joint] = row(bodies, joints[:, joint], distance.argsort()[:neighbours])
            rows[other] = rows[joint][mirror]
        if joint == other:
            rows[joint] = (rows[joint] + rows[joint][mirror]) / 2
    return rows


def _nonnegative_row(points: np.ndarray, joint: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Weights (V,) >= 0, zero but for the `near` vertices, with sum_v w_v points_v = joint."""
    heavy = 100.0 * np.sqrt(len(points))  # asks for a sum of one; dividing makes it exact
    system = np.concatenate([_equations(points, near), np.full((1, len(near)), heavy)])
    weights = np.zeros(points.shape[1])
    weights[near] = nnls(system, np.append(joint.ravel(), heavy))[0]
    return weights / weights.sum()


def _equations(points: np.ndarray, near: np.ndarray) -> np.ndarray:
    return points[:, near].transpose(0, 2, 1).reshape(-1, len(near))


def without_pubic_mound(bodies: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Mean body and shape directions (11, V, 3) with the crotch levelled.

    It belongs to the pelvis: when the thighs turn away it would stand out from the body.
    """
    mean = bodies[0]
    midline = mean[np.abs(mean[:, 0]) < 1e-6]
    crotch = midline[midline[:, 1].argmin()]
    distance = np.linalg.norm(mean - crotch, axis=1)
    share = np.clip(2 - 2 * distance / _CROTCH_RADIUS, 0, 1)
    step = diags(1 - share) + diags(share) @ _neighbour_average(faces, len(mean))
    flat = np.moveaxis(bodies, 1, 0).reshape(len(mean), -1)
    for _ in range(_CROTCH_PASSES):
        flat = step @ flat
    return np.moveaxis(flat.reshape(len(mean), -1, 3), 0, 1)


def skinning_weights(
    merged: np.ndarray, faces: np.ndarray, mirror: np.ndarray, passes: int = 2
) -> np.ndarray:
    """Weights (V, 24): smoothed over the surface, at most four per vertex, rows summing to one.

    Smoothing widens the seams that merging Anny's bones made sharp.
    """
    average = _neighbour_average(faces, len(merged))
    weights = merged.copy()
    for _ in range(passes):
        weights = (weights + average @ weights) / 2
    weights = (weights + weights[mirror][:, FLIP]) / 2
    weights[weights < 1e-3] = 0
    # Ties between the fourth and fifth largest are broken the same way on both sides.
    fifth = np.sort(weights, axis=1)[:, -_MOST_JOINTS_PER_VERTEX - 1, None]
    weights[weights <= fifth] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def _neighbour_average(faces: np.ndarray, count: int) -> csr_matrix:
    """Matrix (V, V) that gives each vertex the mean of its neighbours."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    neighbours = csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    return diags(1 / np.asarray(neighbours.sum(axis=1)).ravel()) @ neighbours


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
