"""One closed skin from Anny's mesh: eyes and mouth shut by caps, inner parts left out.

Everything happens on the left half (x >= 0); `mirror_half` makes the whole body from it, so that
the result is symmetric vertex by vertex. No vertex is invented: each one of the result is one of
Anny's, so that shapes and weights carry over by indexing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from anny.face_segmentation import get_face_segmentation_mask
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

# Eyeball vertices nearer than this to the eyelid are left out of the cap: they make slivers.
_EYELID_MARGIN = 0.0015
_ON_MIDLINE = 1e-6


@dataclass(frozen=True)
class HalfSkin:
    """The left half of the skin; its only border is the midline x = 0.

    Attributes:
        source: (H,) int64, the Anny vertex of each vertex.
        faces: (F, 3) int64 triangles over the H vertices, seen from outside counter-clockwise.
        midline: (H,) bool, the vertices on x = 0.
    """

    source: np.ndarray
    faces: np.ndarray
    midline: np.ndarray


def left_half_skin(model, faces: np.ndarray, vertices: np.ndarray) -> HalfSkin:
    """The left half of Anny's outer skin.

    Args:
        model: The Anny model; its own segmentation tells the cavities of eyes and mouth.
        faces: (F, 3) triangles.
        vertices: (V, 3) a symmetric body in SMPL's rest pose, metres.
    """
    part = _components(faces, len(vertices))
    body = np.bincount(part).argmax()
    eye_cavity = get_face_segmentation_mask(model, ["eye_cavity.L"]).numpy()
    mouth_cavity = get_face_segmentation_mask(model, ["mouth_cavity"]).numpy()
    inner = get_face_segmentation_mask(model, ["eye_cavity.R"]).numpy() | eye_cavity | mouth_cavity
    left = vertices[faces][:, :, 0].min(axis=1) >= -_ON_MIDLINE
    eye_parts = part[faces[get_face_segmentation_mask(model, ["eye_front.L"]).numpy(), 0]]
    eyeball = np.flatnonzero(part == eye_parts[0])

    skin = faces[(part[faces[:, 0]] == body) & ~inner & left]
    eye = _cap_eye(_border_loop(faces[eye_cavity]), eyeball, vertices)
    mouth = _zip_mouth(_border_loop(faces[mouth_cavity]), vertices)
    triangles = np.concatenate([skin, eye, mouth])
    source, compact = np.unique(triangles, return_inverse=True)
    midline = np.abs(vertices[source, 0]) < _ON_MIDLINE
    return HalfSkin(source, compact.reshape(-1, 3), midline)


def mirror_half(half: HalfSkin, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole skin: the Anny vertex of each vertex (V,), and the triangles (F, 3).

    Args:
        half: The left half.
        mirror: (V_anny,) the Anny vertex on the other side of each.
    """
    count = len(half.source)
    sided = np.flatnonzero(~half.midline)
    other = np.arange(count)
    other[sided] = count + np.arange(len(sided))
    source = np.concatenate([half.source, mirror[half.source[sided]]])
    return source, np.concatenate([half.faces, other[half.faces][:, ::-1]])


def _components(faces: np.ndarray, count: int) -> np.ndarray:
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _border_loop(faces: np.ndarray) -> np.ndarray:
    """The vertices of a patch's single border, in the direction of the patch's own edges."""
    edges = {
        (a, b) for face in faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True)
    }
    after = {a: b for a, b in edges if (b, a) not in edges}
    loop = [next(iter(after))]
    while after[loop[-1]] != loop[0]:
        loop.append(after[loop[-1]])
    if len(loop) != len(after):
        raise ValueError(f"expected one border, found {len(after) - len(loop)} edges beside it")
    return np.array(loop)


def _cap_eye(loop: np.ndarray, eyeball: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Triangles between the eyelids and the visible front of the eyeball, seen from the front."""
    flat = vertices[:, :2]
    front = eyeball[vertices[eyeball, 2] > vertices[eyeball, 2].mean()]
    inside = _inside(flat[front], flat[loop])
    steps = np.linspace(0, 1, 8)[:, None, None]
    border = (flat[loop] * (1 - steps) + np.roll(flat[loop], -1, axis=0) * steps).reshape(-1, 2)
    gap = np.linalg.norm(flat[front][:, None] - border[None], axis=-1).min(axis=1)
    points = np.concatenate([loop, front[inside & (gap > _EYELID_MARGIN)]])
    triangles = points[Delaunay(flat[points]).simplices]
    triangles = triangles[_inside(flat[triangles].mean(axis=1), flat[loop])]
    first, second = (flat[triangles[:, k]] - flat[triangles[:, 0]] for k in (1, 2))
    clockwise = first[:, 0] * second[:, 1] < first[:, 1] * second[:, 0]
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    return triangles


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points (N, 2) lie in the polygon (M, 2): an odd number of its edges to their right."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (y - start[:, 1]) / (end[:, 1] - start[:, 1])
        crossing = start[:, 0] + share * (end[:, 0] - start[:, 0])
    return (spans & (x < crossing)).sum(axis=1) % 2 == 1


def _zip_mouth(loop: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Triangles between the left halves of the lower and the upper lip."""
    x = vertices[loop, 0]
    following = np.roll(x, -1)
    start = np.flatnonzero((np.abs(x) < _ON_MIDLINE) & (following > _ON_MIDLINE))[0]
    loop, x = np.roll(loop, -start), np.roll(x, -start)
    end = np.flatnonzero(np.abs(x[1:]) < _ON_MIDLINE)[0] + 1
    corner = x[: end + 1].argmax()
    one, two = loop[: corner + 1], loop[corner : end + 1][::-1]
    i = j = 0
    triangles = []
    while (i, j) != (len(one) - 1, len(two) - 1):
        step_one = _distance(vertices, one, i + 1, two, j)
        step_two = _distance(vertices, one, i, two, j + 1)
        if step_one <= step_two:
            triangles.append((one[i], one[i + 1], two[j]))
            i += 1
        else:
            triangles.append((one[i], two[j + 1], two[j]))
            j += 1
    return np.array([t for t in triangles if len(set(t)) == 3])


def _distance(vertices: np.ndarray, one: np.ndarray, i: int, two: np.ndarray, j: int) -> float:
    if i >= len(one) or j >= len(two):
        return float("inf")
    return float(np.linalg.norm(vertices[one[i]] - vertices[two[j]]))
