"""Several cameras in one batch, against one image at a time.

Five people in each 640x480 image, from BGR images to vertices on the host.
"""

import numpy as np
from common import Claim, check_count, crowded_romp, model_parser, picture, report, set_people

from romp_core.timing import spread, time_in_turns

CAMERAS = (1, 2, 4, 8)
PEOPLE = 5


def main() -> None:
    parser = model_parser(__doc__, runs=10)
    parser.add_argument("--network", default="open", help='"open" or a backbone')
    options = parser.parse_args()
    romp = crowded_romp(options.network, options)
    set_people(romp, PEOPLE)
    image = picture(480, 640)
    check_count(romp, image, PEOPLE)
    calls = {
        str(cameras): lambda cameras=cameras: romp.predict_batch([image] * cameras)
        for cameras in CAMERAS
    }
    times = {int(cameras): ms for cameras, ms in time_in_turns(calls, options.runs).items()}
    rates = {cameras: cameras * 1e3 / ms for cameras, ms in times.items()}
    claims = [
        Claim.of(f"images with {cameras} cameras ({romp.runtime_name})", rate, "per second")
        for cameras, rate in rates.items()
    ]
    details = {
        "device": options.device,
        "network": options.network,
        "runtime": romp.runtime_name,
        "one forward pass by cameras": {cameras: spread(ms) for cameras, ms in times.items()},
    }

    def plot(axes) -> None:
        medians = [np.median(rate) for rate in rates.values()]
        axes.plot(CAMERAS, medians, marker="o", label="one pass for all")
        axes.axhline(medians[0], color="0.6", linestyle="--", label="one pass each")
        axes.set(xlabel="cameras", ylabel="images / s", ylim=(0, None))
        axes.set_title(f"{options.network}, {romp.runtime_name}")
        axes.legend()

    report("batch", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
