"""What `make demo` runs: three processes as on a robot, a camera, the node, a recorder.

`image_player` plays a clip, `romp_node` finds its people, `people_recorder` writes what comes.
Ends with the recorder's summary, in it the path of a picture that shows the people.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from domain_coordinator import domain_id

from romp_core.checkpoints import read_checkpoint
from romp_core.errors import RompError

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "romp_core" / "assets" / "demo_clip.mp4"
CLIP_FOV_DEG = 60  # of the camera that it was rendered for
OUT = ROOT / "out" / "demo"
RATE = 5.0
"""Images per second, for machines without a GPU; the node skips those it has no time for."""

QUIET_SECONDS = 10
"""Without news for so long, the recorder takes the clip for finished."""


def start(command: str, *arguments: object) -> subprocess.Popen:
    """A command of the package as a process of its own."""
    words = ["-m", "ros2_romp.start", command, *map(str, arguments)]
    return subprocess.Popen([sys.executable, *words])


def run(options: argparse.Namespace) -> int:
    """Play the source through the node into a recording; returns the recorder's exit status."""
    parameters = {"model": options.weights, "body_model": options.body}
    settings = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
    recorder = start("people_recorder", options.out, "--overwrite", "--quiet", QUIET_SECONDS)
    node = start("romp_node", "--ros-args", *settings)
    playing = ["--wait-for-subscriber", "--rate", options.rate]
    if options.source == CLIP:
        playing += ["--horizontal-fov-deg", CLIP_FOV_DEG]
    player = start("image_player", options.source, *playing)
    try:
        if player.wait():
            recorder.send_signal(signal.SIGINT)
        return recorder.wait()
    finally:
        for process in (player, node, recorder):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source",
        type=Path,
        default=CLIP,
        help="image, folder, video or bag (default: a bundled clip of four people)",
    )
    parser.add_argument("--weights", default="open", help="network weights (default: open)")
    parser.add_argument("--body", default="open", help="body (default: open)")
    parser.add_argument(
        "--rate", type=float, default=RATE, help=f"images per second (default: {RATE:g})"
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="folder to write to, in place of the last recording"
    )
    options = parser.parse_args()
    try:
        read_checkpoint(options.weights)  # the node would wait for better ones
    except (RompError, FileNotFoundError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with domain_id() as own_domain:
        os.environ["ROS_DOMAIN_ID"] = str(own_domain)
        return run(options)


if __name__ == "__main__":
    sys.exit(main())
