"""Memory does not grow: resident size over 10,000 frames of all that a node does with an image.

Prediction with the mesh, message, markers; in one process, with images of changing size and
changing numbers of people. A small network, so that many frames fit into the time.
"""

import itertools

import numpy as np
from common import Claim, crowded_romp, model_parser, picture, report
from node import resident_mib
from std_msgs.msg import Header

from ros2_romp.markers import MarkerStyle, MarkerWriter, Stamp
from ros2_romp.messages import serialized_people

FRAMES = 10_000
SETTLED = 500
"""Frames after which everything has met every size."""

EVERY = 100
SIZES = ((480, 640), (360, 640), (640, 480))
PEOPLE = (0, 1, 5, 2, 8)
GOAL = "<= 2"


def main() -> None:
    parser = model_parser(__doc__, runs=FRAMES)
    options = parser.parse_args()
    romp = crowded_romp("mobilenet", options, input_size=128)
    writer = MarkerWriter("camera", romp.body.faces, romp.body.mesh.count)
    images = [picture(*size) for size in SIZES]
    memory = {}
    cases = zip(itertools.cycle(images), itertools.cycle(PEOPLE), strict=False)
    for frame, (image, people) in enumerate(itertools.islice(cases, options.runs), 1):
        romp.max_people = max(people, 1)
        romp.center_threshold = 0.5 if people else np.inf
        found = romp.predict(image)
        serialized_people(found, Header(), romp.body.id, image.shape[:2], with_vertices=True)
        writer.write(found, Stamp(frame, 0, "camera"), MarkerStyle())
        if frame % EVERY == 0:
            memory[frame] = resident_mib("self")
    growth = 100 * (memory[max(memory)] / memory[SETTLED] - 1)
    claims = [
        Claim(f"growth from frame {SETTLED} to {max(memory)}", growth, "%", GOAL),
        Claim(f"memory after {max(memory)} frames", memory[max(memory)], "MiB"),
    ]
    details = {"device": options.device, "runtime": romp.runtime_name, "MiB by frame": memory}

    def plot(axes) -> None:
        axes.plot(list(memory), list(memory.values()))
        axes.set(xlabel="frames", ylabel="resident MiB", title=romp.runtime_name)
        axes.set_ylim(0, 1.2 * max(memory.values()))

    report("memory", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
