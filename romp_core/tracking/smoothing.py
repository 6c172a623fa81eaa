"""Smoothing by time: low-pass filters that follow fast motion at once.

The idea of the One Euro filter (Casiez et al., CHI 2012) with exact time steps: the faster
something moves, the shorter the filter's time constant.
"""

from dataclasses import dataclass

import numpy as np

from romp_core.geometry import quaternions
from romp_core.people import People
from romp_core.tracking.config import SmoothingConfig
from romp_core.tracking.measured import Measured, measured
from romp_core.tracking.rows import Rows

NEAREST = 0.05
"""Metres at which the logarithm of a distance stops falling."""

LONGEST_SHARE_S = 0.2
"""Seconds that a single image counts for at most in the mean of a shape, however long before it
nobody was seen."""


LEAST_STRENGTH = 1e-6
"""Below it, too, everything is followed at once; the square of far smaller ones would be zero."""


@dataclass
class _Past(Rows):
    """What is remembered of M people.

    Attributes:
        unseen_s: (M,) seconds since the last measurement.
        seen_s: (M,) seconds that the shape has been averaged over.
        rotations: (M, 24, 4) smoothed, parent-relative, unit quaternions.
        spin: (M, 24, 3) filtered angular speeds, rad/s.
        place: (M, 3) smoothed x/z, y/z, log z.
        drift: (M, 3) their filtered speeds, per second.
        betas: (M, 10) mean shape.
    """

    unseen_s: np.ndarray
    seen_s: np.ndarray
    rotations: np.ndarray
    spin: np.ndarray
    place: np.ndarray
    drift: np.ndarray
    betas: np.ndarray


class Smoother:
    """Smooths pose, betas and translation of people who have an id.

    Args:
        config: how strongly.
    """

    def __init__(self, config: SmoothingConfig):
        self._config = config
        sideways, depth = config.direction, config.log_depth
        self._place_time_s = np.array([sideways.time_constant_s] * 2 + [depth.time_constant_s])
        self._place_speed = np.array([sideways.speed] * 2 + [depth.speed])
        self.clear()

    def clear(self) -> None:
        """Forget everybody."""
        self._ids = np.empty(0, np.int64)
        self._past = _first(measured(People.empty())[0])

    def forget_others(self, ids: np.ndarray) -> None:
        """Forget everybody but these ids."""
        kept = (self._ids[:, None] == ids).any(1)
        if not kept.all():
            self._ids, self._past = self._ids[kept], self._past[kept]

    def update(
        self, ids: np.ndarray, seen: Measured, seconds: float, strength: float
    ) -> dict[str, np.ndarray]:
        """Smoothed `pose`, `betas` and `translation` of people, float32.

        Args:
            ids: (K,) of the people, distinct.
            seen: the K people as measured.
            seconds: since the last image, above 0.
            strength: above 0, up to 1.
        """
        self._past.unseen_s += seconds
        now = _first(seen)
        if np.array_equal(ids, self._ids):
            smoothed = self._past = self._step(self._past, now, strength)
        else:
            smoothed = self._step_of(ids, now, strength)
        pose = quaternions.to_axis_angle(smoothed.rotations)
        return {
            "pose": pose.reshape(len(ids), 72).astype(np.float32),
            "betas": smoothed.betas.astype(np.float32),
            "translation": _from_place(smoothed.place).astype(np.float32),
        }

    def _step_of(self, ids: np.ndarray, now: _Past, strength: float) -> _Past:
        """Those with these ids moved towards what is measured now, the new ones put there."""
        same = ids[:, None] == self._ids
        known = same.any(1)
        rows = same.argmax(1) if same.size else np.zeros(len(ids), np.int64)
        self._past[rows[known]] = self._step(self._past[rows[known]], now[known], strength)
        rows[~known] = len(self._ids) + np.arange((~known).sum())
        self._ids = np.concatenate([self._ids, ids[~known]])
        self._past = self._past + now[~known]
        return self._past[rows]

    def _step(self, past: _Past, now: _Past, strength: float) -> _Past:
        """The past moved towards what is measured now."""
        seconds, config = past.unseen_s, self._config
        turn = quaternions.to_axis_angle(quaternions.relative(past.rotations, now.rotations))
        span = seconds[:, None]
        believed = -np.expm1(-span / config.speed_time_constant_s)  # of a new speed
        spin = past.spin + believed[..., None] * (turn / span[..., None] - past.spin)
        turning = config.rotations
        share = _share(_length(spin), turning.speed, turning.time_constant_s, span, strength)

        way = now.place - past.place
        drift = past.drift + believed * (way / span - past.drift)
        speed = drift.copy()
        speed[:, :2] = _length(drift[:, :2])[:, None]
        place = past.place + way * _share(
            speed, self._place_speed, self._place_time_s, span, strength
        )

        # A running mean at first, then over the last seconds: it settles and stays.
        counted = np.minimum(seconds, LONGEST_SHARE_S)
        seen_s = np.maximum(past.seen_s, counted) + counted  # the first image counts like this one
        part = counted / np.minimum(seen_s, config.shape_s)
        return _Past(
            unseen_s=np.zeros_like(seconds),
            seen_s=seen_s,
            rotations=quaternions.between(past.rotations, now.rotations, share),
            spin=spin,
            place=place,
            drift=drift,
            betas=past.betas + part[:, None] * (now.betas - past.betas),
        )


def _share(
    speed: np.ndarray,
    channel_speed: float | np.ndarray,
    time_constant_s: float | np.ndarray,
    seconds: np.ndarray,
    strength: float,
) -> np.ndarray:
    """The part of the way to a measurement that is gone; see `Channel`.

    Args:
        speed: (M, N) of N quantities.
        channel_speed, time_constant_s: of the quantities' channel, or (N,) of their channels.
        seconds: (M, 1) since the last measurement.
        strength: above 0, up to 1.

    Returns:
        (M, N), 0 to 1.
    """
    relative = speed / channel_speed
    rate = (1 / max(strength, LEAST_STRENGTH) ** 2 + relative * relative) / time_constant_s
    return -np.expm1(-seconds * rate)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors * vectors).sum(-1))


def _first(seen: Measured) -> _Past:
    """What is remembered of people who were seen for the first time."""
    count = len(seen.position)
    return _Past(
        unseen_s=np.zeros(count),
        seen_s=np.zeros(count),
        rotations=seen.rotations,
        spin=np.zeros((count, 24, 3)),
        place=_to_place(seen.position),
        drift=np.zeros((count, 3)),
        betas=seen.betas,
    )


def _to_place(translation: np.ndarray) -> np.ndarray:
    """(K, 3) x/z, y/z, log z of metres: pixels and distance are measured differently well."""
    depth = translation[:, 2:].clip(min=NEAREST)
    return np.concatenate([translation[:, :2] / depth, np.log(depth)], 1)


def _from_place(place: np.ndarray) -> np.ndarray:
    depth = np.exp(place[:, 2:])
    return np.concatenate([place[:, :2] * depth, depth], 1)
