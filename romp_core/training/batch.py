"""Samples of one size as padded tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from romp_core.body.joints import JOINTS_71
from romp_core.center_map.encode import TORSO, body_centers
from romp_core.data.sample import VISIBLE, Sample
from romp_core.evaluation.keypoints import people_areas
from romp_core.geometry.cameras import Letterbox
from romp_core.geometry.rotations import axis_angle_to_matrix

DENSE_STRIDE = 4
"""Pixels per cell of the dense maps: that of the backbones' features."""

UNJUDGED_PART = 255

_JUDGED_MARGIN = 0.1
"""Of people's boxes on each side: so far around them a picture with others is judged."""

TORSO_MASK = torch.tensor([name in TORSO for name in JOINTS_71])


def to_cells(normalized: Tensor, size: int) -> Tensor:
    """Coordinates in cells (centers at integers) of coordinates -1..1."""
    return (normalized + 1) * (size / 2) - 0.5


@dataclass
class Batch:
    """B square pictures with up to N people each; what is unknown is zero and masked.

    Attributes:
        images: (B, 3, S, S) uint8, RGB.
        valid: (B, N) bool; false entries are padding.
        centers: (B, N, 2) body centers (means of the visible torso joints; middles of the boxes
            where a data set labels no joints), -1..1.
        boxes: (B, N, 4), -1..1.
        diagonals: (B, N) diagonals of the boxes, in the same unit (the picture's is 2 sqrt 2).
        areas: (B, N) of the people, in that unit squared, for keypoint similarity.
        keypoints: (B, N, 71, 2), -1..1.
        labeled: (B, N, 71) bool.
        visible: (B, N, 71) bool, labeled and not hidden.
        joints: (B, N, 71, 3) metres, any origin.
        has_joints: (B, N, 71) bool.
        rotations: (B, N, 24, 3, 3).
        has_pose: (B, N) bool.
        betas: (B, N, 10).
        has_betas: (B, N) bool.
        ignored: (B, M, 4) boxes -1..1 in which the center map is not judged; padding is empty.
        annotated: (B, 71) bool, joints that the picture's data set labels at all.
        everybody_annotated: (B,) bool, see `Sample`.
        sources: names of the B samples.
        body_ids: ids of the bodies that the B samples' betas belong to, None where not known.
        has_dense: (B,) bool, pictures that come with dense maps.
        depth: (B, S/4, S/4) metres, 0 where unknown.
        parts: (B, S/4, S/4) int64: 0 background, 1 + joint, 255 not to be judged.
        normals: (B, 3, S/4, S/4), 0 off the people.
    """

    images: Tensor
    valid: Tensor
    centers: Tensor
    boxes: Tensor
    diagonals: Tensor
    areas: Tensor
    keypoints: Tensor
    labeled: Tensor
    visible: Tensor
    joints: Tensor
    has_joints: Tensor
    rotations: Tensor
    has_pose: Tensor
    betas: Tensor
    has_betas: Tensor
    ignored: Tensor
    annotated: Tensor
    everybody_annotated: Tensor
    sources: list[str]
    body_ids: list[str | None]
    has_dense: Tensor
    depth: Tensor
    parts: Tensor
    normals: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def box_centers(self) -> Tensor:
        """(B, N, 2) middles of the boxes, -1..1."""
        return self.boxes.unflatten(-1, (2, 2)).mean(-2)

    def judged(self, size: int) -> Tensor:
        """(B, size, size) bool: cells of a map that lie in no ignored box. In pictures with people
        who are not annotated, only cells in and around the boxes of those who are: elsewhere
        somebody may be."""
        low, high = self.boxes.unflatten(-1, (2, 2)).unbind(-2)
        margin = _JUDGED_MARGIN * (high - low)
        around = _within(torch.cat([low - margin, high + margin], -1), size)
        return ~_within(self.ignored, size) & (self.everybody_annotated[:, None, None] | around)

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def pin_memory(self) -> "Batch":
        """The same in pinned memory, for quick uploads."""
        pinned = {
            field.name: value.pin_memory()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **pinned)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples with square pictures of one size, as `augment` gives them.

    People without a center are left out: those without a box, and those without any labeled
    keypoint unless their data set labels none.
    """
    samples = [_with_centers(sample) for sample in samples]
    count = max(1, *(len(sample) for sample in samples))
    size = samples[0].image.shape[0]
    box = Letterbox(size, size)

    def pad(name: str, length: int = count) -> Tensor:
        return _pad([np.asarray(getattr(sample, name)) for sample in samples], length)

    keypoints = pad("keypoints_2d")
    boxes = box.to_normalized(pad("boxes").unflatten(-1, (2, 2)))
    ignored_count = max(1, *(len(sample.ignored_boxes) for sample in samples))
    # Ignored boxes are padded with an empty box at the top left corner.
    ignored = box.to_normalized(pad("ignored_boxes", ignored_count).unflatten(-1, (2, 2)))
    valid = _pad([np.ones(len(sample), bool) for sample in samples], count)
    labeled = keypoints[..., 2] > 0
    positions = box.to_normalized(keypoints[..., :2])
    visible = keypoints[..., 2] >= VISIBLE
    seen = torch.where(visible.any(-1, keepdim=True), visible, labeled)
    centers = body_centers(positions, seen, TORSO_MASK)
    images = np.stack([sample.image[..., ::-1].transpose(2, 0, 1) for sample in samples])
    return Batch(
        images=torch.from_numpy(images),
        valid=valid,
        centers=torch.where(seen.any(-1, keepdim=True), centers, boxes.mean(-2)),
        boxes=boxes.flatten(-2),
        diagonals=(boxes[..., 1, :] - boxes[..., 0, :]).norm(dim=-1),
        areas=_pad([people_areas(sample) for sample in samples], count) * (2 / size) ** 2,
        keypoints=torch.where(labeled[..., None], positions, 0),
        labeled=labeled & valid[..., None],
        visible=visible & valid[..., None],
        joints=pad("joints_3d"),
        has_joints=pad("has_joints_3d"),
        rotations=axis_angle_to_matrix(pad("pose").unflatten(-1, (24, 3))),
        has_pose=pad("has_pose"),
        betas=pad("betas"),
        has_betas=pad("has_betas"),
        ignored=ignored.flatten(-2),
        annotated=torch.from_numpy(np.stack([sample.annotated for sample in samples])),
        everybody_annotated=torch.tensor([sample.everybody_annotated for sample in samples]),
        sources=[sample.source for sample in samples],
        body_ids=[sample.body_id for sample in samples],
        has_dense=torch.tensor([sample.dense is not None for sample in samples]),
        **_dense_maps(samples, size // DENSE_STRIDE),
    )


def _dense_maps(samples: Sequence[Sample], size: int) -> dict[str, Tensor]:
    depth = np.zeros((len(samples), size, size), np.float32)
    parts = np.full((len(samples), size, size), UNJUDGED_PART, np.int64)
    normals = np.zeros((len(samples), size, size, 3), np.float32)
    middle = slice(DENSE_STRIDE // 2, None, DENSE_STRIDE)
    for row, sample in enumerate(samples):
        if sample.dense is not None:
            depth[row] = np.nan_to_num(sample.dense.depth[middle, middle], posinf=0)
            parts[row] = sample.dense.parts[middle, middle]
            normals[row] = sample.dense.normals[middle, middle]
    return {
        "depth": torch.from_numpy(depth),
        "parts": torch.from_numpy(parts),
        "normals": torch.from_numpy(normals).permute(0, 3, 1, 2),
    }


def _with_centers(sample: Sample) -> Sample:
    placed = sample.has_keypoints.any(1) | sample.only_boxes
    return sample.select(placed & np.isfinite(sample.boxes).all(1))


def _within(boxes: Tensor, size: int) -> Tensor:
    """(B, size, size) bool: cells of a map that lie in any of boxes (B, M, 4), -1..1, that is not
    empty."""
    low, high = to_cells(boxes.unflatten(-1, (2, 2)), size)[..., None].unbind(-3)
    cells = torch.arange(size, device=boxes.device)
    within = (cells >= low.round()) & (cells <= high.round()) & (high > low)
    # (B, M, y, x): inside of a box in both directions.
    return (within[..., 1, :, None] & within[..., 0, None, :]).any(1)


def _pad(arrays: Sequence[np.ndarray], length: int) -> Tensor:
    """(B, length, ...) with zeros for what is missing and for NaN."""
    padded = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = np.nan_to_num(array)
    return torch.from_numpy(padded)
