"""Padding costs little: the open model on wide images against a square one.

The network reads squares. Of the padding that makes an image one, only what the network's strides
want goes through it. Pictures of the same longer side take turns, end to end, with vertices.
"""

import numpy as np
from common import Claim, check_count, crowded_romp, model_parser, picture, report, set_people

from romp_core.timing import spread, time_in_turns

SHAPES = {"1:1": (640, 640), "4:3": (480, 640), "16:9": (360, 640)}
PEOPLE = 5


def main() -> None:
    options = model_parser(__doc__, runs=30).parse_args()
    romp = crowded_romp("open", options)
    set_people(romp, PEOPLE)
    images = {name: picture(*shape) for name, shape in SHAPES.items()}
    for image in images.values():
        check_count(romp, image, PEOPLE)
    calls = {name: lambda image=image: romp.predict(image) for name, image in images.items()}
    times = time_in_turns(calls, options.runs)
    claims = [
        Claim.of(f"time of {name} over 1:1 ({romp.runtime_name})", ms / times["1:1"], "times")
        for name, ms in times.items()
        if name != "1:1"
    ]
    details = {
        "device": options.device,
        "runtime": romp.runtime_name,
        "ms by shape": {name: spread(ms) for name, ms in times.items()},
    }

    def plot(axes) -> None:
        axes.bar(list(times), [np.median(ms) for ms in times.values()])
        axes.set(ylabel="ms", title=romp.runtime_name)

    report("padding", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
