"""Random bodies of any size in SMPL's form, for the tests of `romp_core.body`."""

import numpy as np

from romp_core.body.data import BodyData
from romp_core.body.joints import LANDMARKS, SMPL_PARENTS


def random_body(
    vertices: int = 6890, faces: int = 13776, seed: int = 0, *, pose_directions: bool = True
) -> BodyData:
    """A body of random numbers in the range of SMPL's: no person, but every array counts."""
    rng = np.random.default_rng(seed)

    def sparse_rows(rows: int, per_row: int) -> np.ndarray:
        matrix = np.zeros((rows, vertices))
        for row in matrix:
            row[rng.choice(vertices, min(per_row, vertices), replace=False)] = 1
        return matrix / matrix.sum(axis=1, keepdims=True)

    weights = np.zeros((vertices, 24))
    for row in weights:  # as in SMPL's file: up to four joints move a vertex
        row[rng.choice(24, 4, replace=False)] = rng.dirichlet(np.ones(4))
    posedirs = rng.normal(0, 0.005, (207, 3 * vertices)) * pose_directions
    return BodyData(
        name="random",
        v_template=rng.uniform(-1, 1, (vertices, 3)).astype(np.float32),
        shapedirs=rng.normal(0, 0.02, (vertices, 3, 10)).astype(np.float32),
        posedirs=posedirs.astype(np.float32),
        J_regressor=sparse_rows(24, 30).astype(np.float32),
        weights=weights.astype(np.float32),
        parents=np.array(SMPL_PARENTS, np.int64),
        faces=rng.integers(0, vertices, (faces, 3)).astype(np.int32),
        landmark_names=LANDMARKS,
        landmark_regressor=sparse_rows(len(LANDMARKS), 5).astype(np.float32),
    )


def official_arrays(body: BodyData) -> dict[str, np.ndarray]:
    """The same body under the keys, shapes and types of SMPL's own files."""
    kintree_table = np.stack([body.parents, np.arange(24)])
    kintree_table[0, 0] = 2**32 - 1
    return {
        "v_template": body.v_template.astype(np.float64),
        "shapedirs": body.shapedirs.astype(np.float64),
        "posedirs": body.posedirs.T.reshape(-1, 3, 207).astype(np.float64),
        "J_regressor": body.J_regressor.astype(np.float64),
        "weights": body.weights.astype(np.float64),
        "kintree_table": kintree_table,
        "f": body.faces.astype(np.uint32),
    }
