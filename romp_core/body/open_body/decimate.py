"""Decimation by half-edge collapse: every vertex that stays is one of the given mesh.

Cost: squared distance to the planes of the faces that were there (Garland and Heckbert,
"Surface Simplification Using Quadric Error Metrics", 1997), plus a share of the squared edge
length, so that fingers and toes give more vertices away than the back; less where there are
slivers, so that those go first. A collapse that would
fold the surface, make a sliver, or break the manifold is not done.
"""

from __future__ import annotations

import heapq

import numpy as np

# Share of the edge length that counts like a distance to the surface.
_LENGTH_SHARE = 0.08
# New triangles with a smaller angle are made only where there was a smaller one before.
_SMALLEST_ANGLE = np.radians(28.0)
# Vertices of triangles with a smaller angle than this go earlier: their cost shrinks.
_SLIVER_ANGLE = np.radians(30.0)
# A face may turn by this much in one collapse.
_LARGEST_TURN = np.cos(np.radians(50.0))
_LARGEST_VALENCE = 9
# An edge is flipped only where its two faces are about as flat as this.
_FLIP_FLATNESS = np.cos(np.radians(35.0))


class _Mesh:
    """Triangles by vertex, with the quadric error of each vertex."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.vertices = vertices
        self.faces: dict[int, tuple[int, int, int]] = dict(enumerate(map(tuple, faces.tolist())))
        self.around: list[set[int]] = [set() for _ in vertices]
        for index, face in self.faces.items():
            for vertex in face:
                self.around[vertex].add(index)
        corners = vertices[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        planes = np.concatenate([normals, -(normals * corners[:, 0]).sum(1, keepdims=True)], axis=1)
        outer = planes[:, :, None] * planes[:, None]
        self.quadrics = np.zeros((len(vertices), 4, 4))
        for corner in range(3):
            np.add.at(self.quadrics, faces[:, corner], outer)
        self.counts = np.bincount(faces.ravel(), minlength=len(vertices)).astype(float)

    def neighbours(self, vertex: int) -> set[int]:
        return {v for index in self.around[vertex] for v in self.faces[index]} - {vertex}

    def replace(self, index: int, face: tuple[int, int, int]) -> None:
        for vertex in self.faces[index]:
            self.around[vertex].discard(index)
        self.faces[index] = face
        for vertex in face:
            self.around[vertex].add(index)

    def remove(self, index: int) -> None:
        for vertex in self.faces.pop(index):
            self.around[vertex].discard(index)

    def normal_and_angle(self, face: tuple[int, int, int]) -> tuple[np.ndarray, float]:
        a, b, c = self.vertices[list(face)]
        ab, bc, ca = b - a, c - b, a - c
        normal = np.cross(ab, -ca)
        doubled = float(np.sqrt(normal @ normal))
        lengths = sorted((float(ab @ ab), float(bc @ bc), float(ca @ ca)))
        sine = doubled / max(np.sqrt(lengths[1] * lengths[2]), 1e-18)
        return normal / max(doubled, 1e-18), float(np.arcsin(min(sine, 1.0)))


def decimate(
    vertices: np.ndarray, faces: np.ndarray, border: np.ndarray, locked: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """A coarser mesh on a subset of the vertices.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) a manifold mesh with at most one border.
        border: (V,) bool, the vertices of the border; it shrinks only along itself.
        locked: Indices of vertices that must stay.
        count: Number of vertices to keep.

    Returns:
        The kept vertices (count,) as indices, and the triangles (F', 3) over them.

    Raises:
        ValueError: No further collapse is allowed before `count` is reached.
    """
    mesh = _Mesh(vertices, faces)
    version = np.zeros(len(vertices), int)
    heap: list[tuple[float, int, int, int]] = []

    def push(vertex: int) -> None:
        for other in mesh.neighbours(vertex):
            for gone, kept in ((vertex, other), (other, vertex)):
                stamp = int(version[gone] + version[kept])
                heapq.heappush(heap, (_cost(mesh, gone, kept), gone, kept, stamp))

    for vertex in range(len(vertices)):
        push(vertex)
    alive = np.ones(len(vertices), bool)
    fixed = set(locked.tolist())
    while alive.sum() > count:
        if not heap:
            raise ValueError(f"expected {count} vertices, cannot go below {alive.sum()}")
        _, gone, kept, stamp = heapq.heappop(heap)
        fresh = alive[gone] and alive[kept] and stamp == version[gone] + version[kept]
        if not fresh or gone in fixed or not _may_collapse(mesh, gone, kept, border):
            continue
        _collapse(mesh, gone, kept)
        alive[gone] = False
        for vertex in mesh.neighbours(kept) | {kept}:
            version[vertex] += 1
        for vertex in mesh.neighbours(kept) | {kept}:
            push(vertex)
    _flip_edges(mesh)
    kept_vertices = np.flatnonzero(alive)
    index = np.full(len(vertices), -1)
    index[kept_vertices] = np.arange(count)
    return kept_vertices, index[np.array(list(mesh.faces.values()))]


def _cost(mesh: _Mesh, gone: int, kept: int) -> float:
    point = np.append(mesh.vertices[kept], 1.0)
    quadric = mesh.quadrics[gone] + mesh.quadrics[kept]
    distance = float(point @ quadric @ point) / (mesh.counts[gone] + mesh.counts[kept])
    edge = mesh.vertices[gone] - mesh.vertices[kept]
    smallest = min(mesh.normal_and_angle(mesh.faces[i])[1] for i in mesh.around[gone])
    discount = min(1.0, smallest / _SLIVER_ANGLE) ** 2
    return discount * (max(distance, 0.0) + _LENGTH_SHARE**2 * float(edge @ edge))


def _may_collapse(mesh: _Mesh, gone: int, kept: int, border: np.ndarray) -> bool:
    shared = mesh.around[gone] & mesh.around[kept]
    if border[gone] and not (border[kept] and len(shared) == 1):
        return False
    common = mesh.neighbours(gone) & mesh.neighbours(kept)
    if len(common) != len(shared) or len(shared) == 0:
        return False
    if len(mesh.neighbours(gone) | mesh.neighbours(kept)) - 2 > _LARGEST_VALENCE:
        return False
    before = min(mesh.normal_and_angle(mesh.faces[i])[1] for i in mesh.around[gone])
    smallest = min(before, _SMALLEST_ANGLE)
    for index in mesh.around[gone] - shared:
        old = mesh.faces[index]
        normal, angle = mesh.normal_and_angle(tuple(kept if v == gone else v for v in old))
        if angle < smallest or normal @ mesh.normal_and_angle(old)[0] < _LARGEST_TURN:
            return False
    return True


def _collapse(mesh: _Mesh, gone: int, kept: int) -> None:
    for index in mesh.around[gone] & mesh.around[kept]:
        mesh.remove(index)
    for index in list(mesh.around[gone]):
        mesh.replace(index, tuple(kept if v == gone else v for v in mesh.faces[index]))
    mesh.quadrics[kept] += mesh.quadrics[gone]
    mesh.counts[kept] += mesh.counts[gone]


def _flip_edges(mesh: _Mesh, passes: int = 4) -> None:
    """Flip edges of nearly flat pairs of triangles where that makes the smallest angle larger."""
    for _ in range(passes):
        edges = {
            (min(a, b), max(a, b))
            for face in mesh.faces.values()
            for a, b in zip(face, face[1:] + face[:1], strict=True)
        }
        if not sum(_flip(mesh, a, b) for a, b in sorted(edges)):
            return


def _flip(mesh: _Mesh, a: int, b: int) -> bool:
    pair = sorted(mesh.around[a] & mesh.around[b])
    if len(pair) != 2:
        return False
    one, two = (mesh.faces[index] for index in pair)
    if one[(one.index(a) + 1) % 3] != b:
        one, two, pair = two, one, pair[::-1]
    left = next(v for v in one if v not in (a, b))
    right = next(v for v in two if v not in (a, b))
    if mesh.around[left] & mesh.around[right]:
        return False
    (normal_1, angle_1), (normal_2, angle_2) = map(mesh.normal_and_angle, (one, two))
    new = (left, right, b), (right, left, a)
    (normal_3, angle_3), (normal_4, angle_4) = map(mesh.normal_and_angle, new)
    flat = min(normal_1 @ normal_2, normal_3 @ normal_4, normal_1 @ normal_3, normal_2 @ normal_4)
    if flat < _FLIP_FLATNESS or min(angle_3, angle_4) <= min(angle_1, angle_2) + 1e-9:
        return False
    mesh.replace(pair[0], new[0])
    mesh.replace(pair[1], new[1])
    return True
