"""Many people cost little more than one: the paper's Figure 4, and its Table 7.

One picture end to end: letterbox, network, decoding, bodies with vertices, translation, results on
the host. The numbers of people take turns. `romp-core tables --speed out/benchmarks/people.json`
makes the paper's table and figure of it.
"""

import argparse

import numpy as np
from common import Claim, check_count, crowded_romp, model_parser, picture, report

from romp_core.timing import spread, time_in_turns

PEOPLE = (1, 2, 4, 8, 16, 32, 64)
GOAL_RATIO = {"cpu": 1.5, "cuda": 1.3}
GOAL_OPEN_RATE = 10.0
"""Pictures per second of the open model on two cores from 640x480."""


def measure(network: str, options: argparse.Namespace) -> tuple[dict[int, np.ndarray], str]:
    """Milliseconds by number of people, and what ran the network."""
    romp = crowded_romp(network, options)
    image = picture(options.height, options.width)

    def predict(count: int) -> None:
        romp.max_people = count
        romp.predict(image)

    for count in PEOPLE:
        romp.max_people = count
        check_count(romp, image, count)
    calls = {str(count): lambda count=count: predict(count) for count in PEOPLE}
    times = time_in_turns(calls, options.runs)
    return {int(count): values for count, values in times.items()}, romp.runtime_name


def main() -> None:
    parser = model_parser(__doc__, runs=15)
    parser.add_argument("--networks", nargs="+", default=["open", "hrnet32", "resnet50"])
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    options = parser.parse_args()
    measured = {network: measure(network, options) for network in options.networks}
    most, goal = PEOPLE[-1], GOAL_RATIO[options.device.partition(":")[0]]
    claims = []
    for network, (times, runtime) in measured.items():
        ratio = np.median(times[most] / times[1])
        claims.append(
            Claim(f"{network}: {most} people over 1 ({runtime})", ratio, "times", f"<= {goal}")
        )
        rate = 1e3 / np.median(times[1])
        goal_rate = f">= {GOAL_OPEN_RATE}" if network == "open" else ""
        claims.append(Claim(f"{network}: pictures with 1 person", rate, "per second", goal_rate))
    details = {
        "device": options.device,
        "picture": f"{options.width}x{options.height}",
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
