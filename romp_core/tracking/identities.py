"""Identities: which person of an image is which track."""

import math
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
from romp_core.tracking.measured import Measured, measured
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
        self._tracks = _new_tracks(measured(People.empty())[0])
        # Variances; networks differ, so they are measured.
        self._pose_noise = self._config.pose_noise**2
        self._shape_noise = self._config.shape_noise**2
        self._population = np.zeros(10), self._config.shape_spread**2

    @property
    def alive(self) -> np.ndarray:
        """(N,) ids that may still be given, seen in the last image or not."""
        return self._tracks.ids[self._tracks.ids > 0]

    def update(self, seen: Measured, seconds: float) -> np.ndarray:
        """Who the people of the next image are.

        Args:
            seen: D people.
            seconds: since the last image, above 0.

        Returns:
            (D,) int64 ids, each at most once; 0 for whom has not been seen often enough.
        """
        self._tracks.unseen_s += seconds
        self._end(seconds)
        self._motion.predict(seconds)
        noise = _position_noise(seen.position, self._config)
        evidence, turned = self._evidence(seen, noise)
        rows, found = assign(evidence)
        row_of = np.full(len(seen.position), -1)
        row_of[found] = rows
        if len(rows):
            again = seen[found]
            self._measure_noise(rows, again, turned[rows, found])
            self._motion.correct(rows, again.position, noise.take(found, 0))
            self._correct(rows, again)
        new = row_of < 0
        if new.any():
            row_of[new] = len(self._tracks.ids) + np.arange(new.sum())
            self._motion.append(seen.position[new], noise[new])
            self._tracks = self._tracks + _new_tracks(seen[new])
        self._confirm()
        self._measure_population()
        return self._tracks.ids[row_of]

    def _evidence(self, seen: Measured, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, D) of all kinds, -inf out of reach, and (T, D) how far poses within it are apart.

        Positions have noise (D, 3, 3).
        """
        tracks, motion, config = self._tracks, self._motion, self._config
        rows, people, evidence = position_evidence(
            motion.position, motion.uncertainty, seen.position, noise, config
        )
        unseen_s = tracks.unseen_s.take(rows)
        turned = pose_differences(
            tracks.rotations.take(rows, 0), seen.rotations[:, :SEEN_JOINTS].take(people, 0)
        )
        evidence += box_evidence(
            self._expected_boxes().take(rows, 0), unseen_s, seen.boxes.take(people, 0)
        )
        evidence += pose_evidence(turned, unseen_s, self._pose_noise, config)
        evidence += shape_evidence(
            tracks.betas.take(rows, 0),
            tracks.hits.take(rows),
            seen.betas.take(people, 0),
            self._shape_noise,
            self._population,
        )
        both = np.full((2, len(tracks.ids), len(seen.position)), -np.inf)
        both[:, rows, people] = evidence, turned
        return both[0], both[1]

    def _expected_boxes(self) -> np.ndarray:
        # The velocity fades, as in the motion filter.
        memory = self._config.speed_memory_s
        moved = memory * -np.expm1(-self._tracks.unseen_s / memory)
        return self._tracks.boxes + self._tracks.box_speeds * moved[:, None]

    def _measure_noise(self, rows: np.ndarray, seen: Measured, turned: np.ndarray) -> None:
        """Learn how much pose and shape of one person differ, from tracks (M,) that are seen."""
        recent = self._tracks.unseen_s[rows] < SAME_MOMENT_S
        count = np.count_nonzero(recent)
        if not count:
            return
        share = -math.expm1(-count / NOISE_MEMORY)
        change = turned[recent].sum() / count
        self._pose_noise += share * (max(change, LEAST_NOISE) - self._pose_noise)
        apart = seen.betas - self._tracks.betas.take(rows, 0)
        apart = (apart * apart).sum(1) / apart.shape[1]
        apart /= 1 + 1 / self._tracks.hits[rows]  # a mean over images errs too
        variance = apart[recent].sum() / count
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

    def _correct(self, rows: np.ndarray, seen: Measured) -> None:
        """Take in what is seen of tracks."""
        tracks = self._tracks
        seconds = tracks.unseen_s[rows][:, None]
        speed = (seen.boxes - tracks.boxes.take(rows, 0)) / seconds
        share = -np.expm1(-seconds / BOX_SPEED_S)
        tracks.box_speeds[rows] += share * (speed - tracks.box_speeds.take(rows, 0))
        tracks.boxes[rows] = seen.boxes
        tracks.hits[rows] += 1
        tracks.unseen_s[rows] = 0
        shift = seen.betas - tracks.betas.take(rows, 0)
        tracks.betas[rows] += shift / tracks.hits[rows][:, None]
        tracks.rotations[rows] = seen.rotations[:, :SEEN_JOINTS]

    def _confirm(self) -> None:
        """Ids for tracks that have been seen often enough."""
        ids, hits = self._tracks.ids, self._tracks.hits
        if ids.all():
            return
        for row in np.flatnonzero((ids == 0) & (hits >= self._config.birth_hits)):
            ids[row] = next(self._ids)

    def _end(self, seconds: float) -> None:
        """Forget who has been unseen for too long, also where images are seconds apart."""
        unseen_s = self._tracks.unseen_s
        missed = unseen_s > seconds  # in the last image
        if seconds <= self._config.memory_s and not missed.any():
            return
        kept = unseen_s <= self._config.memory_s
        kept &= (self._tracks.ids > 0) | ~missed | (unseen_s <= self._config.tentative_s)
        if not kept.all():
            self._motion.keep(kept)
            self._tracks = self._tracks[kept]


def _position_noise(position: np.ndarray, config: TrackingConfig) -> np.ndarray:
    """(D, 3, 3) covariance of measured positions: along the line of sight more than across."""
    along = position[:, :, None] * position[:, None]  # the squared distance times the direction's
    across = config.lateral_noise**2 * (position * position).sum(1) + POSITION_NOISE_M**2
    everywhere = across[:, None, None] * np.eye(3)
    return (config.depth_noise**2 - config.lateral_noise**2) * along + everywhere


def _new_tracks(seen: Measured) -> _Tracks:
    count = len(seen.position)
    return _Tracks(
        ids=np.zeros(count, np.int64),
        hits=np.ones(count, np.int64),
        unseen_s=np.zeros(count),
        boxes=seen.boxes,
        box_speeds=np.zeros((count, 4)),
        betas=seen.betas,
        rotations=seen.rotations[:, :SEEN_JOINTS],
    )
