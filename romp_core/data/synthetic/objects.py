"""Furniture and other things that hide people: boxes put together."""

from dataclasses import dataclass

import numpy as np

from romp_core.data.synthetic.outfit import cloth_color, linear
from romp_core.render.people_shading import LOOKS

OBJECT = 255
"""Stands for objects where people have their number, and joints theirs."""

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
# Two triangles per side, outside seen counter-clockwise, and the sides' normals.
_SIDES = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)
_NORMALS = np.repeat(
    np.array([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]]), 4, 0
)
_QUAD = np.array([[0, 1, 2], [0, 2, 3]])
_WOOD = np.array([[160, 110, 66], [104, 68, 40], [206, 170, 120], [62, 44, 32]])


@dataclass
class Thing:
    """An object standing on the floor.

    Attributes:
        vertices, normals: (N, 3) in the world frame, metres.
        rest: (N, 3) coordinates that its pattern is painted in, metres.
        faces: (F, 3).
        looks: (len(LOOKS), 4) float32, for the shader.
    """

    vertices: np.ndarray
    normals: np.ndarray
    rest: np.ndarray
    faces: np.ndarray
    looks: np.ndarray


def _random_looks(rng: np.random.Generator) -> np.ndarray:
    looks = np.zeros((len(LOOKS), 4), np.float32)
    color = cloth_color(rng)
    if rng.random() < 0.4:
        color = linear(_WOOD[rng.integers(len(_WOOD))] * rng.uniform(0.7, 1.15))
    style = int(rng.choice([0, 1, 3, 6, 7, 9], p=[0.55, 0.1, 0.07, 0.08, 0.1, 0.1]))
    looks[LOOKS.index("TOP_A")] = [*color, style]
    looks[LOOKS.index("TOP_B")] = [*cloth_color(rng), rng.uniform(2, 12)]
    looks[LOOKS.index("TOP_C")] = [*cloth_color(rng), 0]
    looks[LOOKS.index("PHASE")] = rng.random(4)
    return looks


def _thing(rng: np.random.Generator, parts: list, spot: np.ndarray, heading: float) -> Thing:
    """Boxes (center, half size) in the object's own frame, set on a spot (x, z)."""
    centers, halves = (np.array(column, np.float64) for column in zip(*parts, strict=True))
    corners = centers[:, None] + halves[:, None] * _CORNERS
    rest = corners[:, _SIDES].reshape(-1, 3)
    normals = np.tile(_NORMALS, (len(parts), 1))
    faces = (np.arange(6 * len(parts))[:, None, None] * 4 + _QUAD).reshape(-1, 3)
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    vertices = rest @ turn.T + [spot[0], 0, spot[1]]
    return Thing(vertices, normals @ turn.T, rest, faces.astype(np.int32), _random_looks(rng))


def _slab_on_legs(half_x: float, half_z: float, top: float, leg: float) -> list:
    slab = [([0, top - 0.02, 0], [half_x, 0.02, half_z])]
    legs = [
        ([x * (half_x - leg), (top - 0.04) / 2, z * (half_z - leg)], [leg, (top - 0.04) / 2, leg])
        for x in (-1, 1)
        for z in (-1, 1)
    ]
    return slab + legs


def seat(rng: np.random.Generator, top: float, spot: np.ndarray, heading: float) -> Thing:
    """Something to sit on, its surface at a height of `top` metres; it faces `heading`."""
    if rng.random() < 0.4:
        parts = [([0, top / 2, 0], [rng.uniform(0.2, 0.6), top / 2, rng.uniform(0.18, 0.25)])]
        return _thing(rng, parts, spot, heading)
    parts = _slab_on_legs(0.22, 0.21, top, rng.uniform(0.012, 0.025))
    if rng.random() < 0.7:
        parts.append(([0, top + 0.25, -0.25], [0.22, rng.uniform(0.1, 0.22), 0.015]))
    return _thing(rng, parts, spot, heading)


def obstacle(rng: np.random.Generator, spot: np.ndarray) -> Thing:
    """A box, table, chair, pole or partition standing on a spot (x, z)."""
    kind = rng.choice(["box", "table", "chair", "pole", "partition", "shelf"])
    heading = rng.uniform(0, 2 * np.pi)
    if kind == "box":
        half = np.exp(rng.uniform(np.log(0.12), np.log(0.45), 3))
        return _thing(rng, [([0, half[1], 0], half)], spot, heading)
    if kind == "table":
        parts = _slab_on_legs(
            rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.45), rng.uniform(0.45, 0.95), 0.025
        )
        if rng.random() < 0.6:  # something on it
            top, half = parts[0][0][1] + 0.02, rng.uniform(0.05, 0.2, 3)
            parts.append(([rng.uniform(-0.25, 0.25), top + half[1], 0], half))
        return _thing(rng, parts, spot, heading)
    if kind == "chair":
        return seat(rng, rng.uniform(0.4, 0.5), spot, heading)
    if kind == "pole":
        radius, height = rng.uniform(0.02, 0.12), rng.uniform(1.0, 3.5)
        return _thing(rng, [([0, height / 2, 0], [radius, height / 2, radius])], spot, heading)
    if kind == "partition":
        height = rng.uniform(0.6, 1.5)
        parts = [([0, height / 2, 0], [rng.uniform(0.3, 1.2), height / 2, 0.03])]
        return _thing(rng, parts, spot, rng.normal(0, 0.5))
    boards = np.arange(rng.integers(2, 5)) * rng.uniform(0.25, 0.45) + 0.1
    half, tall = rng.uniform(0.25, 0.6), boards[-1] / 2 + 0.05
    parts = [([0, board, 0], [half, 0.015, 0.17]) for board in boards]
    parts += [([side * half, tall, 0], [0.015, tall, 0.17]) for side in (-1, 1)]
    return _thing(rng, parts, spot, heading)


def static_attributes(thing: Thing) -> np.ndarray:
    """(N, 7) what the shaders want of each vertex: rest position, no region, part 255."""
    block = np.zeros((len(thing.rest), 7), np.float32)
    block[:, :3], block[:, 6] = thing.rest, OBJECT
    return block


def surface_points(thing: Thing) -> np.ndarray:
    """(N, 3) points all over the sides of a thing's boxes, world frame, metres."""
    quads = thing.vertices.reshape(-1, 4, 3)
    u, v = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 12))
    corners = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v]).reshape(4, -1)
    return np.einsum("qcx,cn->qnx", quads, corners).reshape(-1, 3)
