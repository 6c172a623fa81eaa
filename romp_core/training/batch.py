"""Samples of one size as padded tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from romp_core.body.joints import JOINTS_71
from romp_core.center_map.encode import TORSO, body_centers
from romp_core.data.sample import VISIBLE, Sample
from romp_core.geometry.cameras import Letterbox
from romp_core.geometry.rotations import axis_angle_to_matrix

TORSO_MASK = torch.tensor([name in TORSO for name in JOINTS_71])


@dataclass
class Batch:
    """B square pictures with up to N people each; what is unknown is zero and masked.

    Attributes:
        images: (B, 3, S, S) uint8, RGB.
        valid: (B, N) bool; false entries are padding.
        centers: (B, N, 2) body centers, -1..1.
        diagonals: (B, N) diagonals of the boxes, in the same unit (the picture's is 2 sqrt 2).
        keypoints: (B, N, 71, 2), -1..1.
        labeled: (B, N, 71) bool.
        joints: (B, N, 71, 3) metres, any origin.
        has_joints: (B, N, 71) bool.
        rotations: (B, N, 24, 3, 3).
        has_pose: (B, N) bool.
        betas: (B, N, 10).
        has_betas: (B, N) bool.
        ignored: (B, M, 4) boxes -1..1 in which the center map is not judged; padding is empty.
        sources: names of the B samples.
    """

    images: Tensor
    valid: Tensor
    centers: Tensor
    diagonals: Tensor
    keypoints: Tensor
    labeled: Tensor
    joints: Tensor
    has_joints: Tensor
    rotations: Tensor
    has_pose: Tensor
    betas: Tensor
    has_betas: Tensor
    ignored: Tensor
    sources: list[str]

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return Batch(**moved, sources=self.sources)

    def pin_memory(self) -> "Batch":
        """The same in pinned memory, for quick uploads."""
        pinned = {
            field.name: value.pin_memory()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return Batch(**pinned, sources=self.sources)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples with square pictures of one size, as `augment` gives them.

    People without any labeled keypoint or without a box are left out: they have no center.
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
    seen = keypoints[..., 2] >= VISIBLE
    seen = torch.where(seen.any(-1, keepdim=True), seen, labeled)
    images = np.stack([sample.image[..., ::-1].transpose(2, 0, 1) for sample in samples])
    return Batch(
        images=torch.from_numpy(images),
        valid=valid,
        centers=body_centers(positions, seen, TORSO_MASK),
        diagonals=(boxes[..., 1, :] - boxes[..., 0, :]).norm(dim=-1),
        keypoints=torch.where(labeled[..., None], positions, 0),
        labeled=labeled & valid[..., None],
        joints=pad("joints_3d"),
        has_joints=pad("has_joints_3d"),
        rotations=axis_angle_to_matrix(pad("pose").unflatten(-1, (24, 3))),
        has_pose=pad("has_pose"),
        betas=pad("betas"),
        has_betas=pad("has_betas"),
        ignored=ignored.flatten(-2),
        sources=[sample.source for sample in samples],
    )


def _with_centers(sample: Sample) -> Sample:
    return sample.select(sample.has_keypoints.any(1) & np.isfinite(sample.boxes).all(1))


def _pad(arrays: Sequence[np.ndarray], length: int) -> Tensor:
    """(B, length, ...) with zeros for what is missing and for NaN."""
    padded = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = np.nan_to_num(array)
    return torch.from_numpy(padded)
