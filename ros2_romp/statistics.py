"""What the node counts and times per camera. Needs no ROS."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATE_WINDOW = 5.0
"""Seconds over which rates are counted."""

KEPT_LATENCIES = 200
"""Results over which percentiles are taken."""

FEWEST_LOST = 3
"""Images lost on the way, within the seconds of `RATE_WINDOW`, below which nothing is made of it:
one or two get lost while a camera starts."""

_COUNTS = ("received", "lost", "answered", "dropped", "stale", "refused", "failed")
_STAMP_COUNTS = ("clock_resets", "repeated_stamps")
_TEXTS = (
    "last_refusal",
    "last_loss",
    "failure",
    "calibration_problem",
    "depth_problem",
    "translation_source",
)


@dataclass(frozen=True)
class Latency:
    """Seconds that half, and 95 %, of the results took at most; None before the first."""

    p50: float | None
    p95: float | None

    @classmethod
    def of(cls, seconds: deque[float]) -> "Latency":
        """Percentiles of the values."""
        if not seconds:
            return cls(None, None)
        p50, p95 = np.percentile(list(seconds), [50, 95])
        return cls(float(p50), float(p95))


@dataclass(frozen=True)
class Report:
    """State of one camera at one moment.

    Attributes:
        received: images that came. Each was answered, dropped, stale, refused or failed, or is
            on its way.
        lost: images that never came, as far as the middleware tells: they are among no others.
        answered: images that a result was published for.
        dropped: images that a newer one replaced before their turn came.
        stale: images older than the limit.
        refused: images that could not be used.
        failed: images that got no result because something failed: the model, as a rule.
        clock_resets, repeated_stamps: as `Tracker` counts them.
        last_refusal: why the last image was refused; empty: none was.
        last_loss: why the last image without a result got none, failures aside; empty: none was
            lost.
        input_rate, output_rate: images and results per second over the last few seconds.
        loss_share: of the images of these seconds, 0..1, that were lost on the way; 0 where they
            are fewer than `FEWEST_LOST`.
        latency: seconds from the image's stamp to the result.
        network: seconds in the network.
        overhead: seconds beside it, from taking an image up to having published all about it.
        people: in the last result.
        silence: seconds since the last image; None before the first.
        failure: what failed at the last image; empty: nothing did.
        calibration_problem: what is wrong with the camera's calibration; empty: nothing.
        depth_problem: why depth that comes does not serve; empty: it does, or none comes.
        translation_source: where the distances of the last result come from.
    """

    received: int
    lost: int
    answered: int
    dropped: int
    stale: int
    refused: int
    failed: int
    clock_resets: int
    repeated_stamps: int
    last_refusal: str
    last_loss: str
    input_rate: float
    output_rate: float
    loss_share: float
    latency: Latency
    network: Latency
    overhead: Latency
    people: int
    silence: float | None
    failure: str
    calibration_problem: str
    depth_problem: str
    translation_source: str


class Statistics:
    """Counts of one camera; every method may be called from any thread.

    Args:
        clock: seconds that never go backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(_COUNTS + _STAMP_COUNTS, 0)
        self._inputs: deque[float] = deque()
        self._outputs: deque[float] = deque()
        self._losses: deque[float] = deque()
        self._latencies: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._network: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._overhead: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._start = clock()
        self._last_input: float | None = None
        self._people = 0
        self._texts = dict.fromkeys(_TEXTS, "")

    def received(self) -> None:
        """An image came."""
        with self._lock:
            self._counts["received"] += 1
            self._last_input = self._clock()
            self._inputs.append(self._last_input)
            self._forget(self._inputs)

    def lost(self, count: int) -> None:
        """So many images were lost on the way."""
        with self._lock:
            self._counts["lost"] += count
            self._losses.extend([self._clock()] * count)
            self._forget(self._losses)

    def dropped(self) -> None:
        """An image was replaced by a newer one."""
        self._unused("dropped", "slow")

    def stale(self) -> None:
        """An image was too old."""
        self._unused("stale", "images are older than max_image_age")

    def refused(self, reason: str) -> None:
        """An image could not be used."""
        self._unused("refused", f"images cannot be used: {reason}")
        self._note("last_refusal", reason)

    def failed(self, reason: str) -> None:
        """Something failed that is not the image's fault: the model, as a rule."""
        with self._lock:
            self._counts["failed"] += 1
            self._texts["failure"] = reason

    def answered(self, latency: float, network: float, overhead: float, people: int) -> None:
        """A result was published; times as in `Report`, in seconds."""
        with self._lock:
            self._counts["answered"] += 1
            self._outputs.append(self._clock())
            self._forget(self._outputs)
            self._latencies.append(latency)
            self._network.append(network)
            self._overhead.append(overhead)
            self._people = people
            self._texts["failure"] = ""

    def calibration_problem(self, reason: str) -> None:
        """What is wrong with the camera's calibration; empty: nothing."""
        self._note("calibration_problem", reason)

    def stamps(self, clock_resets: int, repeated: int) -> None:
        """How often, up to now, the clock started anew, and how often a stamp came again."""
        with self._lock:
            self._counts.update(clock_resets=clock_resets, repeated_stamps=repeated)

    def depth_problem(self, reason: str) -> None:
        """Why depth that comes does not serve; empty: it does, or none comes."""
        self._note("depth_problem", reason)

    def translation_source(self, source: str) -> None:
        """Where the distances of a result come from."""
        self._note("translation_source", source)

    def report(self) -> Report:
        """All of it at this moment."""
        with self._lock:
            now = self._clock()
            self._forget(self._inputs)
            self._forget(self._outputs)
            self._forget(self._losses)
            sent = len(self._losses) + len(self._inputs)
            window = max(min(RATE_WINDOW, now - self._start), 1e-9)
            return Report(
                **self._counts,
                **self._texts,
                input_rate=len(self._inputs) / window,
                output_rate=len(self._outputs) / window,
                loss_share=len(self._losses) / sent if len(self._losses) >= FEWEST_LOST else 0.0,
                latency=Latency.of(self._latencies),
                network=Latency.of(self._network),
                overhead=Latency.of(self._overhead),
                people=self._people,
                silence=None if self._last_input is None else now - self._last_input,
            )

    def _note(self, name: str, text: str) -> None:
        with self._lock:
            self._texts[name] = text

    def _unused(self, count: str, reason: str) -> None:
        with self._lock:
            self._counts[count] += 1
            self._texts["last_loss"] = reason

    def _forget(self, times: deque[float]) -> None:
        oldest = self._clock() - RATE_WINDOW
        while times and times[0] < oldest:
            times.popleft()
