"""`Sample`: one annotated picture, whatever data set it comes from.

Data sets know different things about the people in their pictures: a synthetic picture knows
everything, COCO only some 2D joints. Every per-person array is always there, with one row per
person; what is not known is NaN (2D joints: visibility 0). Losses ask `has_pose` and its
siblings which rows they may use.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from romp_core.errors import DataError

JOINT_COUNT = 71
"""Rows of `joints_3d` and `keypoints_2d`: `romp_core.body.joints.JOINTS_71`."""

UNLABELED, OCCLUDED, VISIBLE = 0.0, 1.0, 2.0
"""Third column of `keypoints_2d`, as in COCO. A joint outside of the picture is unlabeled."""

_PERSON_SHAPES = {
    "keypoints_2d": (JOINT_COUNT, 3),
    "boxes": (4,),
    "pose": (72,),
    "betas": (10,),
    "translation": (3,),
    "joints_3d": (JOINT_COUNT, 3),
    "areas": (),
}


@dataclass
class DenseMaps:
    """What a synthetic picture knows about each of its pixels.

    Attributes:
        depth: (H, W) float32 metres along the optical axis; inf where nothing was modelled.
        parts: (H, W) uint8; 0 background, 1 + joint number of the body part seen there
            (its clothes included), 255 an object in front.
        normals: (H, W, 3) float32 unit normals in the optical frame; zero off the people.
    """

    depth: np.ndarray
    parts: np.ndarray
    normals: np.ndarray


@dataclass
class Sample:
    """A picture and what is known about the K people in it.

    The optical frame has x right, y down, z forward, in metres; pixel centres lie at integers.
    A person array given as None is filled with NaN (`keypoints_2d`: zeros).

    Attributes:
        image: (H, W, 3) uint8, BGR.
        source: names the data set and the picture; appears in error messages.
        keypoints_2d: (K, 71, 3) float32 x, y in pixels and visibility: 0 unlabeled or outside
            of the picture, 1 occluded, 2 visible.
        boxes: (K, 4) float32 x1, y1, x2, y2 in pixels, clipped to the picture.
        pose: (K, 72) float32 axis-angle, radians; its first three numbers turn the body into
            the camera's optical frame.
        betas: (K, 10) float32, shape of the body named `body_id`.
        translation: (K, 3) float32 metres: add it to the body model's vertices.
        joints_3d: (K, 71, 3) float32 metres, optical frame, translation added. A data set
            without absolute positions may give them relative to any origin and leave
            `translation` unknown.
        areas: (K,) float32 squared pixels of the person's outline as annotated; keypoint
            similarity is relative to it.
        intrinsics: (3, 3) float32, or None where the camera is not known.
        body_id: `BodyModel.id` of the body that `betas` belong to; None where it is not known, or
            where people have different ones.
        ignored_boxes: (M, 4) float32: people that are there but not annotated (crowds, nearly
            hidden people); finding somebody in them is neither right nor wrong.
        annotated: (71,) bool: joints that the data set labels where it sees them; None means all.
            Of the others a picture does not even say that they are nowhere.
        everybody_annotated: whether people who are not annotated can only be in ignored boxes;
            otherwise they may be anywhere.
        dense: per-pixel targets, or None.

    Raises:
        DataError: an array has the wrong shape, or K differs between arrays.
    """

    image: np.ndarray
    source: str
    keypoints_2d: np.ndarray | None = None
    boxes: np.ndarray | None = None
    pose: np.ndarray | None = None
    betas: np.ndarray | None = None
    translation: np.ndarray | None = None
    joints_3d: np.ndarray | None = None
    areas: np.ndarray | None = None
    intrinsics: np.ndarray | None = None
    body_id: str | None = None
    ignored_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    annotated: np.ndarray | None = None
    everybody_annotated: bool = True
    dense: DenseMaps | None = None

    def __post_init__(self):
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f"{self.source}: image is {image.dtype} {image.shape}; expected uint8 (H, W, 3)"
            )
        given = [name for name in _PERSON_SHAPES if getattr(self, name) is not None]
        count = len(getattr(self, given[0])) if given else 0
        for name, shape in _PERSON_SHAPES.items():
            value = getattr(self, name)
            if value is None:
                unknown = UNLABELED if name == "keypoints_2d" else np.nan
                value = np.full((count, *shape), unknown)
            setattr(self, name, self._checked(name, value, (count, *shape)))
        self.ignored_boxes = self._checked(
            "ignored_boxes", self.ignored_boxes, (len(self.ignored_boxes), 4)
        )
        if self.annotated is None:
            self.annotated = np.ones(JOINT_COUNT, bool)
        elif self.annotated.shape != (JOINT_COUNT,):
            raise DataError(
                f"{self.source}: annotated is {self.annotated.shape}; expected ({JOINT_COUNT},)"
            )
        if self.intrinsics is not None:
            self.intrinsics = self._checked("intrinsics", self.intrinsics, (3, 3))

    def _checked(self, name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        value = np.ascontiguousarray(value, np.float32)
        if value.shape != shape:
            raise DataError(f"{self.source}: {name} is {value.shape}; expected {shape}")
        return value

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, people: np.ndarray) -> "Sample":
        """The same picture with some of its people: a (K,) mask or indices."""
        chosen = {name: getattr(self, name)[people] for name in _PERSON_SHAPES}
        others = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in chosen}
        return Sample(**others, **chosen)

    @property
    def has_pose(self) -> np.ndarray:
        """(K,) bool: the pose is known."""
        return np.isfinite(self.pose).all(-1)

    @property
    def has_betas(self) -> np.ndarray:
        """(K,) bool: the shape is known."""
        return np.isfinite(self.betas).all(-1)

    @property
    def has_translation(self) -> np.ndarray:
        """(K,) bool: the place in the camera's frame is known."""
        return np.isfinite(self.translation).all(-1)

    @property
    def has_joints_3d(self) -> np.ndarray:
        """(K, 71) bool: the joint's 3D position is known."""
        return np.isfinite(self.joints_3d).all(-1)

    @property
    def has_keypoints(self) -> np.ndarray:
        """(K, 71) bool: the joint's pixel is labeled, seen or not."""
        return self.keypoints_2d[..., 2] > UNLABELED

    @property
    def only_boxes(self) -> bool:
        """Whether the data set labels no joints at all: then boxes tell where people are."""
        return not self.annotated.any()
