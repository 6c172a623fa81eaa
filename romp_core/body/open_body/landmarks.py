"""Where the 47 landmarks beyond SMPL's 24 joints lie on the open body."""

from __future__ import annotations

import numpy as np

from romp_core.body.joints import LANDMARKS, SMPL_JOINTS, mirrored_name
from romp_core.body.open_body.source import AnnySource

_FINGERS = ("thumb", "index", "middle", "ring", "little")

# Landmarks inside the body, as weighted means of SMPL joints and of landmarks on the skin. The
# joints of LSP, MPII and Human3.6M that are missing here are SMPL's joints of the same name.
_MEANS: dict[str, dict[str, float]] = {
    # LSP and Human3.6M mark the neck where it leaves the collar bones, MPII the thorax below.
    "neck_lsp": {"neck": 0.5, "left_collar": 0.25, "right_collar": 0.25},
    "neck_h17": {"neck": 0.5, "left_collar": 0.25, "right_collar": 0.25},
    "thorax_mpii": {"left_collar": 0.5, "right_collar": 0.5},
    "pelvis_mpii": {"left_hip": 0.5, "right_hip": 0.5},
    "pelvis_h17": {"left_hip": 0.5, "right_hip": 0.5},
    # Human3.6M's spine is half-way between hips and thorax, its head 3 cm below the crown, and
    # its jaw (also called nose) half-way up the head.
    "spine_h36m": {"spine2": 1.0},
    "spine_h17": {"spine2": 1.0},
    "head_h36m": {"head": 0.2, "head_top_lsp": 0.8},
    "head_top_h17": {"head": 0.2, "head_top_lsp": 0.8},
    "jaw_h36m": {"head": 0.6, "nose": 0.4},
    "jaw_h17": {"head": 0.6, "nose": 0.4},
}


def landmark_vertices(
    source: AnnySource, skin: np.ndarray, vertices: np.ndarray, mirror: np.ndarray
) -> dict[str, int]:
    """The Anny vertex of each landmark that lies on the skin.

    Args:
        source: Anny.
        skin: Anny vertices of the outer skin; only these are chosen.
        vertices: (V, 3) a symmetric body in the rest pose.
        mirror: (V,) the vertex on the other side of each vertex.
    """
    labels = source.model.bone_labels
    strongest = np.array(labels)[source.model.dense_vertex_bone_weights.numpy().argmax(axis=1)]
    x, y, z = vertices.T

    def of(prefix: str) -> np.ndarray:
        return skin[np.char.startswith(strongest[skin].astype(str), prefix)]

    head = skin[source.weights[skin, SMPL_JOINTS.index("head")] > 0.5]
    middle = head[np.abs(x[head]) < 1e-6]
    face = middle[z[middle] > np.median(z[head])]
    ear = head[x[head] > x[head].max() - 0.02]
    foot = of("foot.L")
    found = {
        "nose": face[z[face].argmax()],
        "head_top_lsp": middle[y[middle].argmax()],
        "left_eye": of("eye.L")[z[of("eye.L")].argmax()],
        "left_ear": ear[_nearest(vertices[ear], vertices[ear].mean(axis=0))],
        "left_big_toe": of("toe1")[z[of("toe1")].argmax()],
        "left_small_toe": of("toe5")[z[of("toe5")].argmax()],
        "left_heel": foot[z[foot].argmin()],
    }
    for number, finger in enumerate(_FINGERS, start=1):
        tip = of(f"finger{number}-3.L")
        base = vertices[of(f"finger{number}-1.L")].mean(axis=0)
        found[f"left_{finger}"] = tip[np.linalg.norm(vertices[tip] - base, axis=1).argmax()]
    left = {name: int(vertex) for name, vertex in found.items()}
    right = {mirrored_name(name): int(mirror[vertex]) for name, vertex in left.items()}
    return right | left


def landmark_regressor(joint_regressor: np.ndarray, on_skin: dict[str, int]) -> np.ndarray:
    """The regressor (47, V) of all landmarks, from that of the joints and the skin's vertices.

    Args:
        joint_regressor: (24, V).
        on_skin: Vertex index by name, for the landmarks on the skin.
    """
    rows = dict(zip(SMPL_JOINTS, joint_regressor, strict=True))
    for name, vertex in on_skin.items():
        rows[name] = np.eye(1, joint_regressor.shape[1], vertex)[0]
    for name, mean in _MEANS.items():
        rows[name] = sum(weight * rows[part] for part, weight in mean.items())
    for name in LANDMARKS:
        rows.setdefault(name, rows.get(name.rpartition("_")[0]))
    return np.stack([rows[name] for name in LANDMARKS])


def _nearest(points: np.ndarray, target: np.ndarray) -> int:
    return int(np.linalg.norm(points - target, axis=1).argmin())
