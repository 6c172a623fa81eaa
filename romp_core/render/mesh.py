"""What shading needs to know of a triangle mesh."""

import numpy as np
from scipy import sparse


class Topology:
    """Triangles over numbered vertices, and the normals of any vertices that they join.

    Args:
        faces: (F, 3) int vertex numbers, counter-clockwise from outside.
        vertex_count: V.

    Raises:
        ValueError: faces of another shape, or with numbers outside of 0..V-1.
    """

    def __init__(self, faces: np.ndarray, vertex_count: int):
        faces = np.asarray(faces)
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
            raise ValueError(
                f"faces have shape {faces.shape} and dtype {faces.dtype}; expected (F, 3) integers"
            )
        if faces.size and not 0 <= faces.min() <= faces.max() < vertex_count:
            raise ValueError(
                f"faces name vertices {faces.min()} to {faces.max()}; expected 0 to "
                f"{vertex_count - 1}: they belong to another body"
            )
        self.faces = faces.astype(np.int32)
        self.vertex_count = vertex_count
        ones = np.ones(faces.size, np.float32)
        columns = np.repeat(np.arange(len(faces)), 3)
        shape = (vertex_count, len(faces))
        self._faces_of_vertex = sparse.csr_array((ones, (self.faces.ravel(), columns)), shape)

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Vertex normals, the surrounding faces weighted by their areas, not normalised.

        Args:
            vertices: (K, V, 3).

        Returns:
            (K, V, 3) float32, pointing outside.
        """
        people = len(vertices)
        # Vertices first: one sparse product then serves all people and coordinates.
        columns = np.ascontiguousarray(np.moveaxis(vertices, 0, 1), np.float32)
        a, b, c = (columns[self.faces[:, corner]] for corner in range(3))
        face_normals = _cross(b - a, c - a).reshape(len(self.faces), 3 * people)
        summed = self._faces_of_vertex @ face_normals
        return np.moveaxis(summed.reshape(self.vertex_count, people, 3), 1, 0)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product over the last axis, several times faster than np.cross."""
    ax, ay, az = np.moveaxis(a, -1, 0)
    bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)
