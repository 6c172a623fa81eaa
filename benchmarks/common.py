"""What benchmarks share: options, networks with a known number of people, results on disk."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from romp_core import BodyModel, Romp, load
from romp_core.checkpoints import read_checkpoint
from romp_core.evaluation.plots import draw
from romp_core.network import NetworkConfig, RompNetwork, build_network
from romp_core.runtime import DenseMaps, Runtime, choices
from romp_core.timing import describe_machine, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = Path(__file__).resolve().parents[1] / "out" / "benchmarks"
PLANTED = 64


@dataclass(frozen=True)
class Claim:
    """A number and what was hoped for.

    Attributes:
        what: was measured.
        value: found.
        unit: its unit.
        goal: `"<= 5"`, `">= 3.5"`, or empty where the number stands for itself.
        spread: of single measurements around the value, in words.
    """

    what: str
    value: float
    unit: str
    goal: str = ""
    spread: str = ""

    @classmethod
    def of(cls, what: str, values: np.ndarray, unit: str, goal: str = "") -> "Claim":
        """A claim about the median of single measurements."""
        found = spread(values)
        return cls(what, found["median"], unit, goal, "{p10:g} to {p90:g}".format(**found))

    @property
    def holds(self) -> bool | None:
        """Whether the goal is met; None: there is none."""
        if not self.goal:
            return None
        relation, limit = self.goal.split()
        if relation == "<=":
            return bool(self.value <= float(limit))
        return bool(self.value >= float(limit))


def report(
    name: str,
    about: str,
    claims: Sequence[Claim],
    details: dict[str, object],
    plot: Callable[["Axes"], None],
) -> None:
    """Print what was measured, and write out/benchmarks/NAME.json and NAME.png.

    Args:
        name: of the script; results of a GPU get `_cuda` behind it.
        about: its docstring.
        claims: what it is about.
        details: all that was measured.
        plot: fills the picture's axes.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    if str(details.get("device", "")).startswith("cuda"):
        name += "_cuda"
    content = {
        "about": about,
        "machine": describe_machine(),
        "claims": [{**asdict(claim), "holds": claim.holds} for claim in claims],
        "results": details,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    draw(RESULTS / f"{name}.png", plot)
    print(f"{name}: {json.dumps(details, indent=2)}")
    for claim in claims:
        verdict = {None: "", True: "holds", False: "MISSED"}[claim.holds]
        print(f"{claim.what}: {claim.value:.4g} {claim.unit} {claim.goal} {verdict}")
    print(f"written to {RESULTS / name}.json and .png\n", flush=True)


def model_parser(about: str | None, runs: int) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks of a model have.

    Args:
        about: the script's docstring.
        runs: default number of timed runs of each thing.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--runs", type=int, default=runs)
    return parser


def picture(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 noise."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def crowded_romp(network: str, options: argparse.Namespace, input_size: int = 512) -> Romp:
    """A predictor that finds as many people in any picture as `set_people` says, up to 64.

    The center map is a fixed one, whatever the weights see. All that is done for a person is done
    for these.

    Args:
        network: "open", run by what "auto" takes for it, or a backbone with random weights, of
            which nobody can say how exact they must be run: by the fastest there is.
        input_size: of a backbone's network.
        options: of `model_parser`.
    """
    torch.manual_seed(0)
    if network == "open":
        built = read_checkpoint("open").build()
        chosen = load("open", **model_options(options)).runtime
        runtime, precision = chosen.name, chosen.precision
    else:
        built = random_network(NetworkConfig(network, input_size))
        runtime, precision = fastest_choice(options, built)
    romp = Romp(
        built,
        BodyModel.load("open"),
        device=options.device,
        runtime=runtime,
        precision=precision,
        center_threshold=0.0,  # what the network sees of their keypoints is noise
    )
    romp.runtime = _PlantedPeople(romp.runtime, built.config)
    set_people(romp, PLANTED)
    return romp


def set_people(romp: Romp, count: int) -> None:
    """Let a predictor of `crowded_romp` find so many people."""
    romp.runtime.plant(count)
    romp.max_people = count


def model_options(options: argparse.Namespace) -> dict[str, str]:
    """Device, runtime and precision as `romp_core.load` takes them."""
    return {name: getattr(options, name) for name in ("device", "runtime", "precision")}


def fastest_choice(options: argparse.Namespace, network: RompNetwork) -> tuple[str, str]:
    """The runtime and the precision that are tried first where the options leave it open."""
    return choices(options.runtime, options.precision, torch.device(options.device), network)[0]


def random_network(config: NetworkConfig) -> RompNetwork:
    """Weights by chance, of such a size that numbers neither grow nor vanish on their way."""
    network = build_network(config).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.normal_(0, module.weight[0].numel() ** -0.5)
    return network


def check_count(romp: Romp, image: np.ndarray, expected: int) -> None:
    """Refuse to measure with another number of people than intended."""
    found = len(romp.predict(image))
    if found != expected:
        raise RuntimeError(f"{found} people instead of {expected}; the measure would be wrong")


class _PlantedPeople:
    """A runtime whose center map shows as many peaks as it is told, whatever is in the picture.

    Args:
        runtime: does all the work.
        config: of its network.
    """

    def __init__(self, runtime: Runtime, config: NetworkConfig):
        self.name, self.precision = runtime.name, runtime.precision
        self._runtime = runtime
        # Enough of them also in the middle of squares, for networks that see no more.
        self._step = config.input_size // config.map_stride // (14 if config.lifting else 8)
        self._count = PLANTED
        self._maps: dict[torch.Size, Tensor] = {}  # recorded graphs read them ever again

    @torch.inference_mode()
    def plant(self, count: int) -> None:
        """Show so many people from now on."""
        self._count = count
        for center_map in self._maps.values():
            self._draw(center_map)

    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        dense = self._runtime(squares)
        shape = dense.center_map.shape
        if shape not in self._maps:
            self._maps[shape] = torch.empty_like(dense.center_map)
            self._draw(self._maps[shape])
        return DenseMaps(self._maps[shape], dense.source)

    def _draw(self, center_map: Tensor) -> None:
        height, width = center_map.shape[2:]
        first = self._step // 2
        places = product(range(first, height, self._step), range(first, width, self._step))
        center_map.zero_()
        for row, column in islice(places, self._count):
            center_map[..., row, column] = 0.9
