"""Identities: which person of an image is which track."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

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

SEEN_JOINTS = 22
"""Joints that networks see; SMPL's last two, the hands, rest."""

POSITION_NOISE_M = 0.05
"""Standard deviation of a position however near."""

NOISE_MEMORY = 100.0
"""How many people the noise of poses and shapes is measured over."""

LEAST_NOISE = 0.05**2
"""Of poses, rad^2, and of shape coefficients: a frozen picture proves nothing."""

SAME_MOMENT_S = 0.25
"""Seconds within which poses and shapes differ by noise rather than by motion."""

BOX_SPEED_S = 0.2
"""Time constant of the filter of the boxes' velocities."""


class Identities:
    """The tracks of one camera.

    Args:
        config: what is assumed of people and network.
        ids: where new ids come from.
    """

    def __init__(self, config: TrackingConfig, ids: Iterator[int]):
        self._config = config
        self._ids_to_come = ids
        self.clear()

    def clear(self) -> None:
        """Forget everybody."""
        self._motion = MotionFilter(3, self._config.speed, self._config.speed_memory_s)
        self._ids = np.empty(0, np.int64)  # 0 until confirmed
        self._hits = np.empty(0, np.int64)
        self._unseen_s = np.empty(0)
        self._boxes = np.empty((0, 4))
        self._box_speeds = np.empty((0, 4))
        self._betas = np.empty((0, 10))
        self._rotations = np.empty((0, SEEN_JOINTS, 4))
        # Variances; networks differ, so they are measured.
        self._pose_noise = self._config.pose_noise**2
        self._shape_noise = self._config.shape_noise**2

    @property
    def alive(self) -> np.ndarray:
        """(N,) ids that may still be given, seen in the last image or not."""
        return self._ids[self._ids > 0]

    def update(self, people: People, seconds: float) -> np.ndarray:
        """Who the people of the next image are.

        Args:
            people: finite; their own ids are ignored.
            seconds: since the last image.

        Returns:
            (K,) int64 ids, each at most once; 0 for whom has not been seen often enough.
        """
        seen = _Observed(people, self._config)
        self._unseen_s += seconds
        self._end(seconds)
        self._motion.predict(seconds)
        tracks, detections = assign(self._evidence(seen))
        self._measure_noise(tracks, detections, seen)
        self._correct(tracks, detections, seen)
        track_of = np.full(len(people), -1)
        track_of[detections] = tracks
        new = np.flatnonzero(track_of < 0)
        track_of[new] = len(self._ids) + np.arange(len(new))
        self._begin(new, seen)
        self._confirm()
        return self._ids[track_of]

    def _evidence(self, seen: "_Observed") -> np.ndarray:
        """(T, D) of all kinds."""
        config = self._config
        motion = self._motion
        return (
            position_evidence(
                motion.position, motion.uncertainty, seen.position, seen.noise, config
            )
            + box_evidence(self._expected_boxes(), self._unseen_s, seen.boxes)
            + pose_evidence(
                pose_differences(self._rotations, seen.rotations),
                self._unseen_s,
                self._pose_noise,
                config,
            )
            + shape_evidence(self._betas, self._hits, seen.betas, self._shape_noise, config)
        )

    def _expected_boxes(self) -> np.ndarray:
        # The velocity fades, as in the motion filter.
        memory = self._config.speed_memory_s
        moved = memory * -np.expm1(-self._unseen_s / memory)
        return self._boxes + self._box_speeds * moved[:, None]

    def _measure_noise(self, tracks: np.ndarray, detections: np.ndarray, seen: "_Observed") -> None:
        """Learn from pairs (M,) how much poses and shapes of one person differ."""
        recent = self._unseen_s[tracks] < SAME_MOMENT_S
        tracks, detections = tracks[recent], detections[recent]
        if not len(tracks):
            return
        share = -np.expm1(-len(tracks) / NOISE_MEMORY)
        turned = pose_differences(self._rotations[tracks], seen.rotations[detections]).diagonal()
        self._pose_noise += share * (max(turned.mean(), LEAST_NOISE) - self._pose_noise)
        apart = ((seen.betas[detections] - self._betas[tracks]) ** 2).mean(1)
        variance = (apart / (1 + 1 / self._hits[tracks])).mean()
        self._shape_noise += share * (max(variance, LEAST_NOISE) - self._shape_noise)

    def _correct(self, tracks: np.ndarray, detections: np.ndarray, seen: "_Observed") -> None:
        self._motion.correct(tracks, seen.position[detections], seen.noise[detections])
        self._hits[tracks] += 1
        change = (seen.betas[detections] - self._betas[tracks]) / self._hits[tracks, None]
        self._betas[tracks] += change
        seconds = self._unseen_s[tracks, None]
        speed = (seen.boxes[detections] - self._boxes[tracks]) / seconds
        share = -np.expm1(-seconds / BOX_SPEED_S)
        self._box_speeds[tracks] += share * (speed - self._box_speeds[tracks])
        self._boxes[tracks] = seen.boxes[detections]
        self._rotations[tracks] = seen.rotations[detections]
        self._unseen_s[tracks] = 0

    def _begin(self, new: np.ndarray, seen: "_Observed") -> None:
        """Tracks without an id for people (D,) that no track explains."""
        count = len(new)
        self._motion.append(seen.position[new], seen.noise[new])
        self._ids = np.concatenate([self._ids, np.zeros(count, np.int64)])
        self._hits = np.concatenate([self._hits, np.ones(count, np.int64)])
        self._unseen_s = np.concatenate([self._unseen_s, np.zeros(count)])
        self._boxes = np.concatenate([self._boxes, seen.boxes[new]])
        self._box_speeds = np.concatenate([self._box_speeds, np.zeros((count, 4))])
        self._betas = np.concatenate([self._betas, seen.betas[new]])
        self._rotations = np.concatenate([self._rotations, seen.rotations[new]])

    def _confirm(self) -> None:
        """Ids for tracks that have been seen often enough."""
        for row in np.flatnonzero((self._ids == 0) & (self._hits >= self._config.birth_hits)):
            self._ids[row] = next(self._ids_to_come)

    def _end(self, seconds: float) -> None:
        """Forget who has been unseen for too long, also where images are seconds apart."""
        kept = self._unseen_s <= self._config.memory_s
        missed = self._unseen_s > seconds  # in the last image
        kept &= (self._ids > 0) | ~missed | (self._unseen_s <= self._config.tentative_s)
        self._motion.keep(kept)
        self._ids, self._hits = self._ids[kept], self._hits[kept]
        self._unseen_s, self._betas = self._unseen_s[kept], self._betas[kept]
        self._boxes, self._box_speeds = self._boxes[kept], self._box_speeds[kept]
        self._rotations = self._rotations[kept]


class _Observed:
    """The people of an image as tracking sees them, D of them, float64.

    Attributes:
        position: (D, 3) metres.
        noise: (D, 3, 3) its covariance: along the line of sight more than across.
        boxes: (D, 4).
        betas: (D, 10).
        rotations: (D, 22, 4) unit quaternions.
    """

    def __init__(self, people: People, config: TrackingConfig):
        self.position = people.translation.astype(np.float64)
        self.boxes = people.boxes.astype(np.float64)
        self.betas = people.betas.astype(np.float64)
        vectors = people.pose[:, : 3 * SEEN_JOINTS].reshape(-1, 3)
        self.rotations = Rotation.from_rotvec(vectors).as_quat().reshape(-1, SEEN_JOINTS, 4)
        squared = (self.position**2).sum(-1)[:, None, None]
        along = self.position[:, :, None] * self.position[:, None]  # squared times the direction's
        across = squared * np.eye(3) - along
        self.noise = (
            config.depth_noise**2 * along
            + config.lateral_noise**2 * across
            + POSITION_NOISE_M**2 * np.eye(3)
        )
