"""A sheet of samples with their joints: one look tells whether a data set is read rightly."""

from collections.abc import Iterable

import cv2
import numpy as np

from romp_core.body.joints import JOINTS_71
from romp_core.data.sample import VISIBLE, Sample

# BGR. Blue is the person's left, orange the right, white the middle; told apart by anyone.
_LEFT, _RIGHT, _MIDDLE, _BOX = (200, 120, 0), (0, 140, 255), (255, 255, 255), (160, 160, 160)
_TILE = 360


def draw_sheet(samples: Iterable[Sample], columns: int = 4) -> np.ndarray:
    """Samples side by side with boxes and 2D joints; hidden joints are rings.

    Args:
        samples: at least one.
        columns: tiles per row.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    tiles = [_tile(sample) for sample in samples]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _tile(sample: Sample) -> np.ndarray:
    scale = _TILE / max(sample.image.shape[:2])
    picture = cv2.resize(sample.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for box in sample.boxes[np.isfinite(sample.boxes).all(1)]:
        x1, y1, x2, y2 = (round(float(value) * scale) for value in box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), _BOX, 1)
    for person in sample.keypoints_2d:
        for name, (x, y, visibility) in zip(JOINTS_71, person, strict=True):
            if visibility > 0:
                spot = round(float(x) * scale), round(float(y) * scale)
                filled = -1 if visibility == VISIBLE else 1
                cv2.circle(picture, spot, 4, (0, 0, 0), filled, cv2.LINE_AA)
                cv2.circle(picture, spot, 3, _color(name), filled, cv2.LINE_AA)
    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    tile[: picture.shape[0], : picture.shape[1]] = picture[:_TILE, :_TILE]
    return tile


def _color(name: str) -> tuple[int, int, int]:
    if name.startswith("left_"):
        return _LEFT
    return _RIGHT if name.startswith("right_") else _MIDDLE
