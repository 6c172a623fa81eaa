"""Three processes as on a robot: a camera, the node, a recorder.

`image_player` plays a clip, `romp_node` finds its people, `people_recorder` writes what comes.
Ends with the path of a picture that shows the people, and the recorder's summary.
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

OUT = Path(__file__).resolve().parents[1] / "out" / "demo"
QUIET_SECONDS = 10
"""Without news for so long, the recorder takes the clip for finished."""


def start(module: str, *arguments: object) -> subprocess.Popen:
    """A module of the package as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", f"ros2_romp.{module}", *map(str, arguments)])


def run(options: argparse.Namespace) -> int:
    """Play the source through the node into a recording; returns the recorder's exit status."""
    parameters = {"model": options.weights, "body_model": options.body}
    settings = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
    recorder = start("people_recorder", options.out, "--quiet", QUIET_SECONDS)
    node = start("romp_node", "--ros-args", *settings)
    rate = ["--rate", options.rate] if options.rate else []
    player = start("image_player", options.source, "--wait-for-subscriber", *rate)
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
    parser.add_argument("--source", type=Path, required=True, help="image, folder, video or bag")
    parser.add_argument("--weights", default="open", help="network weights (default: open)")
    parser.add_argument("--body", default="open", help="body (default: open)")
    parser.add_argument("--rate", type=float, help="images per second (default: the source's)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    options = parser.parse_args()
    try:
        read_checkpoint(options.weights)  # the node would wait for better ones
    except (RompError, FileNotFoundError) as error:
        print(f"people_demo: {error}", file=sys.stderr)
        return 2
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with domain_id() as own_domain:
        os.environ["ROS_DOMAIN_ID"] = str(own_domain)
        status = run(options)
    print(f"picture: {options.out / 'overlay.png'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
