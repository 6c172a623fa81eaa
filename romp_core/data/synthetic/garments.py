"""A body with a wardrobe: extra pieces of geometry that move with the body.

Clothes that follow the skin are not geometry: the shader lets them stand off the body. What
hangs or stands away from it is: skirts and coat tails, long hair, hats, bags. Each piece is
built around the body's rest pose, takes the shape directions of the skin next to it, and has
skinning weights of its own, so one `BodyModel` poses body and wardrobe together.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from romp_core.body import BodyData, BodyModel
from romp_core.body.joints import SMPL_JOINTS

_JOINT = {name: index for index, name in enumerate(SMPL_JOINTS)}


@dataclass
class Piece:
    """Geometry in the rest pose.

    Attributes:
        vertices: (N, 3) metres.
        faces: (F, 3) indices into `vertices`.
        weights: (N, 24) skinning weights.
        kind: one of `people_shaders.PIECES`.
        along: (N,) where along the piece a vertex lies; the shader cuts lengths by it.
    """

    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    kind: str
    along: np.ndarray


def _grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles between `rows` rings of `columns` vertices, outside seen counter-clockwise."""
    r, c = np.mgrid[: rows - 1, : columns if closed else columns - 1]
    a, b = r * columns + c, r * columns + (c + 1) % columns
    down_a, down_b = a + columns, b + columns
    return np.stack([a, down_a, b, b, down_a, down_b], -1).reshape(-1, 3)


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@dataclass
class _Measures:
    """The body's rest pose as a tailor sees it."""

    vertices: np.ndarray
    joints: np.ndarray
    parts: np.ndarray
    head_center: np.ndarray
    head_radius: float

    @classmethod
    def of(cls, data: BodyData) -> "_Measures":
        joints = data.J_regressor @ data.v_template
        parts = data.weights.argmax(1)
        head = data.v_template[parts == _JOINT["head"]]
        top, low = head[:, 1].max(), head[:, 1].min()
        radius = 0.42 * (top - low)
        center = np.array([0.0, top - radius, np.median(head[:, 2])])
        return cls(data.v_template, joints, parts, center, float(radius))

    def joint(self, name: str) -> np.ndarray:
        return self.joints[_JOINT[name]]

    def outline(self, height: float, angles: np.ndarray, reach: float) -> np.ndarray:
        """Distance of the convex outline from the vertical axis at a height, per angle.

        The angle runs from the front (+z) to the left (+x); `reach` leaves the arms out.
        """
        v = self.vertices
        slab = v[(np.abs(v[:, 1] - height) < 0.025) & (np.abs(v[:, 0]) < reach)]
        directions = np.stack([np.sin(angles), np.cos(angles)])
        return (slab[:, [0, 2]] @ directions).max(0)


def _skirt(body: _Measures) -> Piece:
    """From the waist to the ankles; the shader cuts it off at the wanted length."""
    angles = np.arange(40) / 40 * 2 * np.pi
    waist = 0.5 * (body.joint("pelvis")[1] + body.joint("spine2")[1])
    heights = np.linspace(waist, body.joint("left_ankle")[1], 22)
    hips, knees = body.joint("left_hip")[1], body.joint("left_knee")[1]
    rings, radius = [], np.zeros(len(angles))
    for height in heights:
        radius = np.maximum(radius, body.outline(height, angles, 0.3))
        loose = radius + 0.012 + 0.16 * max(0.0, waist - height)
        x, z = loose * np.sin(angles), loose * np.cos(angles)
        rings.append(np.stack([x, np.full_like(x, height), z], -1))
    vertices = np.concatenate(rings)
    x, y = vertices[:, 0], vertices[:, 1]
    left = _smoothstep(-0.12, 0.12, x)
    follow = 0.9 * _smoothstep(hips + 0.08, hips - 0.25, y)
    bend = 0.75 * _smoothstep(knees + 0.08, knees - 0.2, y)
    weights = np.zeros((len(vertices), 24))
    weights[:, _JOINT["pelvis"]] = 1 - follow
    for side, share in (("left", left), ("right", 1 - left)):
        weights[:, _JOINT[f"{side}_hip"]] = follow * share * (1 - bend)
        weights[:, _JOINT[f"{side}_knee"]] = follow * share * bend
    along = (waist - y) / (waist - heights[-1])
    return Piece(vertices, _grid_faces(22, 40, True), weights, "skirt", along)


def _long_hair(body: _Measures) -> Piece:
    """A sheet around the back of the head, down to the shoulder blades."""
    angles = np.linspace(0.36 * np.pi, 1.64 * np.pi, 26)
    center, radius = body.head_center, body.head_radius
    heights = np.linspace(center[1] + 0.9 * radius, body.joint("spine3")[1], 18)
    rings = []
    for height in heights:
        rise = np.clip((height - center[1]) / radius, 0, 1)
        skull = 1.06 * radius * np.sqrt(1 - rise**2)
        # Below the skull the sheet falls straight, but never into the back.
        back = -body.outline(height, np.array([np.pi]), 0.12)[0] - 0.015 - center[2]
        x = skull * np.sin(angles)
        z = np.where(
            np.cos(angles) < 0, -max(skull, -back) * -np.cos(angles), skull * np.cos(angles)
        )
        rings.append(np.stack([x, np.full_like(x, height), z + center[2]], -1))
    vertices = np.concatenate(rings)
    neck = body.joint("neck")[1]
    fall = _smoothstep(center[1] - 0.5 * radius, neck - 0.12, vertices[:, 1])
    weights = np.zeros((len(vertices), 24))
    weights[:, _JOINT["head"]] = (1 - fall) ** 2
    weights[:, _JOINT["neck"]] = 2 * fall * (1 - fall)
    weights[:, _JOINT["spine3"]] = fall**2
    along = np.repeat(np.linspace(0, 1, 18), 26)
    return Piece(vertices, _grid_faces(18, 26, False), weights, "hair", along)


def _ellipsoid(center: np.ndarray, radii: np.ndarray, squareness: float = 1.0) -> tuple:
    """Vertices and faces of an ellipsoid; a squareness under 1 makes it a rounded box."""
    rows, columns = 9, 14
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij"
    )
    unit = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1
    ).reshape(-1, 3)
    unit = np.sign(unit) * np.abs(unit) ** squareness
    return center + radii * unit, _grid_faces(rows, columns, True)


def _rigid(vertices: np.ndarray, **joints: float) -> np.ndarray:
    weights = np.zeros((len(vertices), 24))
    for name, share in joints.items():
        weights[:, _JOINT[name]] = share
    return weights


def _hat(body: _Measures) -> Piece:
    """A dome and a brim; the shader keeps a cap's visor, the whole brim, or none."""
    radius, angles = body.head_radius, np.arange(28) / 28 * 2 * np.pi
    polar = np.concatenate([np.linspace(0.02, 0.42 * np.pi, 8), np.full(5, 0.42 * np.pi)])
    stretch = np.concatenate([np.full(8, 1.17), np.linspace(1.2, 1.85, 5)])
    rings = [
        np.stack(
            [
                0.94 * s * np.sin(p) * np.sin(angles),
                np.full_like(angles, 1.17 * np.cos(p) + 0.02 - 0.1 * max(0.0, s - 1.2)),
                1.1 * s * np.sin(p) * np.cos(angles),
            ],
            -1,
        )
        for p, s in zip(polar, stretch, strict=True)
    ]
    vertices = body.head_center + radius * np.concatenate(rings)
    along = np.repeat(np.concatenate([np.linspace(0, 0.95, 8), np.linspace(1.05, 2, 5)]), 28)
    faces = _grid_faces(13, 28, True)
    return Piece(vertices, faces, _rigid(vertices, head=1.0), "hat", along)


def _bun(body: _Measures) -> Piece:
    center = body.head_center + body.head_radius * np.array([0, 0.35, -1.15])
    vertices, faces = _ellipsoid(center, body.head_radius * np.array([0.45, 0.45, 0.4]))
    weights = _rigid(vertices, head=1.0)
    return Piece(vertices, faces, weights, "hair", np.zeros(len(vertices)))


def _ponytail(body: _Measures) -> Piece:
    center = body.head_center + body.head_radius * np.array([0, -0.75, -1.3])
    vertices, faces = _ellipsoid(center, body.head_radius * np.array([0.28, 1.3, 0.3]))
    weights = _rigid(vertices, head=0.8, neck=0.2)
    return Piece(vertices, faces, weights, "hair", np.zeros(len(vertices)))


def _backpack(body: _Measures) -> Piece:
    chest = 0.55 * body.joint("spine3") + 0.45 * body.joint("spine2")
    back = -body.outline(chest[1], np.array([np.pi]), 0.12)[0]
    center = np.array([0.0, chest[1] + 0.02, back - 0.07])
    vertices, faces = _ellipsoid(center, np.array([0.15, 0.23, 0.09]), 0.6)
    weights = _rigid(vertices, spine3=0.7, spine2=0.3)
    return Piece(vertices, faces, weights, "bag", np.zeros(len(vertices)))


def _hand_bag(body: _Measures) -> Piece:
    # Beyond the finger tips of the rest pose, so that it hangs below a hanging arm.
    tip = body.vertices[body.vertices[:, 0].argmax()]
    vertices, faces = _ellipsoid(tip + [0.11, 0, 0], np.array([0.16, 0.05, 0.18]), 0.5)
    weights = _rigid(vertices, left_wrist=1.0)
    return Piece(vertices, faces, weights, "bag", np.zeros(len(vertices)))


def _shoes(body: _Measures) -> Piece:
    """Two rounded shoes: toes that show through are the surest sign of a mannequin."""
    vertices, faces, weights = [], [], []
    for side in ("left", "right"):
        ankle, ball = body.joint(f"{side}_ankle"), body.joint(f"{side}_foot")
        members = (body.parts == _JOINT[f"{side}_ankle"]) | (body.parts == _JOINT[f"{side}_foot"])
        foot = body.vertices[members & (body.vertices[:, 1] < ankle[1] + 0.01)]
        low, high = foot.min(0), foot.max(0)
        radii = (high - low) / 2 * [1.08, 1.15, 1.06]
        shape, triangles = _ellipsoid((low + high) / 2, radii, 0.65)
        # The instep slopes down towards the toes.
        ahead = np.clip((shape[:, 2] - ankle[2]) / (high[2] - ankle[2]), 0, 1)
        shape[:, 1] -= 0.55 * ahead * np.maximum(shape[:, 1] - low[1] - 0.02, 0)
        bend = _smoothstep(ball[2] - 0.02, ball[2] + 0.02, shape[:, 2])
        weight = _rigid(shape, **{f"{side}_ankle": 1.0}) * (1 - bend)[:, None]
        weights.append(weight + _rigid(shape, **{f"{side}_foot": 1.0}) * bend[:, None])
        faces.append(triangles + sum(len(v) for v in vertices))
        vertices.append(shape)
    vertices = np.concatenate(vertices)
    along = (vertices[:, 1] - vertices[:, 1].min()) / np.ptp(vertices[:, 1])
    return Piece(vertices, np.concatenate(faces), np.concatenate(weights), "shoe", along)


def _scarf(body: _Measures) -> Piece:
    """A ring around the neck: a scarf, or a hood that hangs down."""
    around, tube = np.arange(24) / 24 * 2 * np.pi, np.arange(8) / 8 * 2 * np.pi
    neck = body.joint("neck") + [0, 0.01, 0.005]
    ring = np.stack([np.sin(around), np.zeros(24), np.cos(around)], -1)
    up = np.array([0, 0.045, 0])
    vertices = neck + ring[:, None] * (0.085 + 0.04 * np.cos(tube)[:, None])
    vertices = (vertices + np.sin(tube)[:, None] * up).reshape(-1, 3)
    column = np.arange(24 * 8).reshape(24, 8)
    a, b = column, np.roll(column, -1, 0)
    c, d = np.roll(a, -1, 1), np.roll(b, -1, 1)
    faces = np.stack([a, b, c, c, b, d], -1).reshape(-1, 3)
    weights = _rigid(vertices, neck=0.4, spine3=0.6)
    return Piece(vertices, faces, weights, "scarf", np.zeros(len(vertices)))


def _held(offset: tuple, radii: tuple, squareness: float):
    """Something in the right hand: the palm of the rest pose looks down, the thumb forward."""

    def make(body: _Measures) -> Piece:
        palm = 0.5 * (body.joint("right_wrist") + body.joint("right_hand")) + [-0.04, -0.03, 0]
        vertices, faces = _ellipsoid(palm + np.array(offset), np.array(radii), squareness)
        weights = _rigid(vertices, right_wrist=1.0)
        return Piece(vertices, faces, weights, "bag", np.zeros(len(vertices)))

    return make


_MAKERS = {
    "scarf": _scarf,
    "stick": _held((0.0, 0.0, 0.25), (0.018, 0.018, 0.55), 0.6),
    "ball": _held((-0.02, -0.1, 0.0), (0.11, 0.11, 0.11), 1.0),
    "phone": _held((-0.04, 0.0, 0.03), (0.04, 0.012, 0.08), 0.4),
    "board": _held((0.0, 0.0, 0.0), (0.16, 0.02, 0.4), 0.7),
    "shoes": _shoes,
    "skirt": _skirt,
    "long_hair": _long_hair,
    "bun": _bun,
    "ponytail": _ponytail,
    "hat": _hat,
    "backpack": _backpack,
    "hand_bag": _hand_bag,
}


def _regions(body: _Measures) -> np.ndarray:
    """How far along arm, leg and trunk each vertex lies.

    Returns:
        (V, 3): arm 0 shoulder, 1 elbow, 2 wrist, 3 finger tips; leg 0 hip, 1 knee, 2 ankle,
        3 sole; trunk 0 hip, 1 base of the neck, 2 top of the head. Negative elsewhere.
    """
    x, y = np.abs(body.vertices[:, 0]), body.vertices[:, 1]
    shoulder, elbow, wrist = (
        body.joint(f"left_{name}")[0] for name in ("shoulder", "elbow", "wrist")
    )
    arm = np.interp(x, [0, shoulder, elbow, wrist, x.max()], [-1, 0, 1, 2, 3])
    arm = np.where(y > body.joint("spine2")[1], arm, -1)
    hip, knee, ankle = (body.joint(f"left_{name}")[1] for name in ("hip", "knee", "ankle"))
    leg = np.interp(-y, [-hip - 0.3, -hip, -knee, -ankle, -y.min()], [-1, 0, 1, 2, 3])
    trunk = np.interp(y, [y.min(), hip, body.joint("neck")[1], y.max()], [-2, 0, 1, 2])
    return np.stack([arm, leg, trunk], -1).astype(np.float32)


class DressedBody:
    """Body and wardrobe as one mesh.

    Args:
        data: the body.

    Attributes:
        body_id: `BodyModel.id` of the body alone: what the annotations refer to.
        model: `BodyModel` of body and wardrobe; its joints are the body's.
        body_vertex_count: the first so many vertices are the body's.
        body_faces: (F, 3) the body's triangles.
        piece_faces: triangles of each piece of the wardrobe, by name.
        piece_kinds: of each piece, the `people_shaders.PIECES` that it is drawn as.
        static: (V, 7) float32, what the shaders want to know of each vertex: rest position,
            region (arm, leg, trunk), body part (joint number + 1).
        head_center, head_radius: of the rest pose, metres.
        landmarks: rest positions (L, 3) of all joints by name.
    """

    def __init__(self, data: BodyData):
        body = _Measures.of(data)
        pieces = {name: make(body) for name, make in _MAKERS.items()}
        self.body_id = data.id
        self.body_vertex_count = len(data.v_template)
        self.body_faces = data.faces
        self.head_center, self.head_radius = body.head_center, body.head_radius
        self.piece_faces, start = {}, self.body_vertex_count
        for name, piece in pieces.items():
            self.piece_faces[name] = (piece.faces + start).astype(np.int32)
            start += len(piece.vertices)
        self.piece_kinds = {name: piece.kind for name, piece in pieces.items()}
        self.model = BodyModel(_extended(data, list(pieces.values())))
        self.static = self._static(body, list(pieces.values()))
        joints = np.concatenate([body.joints, data.landmark_regressor @ data.v_template])
        self.landmarks = dict(zip(self.model.joint_names, joints, strict=True))

    @staticmethod
    def _static(body: _Measures, pieces: list[Piece]) -> np.ndarray:
        blocks = [np.column_stack([body.vertices, _regions(body), body.parts + 1])]
        for piece in pieces:
            region = np.repeat(piece.along[:, None], 3, 1)
            blocks.append(np.column_stack([piece.vertices, region, piece.weights.argmax(1) + 1]))
        return np.concatenate(blocks).astype(np.float32)


def _extended(data: BodyData, pieces: list[Piece]) -> BodyData:
    """The body with more vertices: they take part in no joint, and change with the skin nearby."""
    tree = cKDTree(data.v_template)
    shapedirs, weights, vertices = [data.shapedirs], [data.weights], [data.v_template]
    for piece in pieces:
        distances, nearest = tree.query(piece.vertices, k=16)
        share = 1 / (distances + 0.03)
        share /= share.sum(1, keepdims=True)
        shapedirs.append(np.einsum("nk,nkcb->ncb", share, data.shapedirs[nearest]))
        weights.append(piece.weights / piece.weights.sum(1, keepdims=True))
        vertices.append(piece.vertices)
    extra = sum(len(piece.vertices) for piece in pieces)

    def without_extra(regressor: np.ndarray) -> np.ndarray:
        return np.pad(regressor, ((0, 0), (0, extra)))

    # Stored as x, y, z of one vertex after another: new vertices have no pose directions.
    return replace(
        data,
        name=f"{data.name} with wardrobe",
        v_template=np.concatenate(vertices).astype(np.float32),
        shapedirs=np.concatenate(shapedirs).astype(np.float32),
        posedirs=without_extra(np.pad(data.posedirs, ((0, 0), (0, 2 * extra)))),
        J_regressor=without_extra(data.J_regressor),
        weights=np.concatenate(weights).astype(np.float32),
        landmark_regressor=without_extra(data.landmark_regressor),
    )
