"""Claims: ids that last (IDF1 0.97 or more) and motion without jitter (3 times less) or lag.

Twenty sequences of 10 s with 3 to 8 people, whose truth with noise takes the place of a network's
answers; scores by motmetrics. Beside it, on the same answers, the tracker of the published
package: norfair as simple_romp uses it, nine updates per image, each person given the id of the
nearest tracked object. norfair asks for an older NumPy than it needs:

    pip install --no-deps norfair==2.3.0 filterpy

`--poses` takes recorded clips (those held out); without it people walk procedurally.
"""

import argparse
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from common import Claim, report

from romp_core import BodyModel, People
from romp_core.data.synthetic.poses import load_clips
from romp_core.data.synthetic.sequences import (
    DetectionNoise,
    Sequence,
    SequenceConfig,
    detections,
    make_sequence,
)
from romp_core.evaluation.tracking import IdentityScorer, motion_errors, step_lag
from romp_core.tracking import SmoothingConfig, Tracker

SEEDS = range(20)
"""Not looked at while anything was tuned."""

STRENGTHS = (0.1, 0.25, 0.5, 0.75, 1.0)
RATES_HZ = (10, 30, 60)
DEFAULT_STRENGTH = 0.5
STEPS = {
    "arm by 1 rad": {"pose": np.eye(72)[None, 16 * 3 + 2].astype(np.float32)},
    "aside by 0.5 m": {"translation": np.array([[0.5, 0, 0]], np.float32)},
    "away by 0.5 m": {"translation": np.array([[0, 0, 0.5]], np.float32)},
}

Track = Callable[[People, float], People]
Run = tuple[Sequence, list[People]]


class Published:
    """The ids of simple_romp's `temporal_optimization`.

    Args:
        updates: of norfair per image; the published code makes nine.
    """

    def __init__(self, updates: int = 9):
        from norfair import Tracker as Norfair

        self._updates = updates
        self._tracker = Norfair(distance_function=_distance, distance_threshold=120)

    def __call__(self, people: People, stamp: float) -> People:
        from norfair import Detection

        # Their pixels: of a square of 512 about the middle, which -1..1 fills with 1024.
        found = [Detection(points=camera[[2, 1]] * 512) for camera in people.camera]
        for _ in range(self._updates):
            tracked = self._tracker.update(detections=found)
        ids = np.zeros(len(people), np.int64)
        if tracked and found:
            last = np.array([item.last_detection.points.ravel() for item in tracked])
            points = np.array([item.points.ravel() for item in found])
            nearest = np.linalg.norm(points[:, None] - last[None], axis=-1).argmin(1)
            ids = np.array([item.id for item in tracked])[nearest]
        return replace(people, track_ids=ids)


def _distance(detection: object, tracked: object) -> float:
    return float(np.linalg.norm(detection.points - tracked.estimate))


def make_runs(body: BodyModel, poses: Path | None, config: SequenceConfig) -> list[Run]:
    clips = load_clips(poses, held_out=True) if poses else None
    sequences = [make_sequence(seed, body, clips, config) for seed in SEEDS]
    return [(s, detections(s, body, seed)) for seed, s in zip(SEEDS, sequences, strict=True)]


def identities(runs: list[Run], make: Callable[[], Track], change: Callable = lambda p: p) -> dict:
    scorer, each = IdentityScorer(), []
    for sequence, found in runs:
        track = make()
        answers = [track(change(p), s) for p, s in zip(found, sequence.stamps, strict=True)]
        each.append(scorer.add(sequence.stamps, sequence.truth, answers).idf1)
    return _rounded(asdict(scorer.total())) | {"lowest_idf1": round(min(each), 3)}


def motion(runs: list[Run], body: BodyModel, strength: float) -> dict[str, np.ndarray]:
    """Errors per sequence, of who has an id."""
    rows = []
    for sequence, found in runs:
        tracker = Tracker()
        answers, sources = [], []
        for people, stamp in zip(found, sequence.stamps, strict=True):
            answer = tracker.update(people, stamp, strength=strength)
            answers.append(answer)
            sources.append(np.where(answer.track_ids > 0, people.track_ids, 0))
        rows.append(asdict(motion_errors(sequence.stamps, sequence.truth, answers, sources, body)))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def smoothing(runs: list[Run], body: BodyModel) -> dict[float, dict]:
    """Per strength: errors, and lag in frames after each step at each rate."""
    curve = {}
    for strength in (0.0, *STRENGTHS):
        errors = {name: values.mean() for name, values in motion(runs, body, strength).items()}
        lags = {
            name: [round(step_lag(step, rate, strength, SmoothingConfig()), 2) for rate in RATES_HZ]
            for name, step in STEPS.items()
        }
        curve[strength] = _rounded(errors) | {"lag_frames": lags}
    return curve


def _rounded(values: dict) -> dict:
    return {name: round(float(value), 3) for name, value in values.items()}


def two_cameras(runs: list[Run]) -> int:
    """Ids that two cameras of one node both gave."""
    ids, given = itertools.count(1), []
    for sequence, found in runs[:2]:
        tracker = Tracker(ids=ids)
        people = [tracker.update(p, s) for p, s in zip(found, sequence.stamps, strict=True)]
        given.append({i for one in people for i in one.track_ids.tolist() if i})
    return len(given[0] & given[1])


def microseconds_per_image(runs: list[Run]) -> dict[str, float]:
    times: dict[str, float] = {}
    for strength in (0.0, DEFAULT_STRENGTH):
        start, images = time.perf_counter(), 0
        for sequence, found in runs[:4]:
            tracker = Tracker()
            for people, stamp in zip(found, sequence.stamps, strict=True):
                tracker.update(people, stamp, strength=strength)
            images += len(found)
        times[f"strength {strength}"] = round((time.perf_counter() - start) / images * 1e6)
    return times


def claims_about(ours: dict, shared: int, curve: dict[float, dict]) -> list[Claim]:
    raw, chosen = curve[0.0], curve[DEFAULT_STRENGTH]
    return [
        Claim("IDF1", ours["idf1"], "", ">= 0.97"),
        Claim("two people of an image with one id", ours["shared"], "times", "<= 0"),
        Claim("two cameras with one id", shared, "times", "<= 0"),
        Claim("jitter, raw over smoothed", raw["jitter"] / chosen["jitter"], "times", ">= 3"),
        Claim(
            "jitter of poses, raw over smoothed",
            raw["pose_jitter"] / chosen["pose_jitter"],
            "times",
            ">= 3",
        ),
        Claim(
            "position error, smoothed over raw",
            chosen["position_mm"] / raw["position_mm"],
            "times",
            "<= 1",
        ),
        Claim("pose error, smoothed over raw", chosen["pose_mm"] / raw["pose_mm"], "times", "<= 1"),
        Claim("lag at a step", max(map(max, chosen["lag_frames"].values())), "frames", "<= 2"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--poses", type=Path, help="clips, such as cmu_poses.npz")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # motmetrics and norfair comment on every sequence
    body = BodyModel.load("open")
    runs = make_runs(body, options.poses, SequenceConfig())
    turning = make_runs(body, options.poses, SequenceConfig(turning_deg_s=40))
    table = {
        "ours": identities(runs, lambda: Tracker().update),
        "ours, no betas": identities(
            runs, lambda: Tracker().update, lambda p: replace(p, betas=0 * p.betas)
        ),
        "perfect ids": identities(runs, lambda: lambda people, stamp: people),
        "ours, camera turns by up to 40 deg/s": identities(turning, lambda: Tracker().update),
        "perfect ids, camera turns": identities(turning, lambda: lambda people, stamp: people),
    }
    try:
        table["norfair as published"] = identities(runs, Published)
        table["norfair, one update per image"] = identities(runs, lambda: Published(1))
    except ImportError as error:
        table["norfair"] = f"not installed: {error}"
    curve = smoothing(runs, body)
    details = {
        "poses": "recorded, held out" if options.poses else "procedural",
        "noise": asdict(DetectionNoise()),
        "images per second": [round(1 / float(np.diff(s.stamps).mean()), 1) for s, _ in runs],
        "identities": table,
        "smoothing by strength": curve,
        "microseconds per image": microseconds_per_image(runs),
    }

    def plot(axes) -> None:
        for name in ("jitter", "pose_jitter", "position_mm", "pose_mm"):
            share = [row[name] / curve[0.0][name] for row in curve.values()]
            axes.plot(list(curve), share, marker="o", label=name)
        axes.set(xlabel="smoothing", ylabel="error over that without smoothing", ylim=(0, 1.1))
        axes.legend()

    report(
        "tracking", __doc__, claims_about(table["ours"], two_cameras(runs), curve), details, plot
    )


if __name__ == "__main__":
    main()
