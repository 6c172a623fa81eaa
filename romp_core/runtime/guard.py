"""How far a runtime's results are from those of PyTorch in float32."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from romp_core.geometry.alignment import procrustes_align
from romp_core.media import read_image
from romp_core.people import People
from romp_core.runtime.dense import Runtime
from romp_core.runtime.selection import REFERENCE, Choice, start_runtime

if TYPE_CHECKING:
    from romp_core.model import Romp

logger = logging.getLogger(__name__)

MAXIMUM_KEYPOINT_SHIFT = 1.0  # pixels
MAXIMUM_POSE_SHIFT = 2.0  # millimetres
LEAST_FOUND = 0.95
"""Share of the people that must be found again."""

CHECK_PICTURES = Path(__file__).parents[1] / "assets" / "check_pictures.jpg"
"""A sheet of pictures, each of `CHECK_SIZE`; made by scripts/make_check_pictures.py."""

CHECK_SIZE = 480, 640

_SAME_PERSON = 32.0  # pixels between body centers
_SMPL_JOINTS = 24


@dataclass(frozen=True)
class Shift:
    """By how much results differ from the reference.

    Attributes:
        people: in the reference.
        found: by the other.
        matched: seen by both.
        keypoints_px: mean distance between 2D joints.
        pose_mm: mean distance between 3D joints after a similarity alignment (PMPJPE), mm.
    """

    people: int
    found: int
    matched: int
    keypoints_px: float
    pose_mm: float

    @property
    def objection(self) -> str | None:
        """Why such results should not be taken for the reference's; None: they may."""
        if self.people == 0:
            return "nobody is seen in the pictures to check with"
        if self.matched < LEAST_FOUND * max(self.people, self.found):
            return f"{self.found} people are found, {self.matched} of them among the {self.people}"
        if self.keypoints_px > MAXIMUM_KEYPOINT_SHIFT or self.pose_mm > MAXIMUM_POSE_SHIFT:
            return (
                f"keypoints move by {self.keypoints_px:.2f} pixels, poses by {self.pose_mm:.2f} mm "
                f"(at most {MAXIMUM_KEYPOINT_SHIFT:g} and {MAXIMUM_POSE_SHIFT:g})"
            )
        return None


def measure_shift(reference: Sequence[People], other: Sequence[People]) -> Shift:
    """Compare results on the same pictures.

    Args:
        reference, other: people of each picture.
    """
    keypoints, poses = [], []
    for expected, found in zip(reference, other, strict=True):
        mine, theirs = _pairs(expected.center, found.center)
        expected, found = expected[mine], found[theirs]
        distance = np.linalg.norm(found.keypoints_2d - expected.keypoints_2d, axis=-1)
        keypoints.append(distance.mean(1))
        poses.append(_pose_shift(expected.joints, found.joints))
    keypoints, poses = np.concatenate(keypoints), np.concatenate(poses)
    return Shift(
        people=sum(map(len, reference)),
        found=sum(map(len, other)),
        matched=len(keypoints),
        keypoints_px=float(keypoints.mean()) if len(keypoints) else 0.0,
        pose_mm=float(poses.mean()) if len(poses) else 0.0,
    )


class Guard:
    """Compares runtimes of one predictor with PyTorch in float32, on the bundled pictures.

    Args:
        romp: the predictor; its runtime is another one afterwards.
    """

    def __init__(self, romp: "Romp"):
        self._romp = romp
        self._pictures = check_pictures()
        self._reference = self._people(start_runtime(REFERENCE, romp.network, romp.device))

    def objection(self, runtime: Runtime) -> str | None:
        """Why a runtime should not be chosen, in words; None: it may."""
        shift = measure_shift(self._reference, self._people(runtime))
        if shift.people == 0 and runtime.precision == "float32":
            return None  # there is nothing to see, but no reason for doubt either
        return shift.objection

    def _people(self, runtime: Runtime) -> list[People]:
        self._romp.runtime = runtime
        return [self._romp.predict(picture, with_vertices=False) for picture in self._pictures]


def choose_runtime(romp: "Romp", candidates: Sequence[Choice]) -> Runtime:
    """The first candidate that starts and to which the guard has no objection, else the last one.

    Args:
        romp: whose network is to be run.
        candidates: best first, at least one. A single one is not checked.
    """
    guard = None
    for choice in candidates[:-1]:
        try:
            runtime = start_runtime(choice, romp.network, romp.device)
            guard = guard or Guard(romp)
            reason = guard.objection(runtime)
        except Exception as error:  # whatever a driver or library comes up with
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            return runtime
        logger.info("%s in %s is not taken: %s", *choice, reason)
    return start_runtime(candidates[-1], romp.network, romp.device)


def check_pictures() -> list[np.ndarray]:
    """The bundled pictures of synthetic people, (480, 640, 3) uint8 BGR each."""
    height, width = CHECK_SIZE
    sheet = read_image(CHECK_PICTURES)
    rows, columns = sheet.shape[0] // height, sheet.shape[1] // width
    tiles = sheet.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return list(tiles.reshape(-1, height, width, 3))


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the people whose body centers (K, 2) and (L, 2) are the same."""
    distance = np.linalg.norm(first[:, None] - second[None], axis=-1)
    mine, theirs = linear_sum_assignment(distance)
    same = distance[mine, theirs] < _SAME_PERSON
    return mine[same], theirs[same]


def _pose_shift(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(K,) millimetres between joints (K, J, 3) after alignment."""
    target, source = (
        torch.from_numpy(joints[:, :_SMPL_JOINTS]).double() for joints in (expected, found)
    )
    aligned = procrustes_align(source, target)
    return ((aligned - target).norm(dim=-1).mean(-1) * 1000).numpy()
