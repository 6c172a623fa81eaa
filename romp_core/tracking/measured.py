"""People of one image as tracking computes with them."""

from dataclasses import dataclass

import numpy as np

from romp_core.geometry import quaternions
from romp_core.people import People
from romp_core.tracking.rows import Rows


@dataclass
class Measured(Rows):
    """D people, float64.

    Attributes:
        position: (D, 3) translation, metres.
        boxes: (D, 4) pixels.
        betas: (D, 10).
        rotations: (D, 24, 4) pose, unit quaternions.
    """

    position: np.ndarray
    boxes: np.ndarray
    betas: np.ndarray
    rotations: np.ndarray


def measured(people: People) -> tuple[Measured, np.ndarray]:
    """Those of K people whose numbers are finite, and (K,) who that is."""
    parts = (people.translation, people.boxes, people.betas, people.pose)
    numbers = np.concatenate(parts, axis=1, dtype=np.float64)
    usable = np.isfinite(numbers).all(axis=1)
    if not usable.all():
        numbers = numbers[usable]
    return Measured(
        position=numbers[:, :3],
        boxes=numbers[:, 3:7],
        betas=numbers[:, 7:17],
        rotations=quaternions.from_axis_angle(numbers[:, 17:].reshape(-1, 24, 3)),
    ), usable
