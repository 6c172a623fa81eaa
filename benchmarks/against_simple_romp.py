"""HRNet-32 at 512 pixels against the published package, simple_romp 1.1.4, from PyPI.

From a BGR image to everybody's vertices on the host. All have the same weights, body, image and
number of threads, each in a process of its own; they take turns, and a ratio is that of two
neighbouring runs. The weights are random, in the published file's form, the body is of SMPL's size;
confidence thresholds are such that all find equally many people. Ours runs as fast as it can, and
once more in float32, whose people are simple_romp's, to the vertex. How exact other precisions are,
random weights cannot say: see docs/runtimes.md.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import (
    RESULTS,
    Claim,
    fastest_choice,
    model_parser,
    picture,
    random_network,
    report,
)
from smpl_sized_body import smpl_sized_body, write_packed
from torch import Tensor

from romp_core import load
from romp_core.checkpoints import read_checkpoint
from romp_core.network import NetworkConfig
from romp_core.timing import spread

PACKAGE = "simple_romp==1.1.4"
GOALS = {"cpu": {"torch": ">= 3.5", "onnx": ">= 2"}, "cuda": {"torch": ">= 8", "onnx": ""}}
AIM_MS = {"cpu": "", "cuda": "<= 4"}
SPARE_PEOPLE = 4
PAUSE = 0.05
"""Seconds between two turns: threads that wait by spinning have gone to sleep then."""

SAME_VERTICES_M = 0.02


def their_python() -> Path:
    """The interpreter of an environment with simple_romp; made the first time, in out/benchmarks.

    torch, OpenCV and ONNX Runtime are those of this environment: the same for both.
    """
    folder = RESULTS / "simple_romp"
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        paths = sysconfig.get_path("purelib", vars={"base": folder})
        Path(paths, "shared.pth").write_text(sysconfig.get_path("purelib"))
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "cython", "setuptools", "wheel"], check=True)
        subprocess.run([*install, "--no-deps", "--no-build-isolation", PACKAGE], check=True)
        done.touch()
    return python


def stand_in_weights(shared: Path) -> dict[str, Tensor]:
    """A state dict under the published names: the parity weights, or others where they are not."""
    generator = shared / "parity" / "reference_weights.py"
    if not generator.is_file():
        torch.manual_seed(0)
        return random_network(NetworkConfig("hrnet32")).state_dict()
    spec = importlib.util.spec_from_file_location("reference_weights", generator)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights = module.make_weights("hrnet32.keys.json")
    return {key: torch.from_numpy(np.asarray(array)) for key, array in weights.items()}


def thresholds(
    people: int, files: Path, image: np.ndarray, options: argparse.Namespace
) -> tuple[int, dict[str, float]]:
    """A number of people, as asked for or a few more, and by contestant the confidence that so
    many exceed.

    In bfloat16 random weights see others than in float32, some of them equally well: the number is
    one for which there is a gap.
    """
    fastest = fastest_choice(options, read_checkpoint(files / "ROMP.pkl").build())
    choices = {"ours": fastest, "float32": ("torch", "float32")}
    best = {
        name: _confidences(people, files, image, options.device, choice)
        for name, choice in choices.items()
    }
    gaps = best["ours"][:-1] - best["ours"][1:]
    place = int(gaps.argmax())
    middle = {name: float(values[place : place + 2].mean()) for name, values in best.items()}
    others = dict.fromkeys(("ours_float32", "torch", "onnx"), middle["float32"])
    return people + place, {"ours": middle["ours"], **others}


def _confidences(
    people: int, files: Path, image: np.ndarray, device: str, choice: tuple[str, str]
) -> np.ndarray:
    """The best confidences from the one of person number `people` on."""
    runtime, precision = choice
    romp = load(
        files / "ROMP.pkl",
        body=files / "SMPL_NEUTRAL.pth",
        device=device,
        runtime=runtime,
        precision=precision,
        center_threshold=-np.inf,
        max_people=people + SPARE_PEOPLE + 1,
    )
    return romp.predict(image).confidence.astype(float)[people - 1 :]


class Contestant:
    """A process of contestant.py."""

    def __init__(self, python: Path | str, name: str, files: Path, arguments: list[str]):
        self.name = name
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("contestant.py"), name, files, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # simple_romp looks for its files in ~/.romp, and would download what is not there.
            env={**os.environ, "HOME": str(files.parent), "NO_ALBUMENTATIONS_UPDATE": "1"},
        )
        self.runtime = self._answer()["runtime"]

    def predict(self) -> tuple[float, int]:
        """Milliseconds of one prediction, and how many people were found."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["ms"], answer["people"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self._process.wait()}, see above")
        return json.loads(line)


def measure(options: argparse.Namespace, files: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Milliseconds of each contestant, round by round, and what else is to be known."""
    image = picture(options.height, options.width)
    torch.save(stand_in_weights(options.shared), files / "ROMP.pkl")
    write_packed(smpl_sized_body(), files / "SMPL_NEUTRAL.pth")
    np.save(files / "image.npy", image)
    people, threshold = thresholds(options.people, files, image, options)
    contestants = [
        Contestant(
            python,
            name,
            files,
            [f"--threshold={threshold[name]}", f"--device={options.device}", *own],
        )
        for name, (python, own) in _line_up(files, options).items()
    ]
    times = {contestant.name: np.empty(options.runs) for contestant in contestants}
    for number in range(-2, options.runs):
        for contestant in contestants:
            time.sleep(PAUSE)
            elapsed, found = contestant.predict()
            if found != people:
                raise RuntimeError(f"{contestant.name} found {found} people instead of {people}")
            if number >= 0:
                times[contestant.name][number] = elapsed
    for contestant in contestants:
        contestant.close()
    facts = {
        "device": options.device,
        "picture": f"{options.width}x{options.height}",
        "people": people,
        "runtimes": {contestant.name: contestant.runtime for contestant in contestants},
        "mean distance of float32 vertices (mm)": _distance_mm(files),
    }
    return times, facts


def _line_up(files: Path, options: argparse.Namespace) -> dict[str, tuple[Path | str, list[str]]]:
    """Interpreter and own arguments of each contestant; ours that is compared comes first."""
    runtime, precision = fastest_choice(options, read_checkpoint(files / "ROMP.pkl").build())
    fastest = [f"--runtime={runtime}", f"--precision={precision}"]
    line_up: dict[str, tuple[Path | str, list[str]]] = {"ours": (sys.executable, fastest)}
    exact = [f"--runtime={options.runtime}", "--precision=float32"]
    line_up["ours_float32"] = (sys.executable, exact)
    return line_up | {name: (their_python(), []) for name in ("torch", "onnx")}


def _distance_mm(files: Path) -> float:
    """How far our vertices are from simple_romp's: the work was the same."""
    ours, theirs = (np.load(files / f"{name}.npy") for name in ("ours_float32", "torch"))
    distance = float(np.linalg.norm(ours - theirs, axis=-1).mean())
    if distance > SAME_VERTICES_M:
        raise RuntimeError(f"vertices are {distance:.3f} m apart; both should do the same work")
    return round(distance * 1e3, 3)


def main() -> None:
    parser = model_parser(__doc__, runs=20)
    parser.add_argument("--people", type=int, help="default: 5, on a GPU 16")
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int, help="default: 640x480, on a GPU 1920x1080")
    shared = Path(os.environ.get("ROMP_SHARED", Path(__file__).parents[2] / "shared"))
    parser.add_argument("--shared", type=Path, default=shared, help="with parity/ in it")
    options = parser.parse_args()
    device = options.device.partition(":")[0]
    people, height, width = {"cpu": (5, 480, 640), "cuda": (16, 1080, 1920)}[device]
    options.people = options.people or people
    options.height, options.width = options.height or height, options.width or width
    with tempfile.TemporaryDirectory() as home:
        files = Path(home, ".romp")
        files.mkdir()
        times, facts = measure(options, files)
    runtimes = facts["runtimes"]
    ratios = {
        f"time of {runtimes[theirs]} over {runtimes[ours]}": times[theirs] / times[ours]
        for ours in times
        if ours.startswith("ours")
        for theirs in ("torch", "onnx")
    }
    goals = [*GOALS[device].values(), "", ""]
    claims = [
        Claim.of(what, ratio, "times", goal)
        for (what, ratio), goal in zip(ratios.items(), goals, strict=True)
    ]
    claims.append(
        Claim.of(
            f"{runtimes['ours']}, {facts['people']} people", times["ours"], "ms", AIM_MS[device]
        )
    )
    details = {
        **facts,
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "times faster": {name: spread(values) for name, values in ratios.items()},
    }

    def plot(axes) -> None:
        labels = [runtimes[name].replace(" (", "\n(") for name in times]
        axes.boxplot(list(times.values()), tick_labels=labels, showfliers=False)
        axes.set(ylabel="ms from image to vertices", ylim=(0, None))
        axes.set_title(f"HRNet-32, {facts['picture']}, {facts['people']} people")

    report("against_simple_romp", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
