"""A body of SMPL's exact size, for measuring where the licensed file must not be needed.

It is the open body without its last vertices, with made-up pose directions. Never stored in the
repository.
"""

from pathlib import Path

import numpy as np
import torch

from romp_core.body import BodyData, read_body
from romp_core.body.data import NUM_POSE_FEATURES
from romp_core.body.joints import (
    H36M_LANDMARKS,
    LANDMARKS,
    REGRESSED_LANDMARKS,
    SMPL_LANDMARK_VERTICES,
)
from romp_core.body.model import OPEN_BODY

VERTICES, FACES = 6890, 13776


def smpl_sized_body() -> BodyData:
    """6,890 vertices, 13,776 triangles, 207 pose directions and all landmarks."""
    body = read_body(OPEN_BODY)
    generator = np.random.default_rng(0)
    faces = body.faces[(body.faces < VERTICES).all(1)]
    regressed = len(REGRESSED_LANDMARKS) + len(H36M_LANDMARKS)
    picked = np.eye(VERTICES, dtype=np.float32)[list(SMPL_LANDMARK_VERTICES)]
    posedirs = generator.normal(0, 1e-3, (NUM_POSE_FEATURES, 3 * VERTICES))
    return BodyData(
        name="smpl_sized",
        v_template=body.v_template[:VERTICES],
        shapedirs=body.shapedirs[:VERTICES],
        posedirs=posedirs.astype(np.float32),
        J_regressor=_averages(body.J_regressor),
        weights=body.weights[:VERTICES],
        parents=body.parents,
        faces=np.resize(faces, (FACES, 3)),
        landmark_names=LANDMARKS,
        landmark_regressor=np.concatenate(
            [picked, _averages(body.landmark_regressor[-regressed:])]
        ),
    )


def write_packed(body: BodyData, path: Path) -> None:
    """The body in the form of the published ROMP's SMPL_NEUTRAL.pth."""
    first = len(SMPL_LANDMARK_VERTICES)
    second = first + len(REGRESSED_LANDMARKS)
    arrays = {
        "v_template": body.v_template,
        "shapedirs": body.shapedirs,
        "posedirs": body.posedirs,
        "J_regressor": body.J_regressor,
        "weights": body.weights,
        "kintree_table": body.parents,
        "f": body.faces.astype(np.float32),
        "J_regressor_extra9": body.landmark_regressor[first:second],
        "J_regressor_h36m17": body.landmark_regressor[second:],
        "extra_joints_index": np.array(SMPL_LANDMARK_VERTICES),
    }
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, path)


def _averages(regressor: np.ndarray) -> np.ndarray:
    """Rows of the vertices that are left, summing to 1 again."""
    left = regressor[:, :VERTICES]
    return left / left.sum(1, keepdims=True)
