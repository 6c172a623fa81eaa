"""Simple closed bodies for the tests of rendering, faces counter-clockwise from outside."""

import numpy as np

from romp_core.people import People


def box(low, high):
    """Vertices (8, 3) of an axis-aligned box in the optical frame and its faces (12, 3)."""
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij"))
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [[a, b, c] for a, b, c, _ in sides] + [[a, c, d] for a, _, c, d in sides]
    return corners.reshape(3, 8).T.astype(np.float32), np.array(faces, np.int32)


def ball(center=(0, 0, 0), radius=1.0, rings=24):
    """Vertices (V, 3) and faces (F, 3) of a ball."""
    latitude, longitude = np.meshgrid(
        np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings, False), indexing="ij"
    )
    points = np.stack(
        [
            np.sin(latitude) * np.cos(longitude),
            np.cos(latitude),
            np.sin(latitude) * np.sin(longitude),
        ],
        -1,
    )
    row, column = np.meshgrid(np.arange(rings - 1), np.arange(2 * rings), indexing="ij")
    a, b = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    faces = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)]).reshape(-1, 3)
    vertices = (points.reshape(-1, 3) * radius + center).astype(np.float32)
    return vertices, faces.astype(np.int32)


def make_people(vertices, track_ids):
    """People of whom only the mesh and the identity matter."""
    count = len(vertices)
    nobody = vars(People.empty())
    fields = {name: np.zeros((count, *value.shape[1:])) for name, value in nobody.items()}
    return People(**fields | {"vertices": vertices, "track_ids": np.array(track_ids)})
