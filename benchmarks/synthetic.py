"""Two processes render 20 or more annotated synthetic pictures of 256x256 per second.

`--poses` and `--panoramas` measure training's own pictures; without them, procedural poses and
backgrounds are used.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("LP_NUM_THREADS", "0")  # before the first OpenGL context: one core

import cv2
import torch
from common import Claim, report

from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople, render_to_disk

GOAL = ">= 20"
WARM_UP = 10


def one_process(config: SyntheticConfig, pictures: int) -> dict[str, float]:
    """Pictures and people per second of one process on one core."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    data = SyntheticPeople(config)
    for index in range(WARM_UP):
        data[index]
    start, busy = time.perf_counter(), time.process_time()
    people = sum(len(data[index]) for index in range(WARM_UP, WARM_UP + pictures))
    elapsed, busy = time.perf_counter() - start, time.process_time() - busy
    return {
        "pictures_per_second": round(pictures / elapsed, 1),
        "annotated_people_per_picture": round(people / pictures, 2),
        "cpu_ms_per_picture": round(busy / pictures * 1e3, 1),
    }


def to_disk(config: SyntheticConfig, workers: int) -> float:
    """Pictures per second of several processes that write files, start-up left out."""
    with tempfile.TemporaryDirectory() as folder:
        shards = render_to_disk(config, 1, Path(folder), workers)
        done = sum(next(shards) for _ in range(workers))
        start = time.perf_counter()
        done = sum(shards)
        return round(done / (time.perf_counter() - start), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--poses", type=Path)
    parser.add_argument("--panoramas", type=Path)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    config = SyntheticConfig(poses=options.poses, panoramas=options.panoramas)
    on_disk = to_disk(replace(config, length=256 * 2 * options.workers), options.workers)
    one = {
        "256x256": one_process(config, 100),
        "512x512": one_process(replace(config, height=512, width=512), 40),
    }
    claims = [
        Claim(f"256x256, written by {options.workers} processes", on_disk, "per second", GOAL)
    ]
    claims += [
        Claim(f"{size}, one process", found["pictures_per_second"], "per second")
        for size, found in one.items()
    ]
    details = {"written": on_disk, "processes": options.workers, "one process": one}

    def plot(axes) -> None:
        axes.barh([claim.what for claim in claims], [claim.value for claim in claims])
        axes.set(xlabel="pictures / s")

    report("synthetic", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
