"""The body layer against smplx, side by side: axis-angle poses in, vertices and joints out.

Both evaluate the same file, and their vertices must be the same. "SMPL's size" is the open body
cut to SMPL's 6,890 vertices, with made-up pose directions such as SMPL has; "open" is the open body
itself, which has none (smplx multiplies with their zeros).
"""

import tempfile
from pathlib import Path

import numpy as np
import smplx
import torch
from common import Claim, model_parser, report
from smpl_sized_body import smpl_sized_body
from smplx.utils import Struct

from romp_core import BodyModel
from romp_core.body import read_body, write_body
from romp_core.body.data import BodyData
from romp_core.body.model import OPEN_BODY
from romp_core.timing import spread, time_in_turns

PEOPLE = (1, 4, 16, 64)
CLAIMED_PEOPLE = 16
GOAL = ">= 3"


def compare(data: BodyData, device: str, runs: int) -> dict[int, dict[str, np.ndarray]]:
    """Milliseconds of both by number of people."""
    ours = BodyModel(data).to(device)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "SMPL_NEUTRAL.npz")
        write_body(data, file)
        theirs = smplx.SMPL("", data_struct=Struct(**np.load(file))).to(device)
    return {people: _in_turns(ours, theirs, people, device, runs) for people in PEOPLE}


def _in_turns(
    ours: BodyModel, theirs: smplx.SMPL, people: int, device: str, runs: int
) -> dict[str, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    pose = (0.3 * torch.randn(people, 72, generator=generator)).to(device)
    betas = torch.randn(people, 10, generator=generator).to(device)

    def their_vertices() -> torch.Tensor:
        return theirs(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=betas).vertices

    torch.testing.assert_close(ours(pose, betas).vertices, their_vertices(), atol=1e-4, rtol=0)
    calls = {
        "ours": lambda: ours(pose, betas).vertices.cpu(),
        "smplx": lambda: their_vertices().cpu(),
    }
    return time_in_turns(calls, runs)


@torch.inference_mode()
def main() -> None:
    options = model_parser(__doc__, runs=30).parse_args()
    bodies = {"SMPL's size": smpl_sized_body(), "open": read_body(OPEN_BODY)}
    times = {name: compare(data, options.device, options.runs) for name, data in bodies.items()}
    ratios = {
        name: {people: pair["smplx"] / pair["ours"] for people, pair in pairs.items()}
        for name, pairs in times.items()
    }
    claims = [
        Claim.of(
            f"{CLAIMED_PEOPLE} people, {name}: smplx's time over ours",
            by_people[CLAIMED_PEOPLE],
            "times",
            GOAL if options.device == "cpu" else "",
        )
        for name, by_people in ratios.items()
    ]
    details = {
        "device": options.device,
        **{
            name: {
                people: {who: spread(ms) for who, ms in pair.items()}
                for people, pair in pairs.items()
            }
            for name, pairs in times.items()
        },
        "times faster": {
            name: {people: spread(ratio) for people, ratio in by_people.items()}
            for name, by_people in ratios.items()
        },
    }

    def plot(axes) -> None:
        for name, pairs in times.items():
            for who in ("ours", "smplx"):
                medians = [np.median(pair[who]) for pair in pairs.values()]
                axes.loglog(PEOPLE, medians, marker="o", label=f"{who}, {name}")
        axes.set(xlabel="people", ylabel="ms", xticks=PEOPLE, xticklabels=PEOPLE)
        axes.legend()

    report("body", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
