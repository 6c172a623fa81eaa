"""The tracker of one camera: identities, then smoothing, under one clock."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from romp_core.people import People
from romp_core.tracking.config import SmoothingConfig, TrackingConfig
from romp_core.tracking.identities import Identities
from romp_core.tracking.measured import measured
from romp_core.tracking.smoothing import Smoother

REPEATED_STAMP_STEP_S = 1 / 30
"""Seconds that pass between two images of the same stamp: some drivers never set it."""

CLOCK_JITTER_S = 0.1
"""Seconds that a stamp may lie before the last one while the clock is still the same: images
overtake each other, and drivers and time servers correct their clocks."""


class Tracker:
    """Gives the people of one camera ids that last, and takes the jitter out of their motion.

    Args:
        config: of identities.
        smoothing: of motion.
        ids: where ids come from, from 1 upwards. Cameras that share one (`itertools.count(1)`)
            never share an id; `next` on it is safe in several threads.

    Attributes:
        resets: how often the clock started anew, and everybody got a new id.
        repeated_stamps: how many images had the stamp of the one before, or one shortly before it.

    Example:
        >>> tracker = Tracker()
        >>> people = tracker.update(romp.predict(image), stamp, strength=0.5)  # doctest: +SKIP
    """

    def __init__(
        self,
        config: TrackingConfig | None = None,
        smoothing: SmoothingConfig | None = None,
        ids: Iterator[int] | None = None,
    ):
        self._identities = Identities(config or TrackingConfig(), ids or itertools.count(1))
        self._smoother = Smoother(smoothing or SmoothingConfig())
        self._stamp: float | None = None
        self.resets = 0
        self.repeated_stamps = 0

    def update(self, people: People, stamp: float, *, strength: float = 0.0) -> People:
        """The people of the next image with ids and, above strength 0, smoothed.

        A stamp more than `CLOCK_JITTER_S` before the last one means that the clock started anew (a
        recording in a loop, simulated time): everybody is forgotten, and ids go on upwards. A
        repeated stamp, or one that lies less before the last one, counts as
        `REPEATED_STAMP_STEP_S` later.

        Args:
            people: of the image, in any order, also nobody.
            stamp: when it was taken, seconds.
            strength: of smoothing, 0 to 1; 0: off.

        Returns:
            The same people in the same order. `track_ids`: 0 for who was not seen often enough
            yet, and for who is not finite; else unique. Where `strength` is above 0, `pose`,
            `betas` and `translation` of who has an id are smoothed, and what follows from them
            (`vertices`, `joints`, `keypoints_2d`, `boxes`) is not: `romp_core.posing.posed`
            computes it.

        Raises:
            ValueError: a stamp that is not finite, or a strength outside of 0..1.
        """
        if not math.isfinite(stamp):
            raise ValueError(f"stamp is {stamp}; expected finite seconds")
        if not 0 <= strength <= 1:
            raise ValueError(f"smoothing strength is {strength}; expected 0 (off) to 1")
        seconds = self._seconds_since_last(stamp)
        seen, usable = measured(people)
        ids = self._identities.update(seen, seconds)
        if strength == 0:
            self._smoother.clear()
            return replace(people, track_ids=_spread(ids, usable))
        self._smoother.forget_others(self._identities.alive)
        known = ids > 0
        if not known.all():
            seen = seen[known]
        smoothed = self._smoother.update(ids[known], seen, seconds, strength)
        ids = _spread(ids, usable)
        known = ids > 0
        if not known.all():
            for name, values in smoothed.items():
                smoothed[name] = getattr(people, name).copy()
                smoothed[name][known] = values
        return replace(people, track_ids=ids, **smoothed)

    def reset(self) -> None:
        """Forget everybody; ids go on upwards."""
        self._identities.clear()
        self._smoother.clear()
        self._stamp = None

    def _seconds_since_last(self, stamp: float) -> float:
        elapsed = math.inf if self._stamp is None else stamp - self._stamp
        if elapsed < -CLOCK_JITTER_S:
            self.resets += 1
            self.reset()
        elif elapsed <= 0:
            self.repeated_stamps += 1
        self._stamp = stamp
        return elapsed if 0 < elapsed < math.inf else REPEATED_STAMP_STEP_S


def _spread(ids: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """(K,) ids, 0 for people that (K,) `usable` leaves out."""
    if usable.all():
        return ids
    everybody = np.zeros(len(usable), np.int64)
    everybody[usable] = ids
    return everybody
