"""Identities: which person of an image is which track."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from romp_core.people import People
from romp_core.tracking.association import (
    assign,
    box_evidence,
    pose_differences,
    pose_evidence,
    position_evidence,
    shape_evidence,
)
from romp_core.tracking.config import TrackingConfig
from romp_core.tracking.motion import MotionFilter
from romp_core.tracking.rows import Rows

SEEN_JOINTS = 22
"""Joints that networks see; SMPL's last two, the hands, rest."""

POSITION_NOISE_M = 0.05
"""Standard deviation of a position however near."""

NOISE_MEMORY = 100.0
"""How many people noise and spread of poses and shapes are measured over."""

LEAST_NOISE = 0.05**2
"""Of poses, rad^2, and of shape coefficients: a frozen picture proves nothing."""

SAME_MOMENT_S = 0.25
"""Seconds within which poses and shapes differ by noise rather than by motion."""

BOX_SPEED_S = 0.2
"""Time constant of the filter of the boxes' velocities."""


@dataclass
class _Tracks(Rows):
    """What is known of T tracks, beside where they are.

    Attributes:
        ids: (T,) int64, 0 until confirmed.
        hits: (T,) images that each was seen in.
        unseen_s: (T,) seconds since the last one.
        boxes: (T, 4) as last seen, pixels.
        box_speeds: (T, 4) filtered, pixels per second.
        betas: (T, 10) mean.
        rotations: (T, 22, 4) as last seen, unit quaternions.
    """

    ids: np.ndarray
    hits: np.ndarray
    unseen_s: np.ndarray
    boxes: np.ndarray
    box_speeds: np.ndarray
    betas: np.ndarray
    rotations: np.ndarray


class Identities:
    """The tracks of one camera.

    Args:
        config: what is assumed of people and network.
        ids: where new ids come from.
    """

    def __init__(self, config: TrackingConfig, ids: Iterator[int]):
        self._config = config
        self._ids = ids
        self.clear()

    def clear(self) -> None:
        """Forget everybody."""
        self._motion = MotionFilter(3, self._config.speed, self._config.speed_memory_s)
        self._tracks = _new_tracks(_observed(People.empty(), np.empty((0, 24, 4)), self._config))
        # Variances; networks differ, so they are measured.
        self._pose_noise = self._config.pose_noise**2
        self._shape_noise = self._config.shape_noise**2
        self._population = np.zeros(10), self._config.shape_spread**2

    @property
    def alive(self) -> np.ndarray:
        """(N,) ids that may still be given, seen in the last image or not."""
        return self._tracks.ids[self._tracks.ids > 0]

    def update(self, people: People, rotations: np.ndarray, seconds: float) -> np.ndarray:
        """Who the people of the next image are.

        Args:
            people: finite; their own ids are ignored.
            rotations: (K, 24, 4) their poses as quaternions.
            seconds: since the last image, above 0.

        Returns:
            (K,) int64 ids, each at most once; 0 for whom has not been seen often enough.
        """
        seen = _observed(people, rotations, self._config)
        self._tracks.unseen_s += seconds
        self._end(seconds)
        self._motion.predict(seconds)
        turned = pose_differences(self._tracks.rotations, seen.rotations)
        rows, found = assign(self._evidence(seen, turned))
        again = seen[found]
        self._measure_noise(rows, again, turned[rows, found])
        self._correct(rows, again)
        row_of = np.full(len(people), -1)
        row_of[found] = rows
        new = row_of < 0
        if new.any():
            row_of[new] = len(self._tracks.ids) + np.arange(new.sum())
            self._begin(seen[new])
        self._confirm()
        self._measure_population()
        return self._tracks.ids[row_of]

    def _evidence(self, seen: "_Observed", turned: np.ndarray) -> np.ndarray:
        """(T, D) of all kinds, poses being (T, D) apart."""
        tracks, motion, config = self._tracks, self._motion, self._config
        return (
            position_evidence(
                motion.position, motion.uncertainty, seen.position, seen.noise, config
            )
            + box_evidence(self._expected_boxes(), tracks.unseen_s, seen.boxes)
            + pose_evidence(turned, tracks.unseen_s, self._pose_noise, config)
            + shape_evidence(
                tracks.betas, tracks.hits, seen.betas, self._shape_noise, self._population
            )
        )

    def _expected_boxes(self) -> np.ndarray:
        # The velocity fades, as in the motion filter.
        memory = self._config.speed_memory_s
        moved = memory * -np.expm1(-self._tracks.unseen_s / memory)
        return self._tracks.boxes + self._tracks.box_speeds * moved[:, None]

    def _measure_noise(self, rows: np.ndarray, seen: "_Observed", turned: np.ndarray) -> None:
        """Learn how much pose and shape of one person differ, from tracks (M,) that are seen."""
        recent = self._tracks.unseen_s[rows] < SAME_MOMENT_S
        if not recent.any():
            return
        tracks, seen = self._tracks[rows[recent]], seen[recent]
        share = -np.expm1(-recent.sum() / NOISE_MEMORY)
        self._pose_noise += share * (max(turned[recent].mean(), LEAST_NOISE) - self._pose_noise)
        apart = ((seen.betas - tracks.betas) ** 2).mean(1)
        variance = (apart / (1 + 1 / tracks.hits)).mean()  # a mean over images errs too
        self._shape_noise += share * (max(variance, LEAST_NOISE) - self._shape_noise)

    def _measure_population(self) -> None:
        """Learn how much shapes differ between people, from those in view."""
        shapes = self._tracks.betas[(self._tracks.unseen_s == 0) & (self._tracks.ids > 0)]
        if len(shapes) < 2:
            return
        share = -np.expm1(-len(shapes) / NOISE_MEMORY)
        mean, variance = self._population
        centre = shapes.sum(0) / len(shapes)
        apart = shapes - centre
        found = (apart * apart).sum() / ((len(shapes) - 1) * shapes.shape[1])
        self._population = mean + share * (centre - mean), variance + share * (found - variance)

    def _correct(self, rows: np.ndarray, seen: "_Observed") -> None:
        """Take in what is seen of tracks."""
        self._motion.correct(rows, seen.position, seen.noise)
        before = self._tracks[rows]
        seconds, hits = before.unseen_s[:, None], before.hits + 1
        share = -np.expm1(-seconds / BOX_SPEED_S)
        speed = (seen.boxes - before.boxes) / seconds
        self._tracks[rows] = _Tracks(
            ids=before.ids,
            hits=hits,
            unseen_s=np.zeros(len(rows)),
            boxes=seen.boxes,
            box_speeds=before.box_speeds + share * (speed - before.box_speeds),
            betas=before.betas + (seen.betas - before.betas) / hits[:, None],
            rotations=seen.rotations,
        )

    def _begin(self, seen: "_Observed") -> None:
        """Tracks for people whom no track explains."""
        self._motion.append(seen.position, seen.noise)
        self._tracks = self._tracks + _new_tracks(seen)

    def _confirm(self) -> None:
        """Ids for tracks that have been seen often enough."""
        ids, hits = self._tracks.ids, self._tracks.hits
        for row in np.flatnonzero((ids == 0) & (hits >= self._config.birth_hits)):
            ids[row] = next(self._ids)

    def _end(self, seconds: float) -> None:
        """Forget who has been unseen for too long, also where images are seconds apart."""
        unseen_s = self._tracks.unseen_s
        missed = unseen_s > seconds  # in the last image
        kept = unseen_s <= self._config.memory_s
        kept &= (self._tracks.ids > 0) | ~missed | (unseen_s <= self._config.tentative_s)
        if not kept.all():
            self._motion.keep(kept)
            self._tracks = self._tracks[kept]


@dataclass
class _Observed(Rows):
    """The people of an image as tracking sees them, D of them, float64.

    Attributes:
        position: (D, 3) metres.
        noise: (D, 3, 3) its covariance: along the line of sight more than across.
        boxes: (D, 4) pixels.
        betas: (D, 10).
        rotations: (D, 22, 4) unit quaternions.
    """

    position: np.ndarray
    noise: np.ndarray
    boxes: np.ndarray
    betas: np.ndarray
    rotations: np.ndarray


def _observed(people: People, rotations: np.ndarray, config: TrackingConfig) -> _Observed:
    position = people.translation.astype(np.float64)
    along = position[:, :, None] * position[:, None]  # the squared distance times the direction's
    squared = along.trace(axis1=1, axis2=2)
    everywhere = config.lateral_noise**2 * squared + POSITION_NOISE_M**2
    noise = (config.depth_noise**2 - config.lateral_noise**2) * along
    noise += everywhere[:, None, None] * np.eye(3)
    return _Observed(
        position=position,
        noise=noise,
        boxes=people.boxes.astype(np.float64),
        betas=people.betas.astype(np.float64),
        rotations=rotations[:, :SEEN_JOINTS],
    )


def _new_tracks(seen: _Observed) -> _Tracks:
    count = len(seen.position)
    return _Tracks(
        ids=np.zeros(count, np.int64),
        hits=np.ones(count, np.int64),
        unseen_s=np.zeros(count),
        boxes=seen.boxes,
        box_speeds=np.zeros((count, 4)),
        betas=seen.betas,
        rotations=seen.rotations,
    )
