"""Many people cost little more than one: the paper's Figure 4, and its Table 7.

One picture end to end: letterbox, network, decoding, bodies with vertices, translation, results on
the host. The numbers of people take turns. `romp-core tables --speed out/benchmarks/people.json`
makes the paper's table and figure of it.
"""

import argparse

import numpy as np
from common import Claim, check_count, crowded_romp, model_parser, picture, report, set_people

from romp_core.timing import spread, time_in_turns

PEOPLE = (1, 2, 4, 8, 16, 32, 64)
GOAL_RATIO = {"cpu": 1.5, "cuda": 1.3}
GOAL_OPEN_RATE = ">= 10"
"""Pictures per second of the open model on two cores from 640x480."""

SIZES = {"cpu": (480, 640), "cuda": (1080, 1920)}
AIMED_PEOPLE = 16
AIM_MS = {"hrnet32": "<= 4", "resnet50": "<= 3"}
"""On a GPU, for so many people."""


def measure(network: str, options: argparse.Namespace) -> tuple[dict[int, np.ndarray], str]:
    """Milliseconds by number of people, and what ran the network."""
    romp = crowded_romp(network, options)
    image = picture(*SIZES[options.device.partition(":")[0]])

    def predict(count: int) -> None:
        set_people(romp, count)
        romp.predict(image)

    for count in PEOPLE:
        set_people(romp, count)
        check_count(romp, image, count)
    calls = {str(count): lambda count=count: predict(count) for count in PEOPLE}
    times = time_in_turns(calls, options.runs)
    return {int(count): values for count, values in times.items()}, romp.runtime_name


def main() -> None:
    parser = model_parser(__doc__, runs=15)
    parser.add_argument("--networks", nargs="+", default=["open", "hrnet32", "resnet50"])
    options = parser.parse_args()
    kind = options.device.partition(":")[0]
    measured = {network: measure(network, options) for network in options.networks}
    most, goal = PEOPLE[-1], GOAL_RATIO[kind]
    claims = []
    for network, (times, runtime) in measured.items():
        ratio = f"{network}: {most} people over 1 ({runtime})"
        claims.append(Claim.of(ratio, times[most] / times[1], "times", f"<= {goal}"))
        goal_rate = GOAL_OPEN_RATE if (kind, network) == ("cpu", "open") else ""
        rate = f"{network}: pictures with 1 person"
        claims.append(Claim.of(rate, 1e3 / times[1], "per second", goal_rate))
        if kind == "cuda":
            aim = AIM_MS.get(network, "")
            claims.append(
                Claim.of(f"{network}: {AIMED_PEOPLE} people", times[AIMED_PEOPLE], "ms", aim)
            )
    details = {
        "device": options.device,
        "picture": "{1}x{0}".format(*SIZES[kind]),
        "runtime": {network: runtime for network, (_, runtime) in measured.items()},
        "end to end by people": {
            network: {count: spread(values) for count, values in times.items()}
            for network, (times, _) in measured.items()
        },
    }

    def plot(axes) -> None:
        for network, (times, runtime) in measured.items():
            rates = [1e3 / np.median(values) for values in times.values()]
            axes.plot(PEOPLE, rates, marker="o", label=f"{network}, {runtime}")
        axes.set(xlabel="people in the picture", ylabel="pictures / s", ylim=(0, None))
        axes.legend()

    report("people", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
