"""Augmentation: what is done to a sample before the network sees it, annotations included."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.body.joints import JOINTS_71, SMPL_JOINTS, flip_permutation
from romp_core.data.sample import OCCLUDED, UNLABELED, VISIBLE, DenseMaps, Sample
from romp_core.errors import expect
from romp_core.geometry.cameras import Letterbox

_FLIP_KEYPOINTS = flip_permutation(JOINTS_71)
_FLIP_POSE = flip_permutation(SMPL_JOINTS)
# Part labels are 0 for the background, 1 + joint for a part, 255 for things in front.
_PART_IN_FRONT = 255
_FLIP_PARTS = np.arange(256, dtype=np.uint8)
_FLIP_PARTS[1 : 1 + len(_FLIP_POSE)] = np.add(_FLIP_POSE, 1)
_PROBABILITIES = (
    "flip", "rotate", "crop", "color", "gray", "blur", "noise", "jpeg", "occlude",
)  # fmt: skip
# Of whom less is left in the picture is ignored, neither person nor background.
_MINIMUM_LABELED = 4  # keypoints
_MINIMUM_BOX_SHARE = 0.3  # of boxes, where a data set has nothing else


@dataclass(frozen=True)
class AugmentationConfig:
    """Probabilities and ranges; the defaults are the published ones where those exist.

    Attributes:
        flip: probability of mirroring.
        rotate: probability of turning the picture about its centre.
        rotation_deg: largest turn in degrees.
        crop: probability of cropping around one person instead of showing the whole picture; a
            training run ignores it and takes `schedule.crop`.
        crop_scale: side of that crop over the person's box, smallest and largest.
        zoom: side of a whole picture's square over the picture's, smallest and largest.
        shift: largest offset of the square's centre, as a share of its side.
        color: probability of changing brightness, contrast and hue.
        gray: probability of taking the colour away.
        blur, noise, jpeg: probability of each.
        occlude: probability of patches that hide parts of the picture.

    Raises:
        ConfigError: a value out of its range, by name.
    """

    flip: float = 0.5
    rotate: float = 0.2
    rotation_deg: float = 30.0
    crop: float = 0.1
    crop_scale: tuple[float, float] = (1.1, 2.4)
    zoom: tuple[float, float] = (0.7, 1.3)
    shift: float = 0.1
    color: float = 0.2
    gray: float = 0.05
    blur: float = 0.1
    noise: float = 0.1
    jpeg: float = 0.1
    occlude: float = 0.1

    def __post_init__(self):
        for name in _PROBABILITIES:
            found = getattr(self, name)
            expect(0 <= found <= 1, f"augmentation.{name}", found, "a probability, 0 to 1")
        for name in ("crop_scale", "zoom"):
            low, high = found = getattr(self, name)
            fits = 0 < low <= high < math.inf
            expect(fits, f"augmentation.{name}", list(found), "smallest and largest, more than 0")
        turn, shift = self.rotation_deg, self.shift
        expect(0 <= turn <= 180, "augmentation.rotation_deg", turn, "degrees, 0 to 180")
        expect(0 <= shift <= 1, "augmentation.shift", shift, "a share of the side, 0 to 1")


NO_AUGMENTATION = AugmentationConfig(
    flip=0, rotate=0, crop=0, zoom=(1, 1), shift=0,
    color=0, gray=0, blur=0, noise=0, jpeg=0, occlude=0,
)  # fmt: skip
"""Whole pictures, as inference sees them."""


def augment(
    sample: Sample, size: int, rng: np.random.Generator, config: AugmentationConfig
) -> Sample:
    """A sample as a square picture, changed at random, with annotations that still fit it.

    Args:
        sample: any sample.
        size: side of the result in pixels.
        rng: decides everything.
        config: what may happen.

    Returns:
        A new sample; its `intrinsics` and `translation` are unknown, `joints_3d` keep their
        own origin.
    """
    angle = 0.0
    if rng.random() < config.rotate:
        angle = math.radians(rng.uniform(-config.rotation_deg, config.rotation_deg))
    sample = warp(sample, size, *_square(sample, rng, config), angle)
    if rng.random() < config.flip:
        sample = mirror(sample)
    if rng.random() < config.occlude:
        sample = occlude(sample, rng)
    return replace(sample, image=_spoil(sample.image, rng, config))


def _square(
    sample: Sample, rng: np.random.Generator, config: AugmentationConfig
) -> tuple[np.ndarray, float]:
    """Centre (2,) and side, in pixels, of the part of the picture that is shown."""
    boxes = sample.boxes[np.isfinite(sample.boxes).all(1)]
    if len(boxes) and rng.random() < config.crop:
        box = boxes[rng.integers(len(boxes))]
        center, extent = (box[:2] + box[2:]) / 2, max(2.0, float((box[2:] - box[:2]).max()))
        side = extent * rng.uniform(*config.crop_scale)
    else:
        height, width = sample.image.shape[:2]
        letterbox = Letterbox(height, width)
        corner = np.array([-letterbox.left - 0.5, -letterbox.top - 0.5])
        center, side = corner + letterbox.side / 2, letterbox.side * rng.uniform(*config.zoom)
    return center + rng.uniform(-config.shift, config.shift, 2) * side, side


def warp(sample: Sample, size: int, center: np.ndarray, side: float, angle: float = 0.0) -> Sample:
    """The square of the picture around `center`, turned by `angle`, as `size` x `size` pixels.

    Args:
        sample: any sample.
        size: side of the result in pixels.
        center: (2,) in pixels of the sample.
        side: in pixels of the sample.
        angle: radians, clockwise as seen; bodies turn with the picture about the optical axis.

    Returns:
        The sample, without people of whom fewer than four labeled keypoints remain, or less than
        0.3 of the box where the data set labels no joints: their boxes are ignored regions.
    """
    scale = size / side
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32
    )
    middle = np.full(2, (size - 1) / 2)
    affine = np.concatenate([scale * turn, (middle - scale * turn @ center)[:, None]], 1)
    shrinks = scale < 0.7
    image = cv2.warpAffine(
        # Shrinking by sampling alone would alias.
        cv2.GaussianBlur(sample.image, (0, 0), 0.4 / scale) if shrinks else sample.image,
        affine,
        (size, size),
        flags=cv2.INTER_LINEAR if shrinks else cv2.INTER_CUBIC,
    )
    keypoints = sample.keypoints_2d.copy()
    keypoints[..., :2] = keypoints[..., :2] @ affine[:, :2].T + affine[:, 2]
    outside = ((keypoints[..., :2] < -0.5) | (keypoints[..., :2] > size - 0.5)).any(-1)
    keypoints[outside, 2] = UNLABELED
    rotation = np.eye(3)
    rotation[:2, :2] = turn
    pose = sample.pose.copy()
    known = sample.has_pose
    if known.any():
        orient = Rotation.from_matrix(rotation) * Rotation.from_rotvec(pose[known, :3])
        pose[known, :3] = orient.as_rotvec()
    boxes = _warp_boxes(sample.boxes, affine, size)
    warped = replace(
        sample,
        image=image,
        keypoints_2d=keypoints,
        boxes=boxes,
        pose=pose,
        joints_3d=sample.joints_3d @ rotation.T,
        translation=None,
        areas=sample.areas * scale**2,
        intrinsics=None,
        ignored_boxes=_warp_boxes(sample.ignored_boxes, affine, size),
        dense=_warp_dense(sample.dense, affine, rotation, size),
    )
    if sample.only_boxes:
        kept = _areas(boxes) > _MINIMUM_BOX_SHARE * scale**2 * _areas(sample.boxes)
    else:
        kept = warped.has_keypoints.sum(1) >= np.minimum(
            _MINIMUM_LABELED, np.maximum(1, sample.has_keypoints.sum(1))
        )
    visible = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    ignored = np.concatenate([warped.ignored_boxes, boxes[~kept & visible]])
    return replace(warped.select(kept), ignored_boxes=ignored)


def _areas(boxes: np.ndarray) -> np.ndarray:
    """(K,) squared pixels of boxes (K, 4)."""
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _warp_boxes(boxes: np.ndarray, affine: np.ndarray, size: int) -> np.ndarray:
    """Boxes (K, 4) around the transformed corners of boxes, cut at the picture's border."""
    corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ affine[:, :2].T + affine[:, 2]
    corners = corners.clip(-0.5, size - 0.5)
    return np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)


def mirror(sample: Sample) -> Sample:
    """The sample seen in a mirror: left and right change places in every annotation.

    Args:
        sample: any sample; its camera is no longer known afterwards.
    """
    width = sample.image.shape[1]
    keypoints = sample.keypoints_2d[:, _FLIP_KEYPOINTS].copy()
    keypoints[..., 0] = width - 1 - keypoints[..., 0]
    # A rotation seen in a mirror keeps its axis' x and turns the other way about y and z.
    pose = sample.pose.reshape(-1, 24, 3)[:, _FLIP_POSE] * np.array([1, -1, -1], np.float32)
    joints = sample.joints_3d[:, _FLIP_KEYPOINTS] * np.array([-1, 1, 1], np.float32)
    return replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        keypoints_2d=keypoints,
        boxes=_mirror_boxes(sample.boxes, width),
        ignored_boxes=_mirror_boxes(sample.ignored_boxes, width),
        annotated=sample.annotated[_FLIP_KEYPOINTS],
        pose=pose.reshape(-1, 72),
        joints_3d=joints,
        translation=None,
        intrinsics=None,
        dense=_mirror_dense(sample.dense),
    )


def _warp_dense(
    dense: DenseMaps | None, affine: np.ndarray, rotation: np.ndarray, size: int
) -> DenseMaps | None:
    if dense is None:
        return None

    def sampled(values: np.ndarray, outside: float) -> np.ndarray:
        return cv2.warpAffine(
            values, affine, (size, size), flags=cv2.INTER_NEAREST, borderValue=(outside,) * 3
        )

    normals = sampled(dense.normals, 0) @ rotation.T.astype(np.float32)
    return DenseMaps(sampled(dense.depth, np.inf), sampled(dense.parts, 0), normals)


def _mirror_dense(dense: DenseMaps | None) -> DenseMaps | None:
    if dense is None:
        return None
    normals = dense.normals[:, ::-1] * np.array([-1, 1, 1], np.float32)
    return DenseMaps(dense.depth[:, ::-1], _FLIP_PARTS[dense.parts[:, ::-1]], normals)


def occlude(sample: Sample, rng: np.random.Generator) -> Sample:
    """The sample behind one to three rectangles of one colour or of noise.

    Args:
        sample: one with a square picture, outside of which no keypoint is labeled.
        rng: decides everything.

    Returns:
        A new sample; keypoints under the rectangles are occluded, pixels objects in front.
    """
    image = sample.image.copy()
    size = len(image)
    hidden = np.zeros((size, size), bool)
    for _ in range(rng.integers(1, 4)):
        height, width = rng.integers(max(1, size // 20), max(2, size // 4), 2)
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        covered = slice(top, top + height), slice(left, left + width)
        shape = image[covered].shape
        image[covered] = rng.integers(0, 256, 3 if rng.random() < 0.7 else shape)
        hidden[covered] = True
    keypoints, dense = sample.keypoints_2d.copy(), sample.dense
    seen = keypoints[..., 2] == VISIBLE
    columns, rows = keypoints[seen, :2].round().astype(int).clip(0, size - 1).T
    keypoints[seen, 2] = np.where(hidden[rows, columns], OCCLUDED, VISIBLE)
    if dense is not None:
        dense = replace(dense, parts=np.where(hidden, np.uint8(_PART_IN_FRONT), dense.parts))
    return replace(sample, image=image, keypoints_2d=keypoints, dense=dense)


def _mirror_boxes(boxes: np.ndarray, width: int) -> np.ndarray:
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = width - 1 - boxes[:, [2, 0]]
    return mirrored


def _spoil(image: np.ndarray, rng: np.random.Generator, config: AugmentationConfig) -> np.ndarray:
    """The picture after everything that changes no annotation."""
    if rng.random() < config.color:
        image = _jitter(image, rng)
    if rng.random() < config.gray:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < config.blur:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < config.noise:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return image


def _jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-10, 10)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.6, 1.4), 0, 255)
    image = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.float32)
    image = image * rng.uniform(0.7, 1.3) + rng.uniform(-25, 25)
    return np.clip(image, 0, 255).astype(np.uint8)
