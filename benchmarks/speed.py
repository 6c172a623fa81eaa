"""Claim: prediction takes nearly the same time for one person as for many (Table 7, Figure 4).

End to end on one picture: letterbox, network, decoding, bodies with vertices, translation. The
weights are random, with 64 centers planted into the network's map, so that the number of people is
exactly the one asked for. `romp-core tables --speed out/benchmarks/speed.json` makes the table and
the figure.
"""

import argparse

import numpy as np
import torch
from common import milliseconds, report

from romp_core.body import BodyModel
from romp_core.model import Romp
from romp_core.network import Maps, NetworkConfig, build_network

PEOPLE = (1, 2, 4, 8, 16, 32, 64)
CLAIM_RATIO = 1.5
"""Time for the most people over the time for one."""


def by_people(backbone: str, device: str, runs: int) -> dict[str, dict[str, float]]:
    """Times of one network: {number of people: times}."""
    torch.manual_seed(0)
    network = build_network(NetworkConfig(backbone))
    network.register_forward_hook(lambda module, images, maps: _with_centers(maps))
    romp = Romp(network, BodyModel.load("open"), device=device)
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    times = {}
    for count in PEOPLE:
        romp.max_people = count
        found = len(romp.predict(image))
        if found != count:
            raise RuntimeError(f"{found} people instead of {count}; the measure would be wrong")
        times[str(count)] = milliseconds(lambda: romp.predict(image), runs, 1)
    return times


def _with_centers(maps: Maps) -> Maps:
    """The same parameters, and a center at every eighth cell in both directions."""
    planted = torch.zeros_like(maps.center_map)
    planted[..., 4::8, 4::8] = 1
    return Maps(planted, maps.params_map)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=["hrnet32", "resnet50"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    times = {name: by_people(name, options.device, options.runs) for name in options.backbones}
    ratios = {
        name: round(rows[str(PEOPLE[-1])]["median_ms"] / rows[str(PEOPLE[0])]["median_ms"], 3)
        for name, rows in times.items()
    }
    report(
        "speed",
        {
            "device": options.device,
            "end to end by people": times,
            f"{PEOPLE[-1]} people over {PEOPLE[0]}": ratios,
            "claim_holds": max(ratios.values()) <= CLAIM_RATIO,
        },
    )


if __name__ == "__main__":
    main()
