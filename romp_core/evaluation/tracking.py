"""How well people are told apart and how calmly they move, against the truth.

Identities are scored by `motmetrics`: IDF1 (Ristani et al., ECCV 2016 workshops) and MOTA
(Bernardin and Stiefelhagen, 2008), boxes matched at an overlap of 0.5.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import motmetrics
import numpy as np
import torch

from romp_core.body.model import BodyModel
from romp_core.people import People
from romp_core.tracking import SmoothingConfig, Tracker
from romp_core.tracking.association import overlaps

LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class IdentityScores:
    """Of several sequences together.

    Attributes:
        idf1: share of correctly identified people, 0..1.
        mota: 1 minus misses, false positives and switches per true person.
        switches_per_minute: changes of a person's id per minute that he is visible.
        shared: how often two people of one image had the same id.
    """

    idf1: float
    mota: float
    switches_per_minute: float
    shared: int


class IdentityScorer:
    """Collects sequences."""

    def __init__(self):
        self._accumulators: list[motmetrics.MOTAccumulator] = []
        self._minutes = 0.0
        self._shared = 0

    def add(
        self, stamps: np.ndarray, truth: Iterable[People], answers: Iterable[People]
    ) -> IdentityScores:
        """Take in a sequence, and score it alone.

        Args:
            stamps: (F,) seconds.
            truth: F times who is there, with their ids.
            answers: F times who was found; ids of 0 do not count as found.
        """
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        minutes, shared = 0.0, 0
        step = float(np.median(np.diff(stamps)))
        for there, found in zip(truth, answers, strict=True):
            found = found[found.track_ids > 0]
            shared += len(found) - len(np.unique(found.track_ids))
            distance = 1 - overlaps(there.boxes, found.boxes)
            distance[distance > 1 - LEAST_OVERLAP] = np.nan
            accumulator.update(there.track_ids, found.track_ids, distance)
            minutes += len(there) * step / 60
        self._accumulators.append(accumulator)
        self._minutes += minutes
        self._shared += shared
        return _scores([accumulator], minutes, shared)

    def total(self) -> IdentityScores:
        """Scores of all sequences."""
        return _scores(self._accumulators, self._minutes, self._shared)


def _scores(
    accumulators: Sequence[motmetrics.MOTAccumulator], minutes: float, shared: int
) -> IdentityScores:
    table = motmetrics.metrics.create().compute_many(
        accumulators, metrics=["idf1", "mota", "num_switches"], generate_overall=True
    )
    overall = table.loc["OVERALL"]
    return IdentityScores(
        float(overall.idf1), float(overall.mota), float(overall.num_switches) / minutes, shared
    )


@dataclass(frozen=True)
class MotionErrors:
    """Mean errors of 24 joints over people and images.

    Attributes:
        position_mm: distance from the truth.
        pose_mm: the same relative to the pelvis.
        jitter: acceleration error, mm per frame squared.
        pose_jitter: the same relative to the pelvis.
    """

    position_mm: float
    pose_mm: float
    jitter: float
    pose_jitter: float


def motion_errors(
    stamps: np.ndarray,
    truth: Sequence[People],
    answers: Sequence[People],
    sources: Sequence[np.ndarray],
    body: BodyModel,
) -> MotionErrors:
    """Errors in the optical frame.

    Accelerations are those of three images in a row that all show the person: divided differences
    for steps of uneven length, times the square of the mean step.

    Args:
        stamps: (F,) seconds.
        truth: F times who is there, with ids.
        answers: F times who was found.
        sources: F times (K,) which true id each answer is of; others do not count.
        body: whose betas the answers have.
    """
    errors: dict[int, dict[int, np.ndarray]] = {}  # of a person, in an image: (24, 3)
    for frame, (there, found, source) in enumerate(zip(truth, answers, sources, strict=True)):
        joints = _joints(found, body)
        for person, at in zip(there.track_ids.tolist(), there.joints[:, :24], strict=True):
            for row in np.flatnonzero(source == person):
                errors.setdefault(person, {})[frame] = joints[row] - at
    positions = np.array([error for path in errors.values() for error in path.values()])
    bends = np.array(
        [
            _bend(stamps[frame - 1 : frame + 2], *(path[frame + step] for step in (-1, 0, 1)))
            for path in errors.values()
            for frame in path
            if frame - 1 in path and frame + 1 in path
        ]
    )
    return MotionErrors(
        *(
            1e3 * float(np.linalg.norm(values, axis=-1).mean())
            for kind in (positions, bends)
            for values in (kind, kind - kind[:, :1])
        )
    )


def step_lag(
    change: dict[str, np.ndarray], rate: float, strength: float, config: SmoothingConfig
) -> float:
    """How late a sudden change of a person who stood still is followed.

    Args:
        change: what is added at once to fields of `People`, (1, ...) each.
        rate: images per second.
        strength: of smoothing.
        config: of smoothing.

    Returns:
        Frames: the sum over the images from the change on of what is still missing, as a share.
    """
    fields = {
        name: np.zeros((1, *values.shape[1:]), values.dtype)
        for name, values in vars(People.empty()).items()
    }
    before = People(**fields | {"translation": np.array([[0, 0, 4]], np.float32)})
    after = replace(before, **{name: getattr(before, name) + add for name, add in change.items()})
    tracker = Tracker(smoothing=config)
    still, following = math.ceil(rate / 2), math.ceil(3 * rate)
    missing = 0.0
    for frame in range(still + following):
        person = after if frame >= still else before
        answer = tracker.update(person, frame / rate, strength=strength)
        if frame >= still:
            left = [getattr(after, name) - getattr(answer, name) for name in change]
            missing += math.sqrt(sum(float((part**2).sum()) for part in left))
    return missing / math.sqrt(sum(float((part**2).sum()) for part in change.values()))


def _bend(
    times: np.ndarray, first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> np.ndarray:
    before, after = np.diff(times)
    slopes = (third - second) / after - (second - first) / before
    return slopes * (before + after) / 2


def _joints(people: People, body: BodyModel) -> np.ndarray:
    with torch.inference_mode():
        joints = body(
            torch.from_numpy(people.pose), torch.from_numpy(people.betas), with_vertices=False
        ).joints[:, :24]
    return joints.numpy() + people.translation[:, None]
