"""Tracking of what the open network finds in filmed sequences: reported, without a goal.

Films show clothed people at a low frame rate, as on a slow computer. Beside ours: norfair as
simple_romp uses it, see tracking.py.
"""

import argparse
import logging
from pathlib import Path

from common import Claim, report
from tracking import Published, Run, identities

from romp_core import BodyModel, load
from romp_core.data.synthetic.film import Film
from romp_core.data.synthetic.poses import load_clips
from romp_core.data.synthetic.sequences import SequenceConfig, make_sequence
from romp_core.tracking import Tracker

FIRST_SEED = 10
"""Not looked at while anything was tuned."""

CONFIG = SequenceConfig(rate=(6.0, 10.0), people=(3, 5), size=(360, 640), distance=(2.5, 6.0))


def find(seed: int, poses: Path | None, panoramas: Path | None) -> Run:
    """A sequence, and what the open network finds in its film."""
    clips = load_clips(poses, held_out=True) if poses else None
    sequence = make_sequence(seed, BodyModel.load("open"), clips, CONFIG)
    romp = load("open")
    film = Film(sequence, seed, panoramas).frames()
    found = [romp.predict(frame, sequence.intrinsics, with_vertices=False) for frame in film]
    return sequence, found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--poses", type=Path, help="clips, such as cmu_poses.npz")
    parser.add_argument("--panoramas", type=Path, help="folder of panoramas; without it: rooms")
    parser.add_argument("--sequences", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    seeds = range(FIRST_SEED, FIRST_SEED + options.sequences)
    runs = [find(seed, options.poses, options.panoramas) for seed in seeds]
    table = {"ours": identities(runs, lambda: Tracker().update)}
    try:
        table["norfair as published"] = identities(runs, Published)
        table["norfair, one update per image"] = identities(runs, lambda: Published(1))
    except ImportError as error:
        table["norfair"] = f"not installed: {error}"
    visible = sum(len(people) for sequence, _ in runs for people in sequence.truth)
    details = {
        "images": sum(len(found) for _, found in runs),
        "people visible": visible,
        "people found": sum(len(people) for _, found in runs for people in found),
        "identities": table,
    }

    def plot(axes) -> None:
        rows = {name: row for name, row in table.items() if isinstance(row, dict)}
        axes.bar(list(rows), [row["idf1"] for row in rows.values()])
        axes.set(ylabel="IDF1", ylim=(0, 1))

    claims = [Claim("IDF1 with the open network", table["ours"]["idf1"], "")]
    report("tracking_open_model", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
