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
        # Coordinate by coordinate, people last: whole rows are gathered and added.
        columns = np.ascontiguousarray(np.moveaxis(vertices, (2, 1), (0, 1)), np.float32)
        a, b, c = (columns.take(corner, axis=1) for corner in self.faces.T)
        face_normals = _cross(b - a, c - a)
        summed = np.stack([self._faces_of_vertex @ coordinate for coordinate in face_normals])
        return np.moveaxis(summed, (2, 1), (0, 1))


def _cross(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross product of vectors that are three arrays each, several times faster than np.cross."""
    (ax, ay, az), (bx, by, bz) = a, b
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
