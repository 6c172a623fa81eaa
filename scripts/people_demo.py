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

OUT = Path(__file__).resolve().parents[1] / "out" / "demo"
QUIET_SECONDS = 10
"""Without news for so long, the recorder takes the clip for finished."""


def start(module: str, *arguments: str | Path) -> subprocess.Popen:
    """A module of the package as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", f"ros2_romp.{module}", *map(str, arguments)])


def run(source: Path, weights: str, body: str, out: Path) -> int:
    """Play a source through the node into a recording; returns the recorder's exit status."""
    parameters = {"model": weights, "body_model": body}
    settings = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
    recorder = start("people_recorder", out, "--quiet", QUIET_SECONDS)
    node = start("romp_node", "--ros-args", *settings)
    player = start("image_player", source, "--wait-for-subscriber")
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
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    options = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with domain_id() as own_domain:
        os.environ["ROS_DOMAIN_ID"] = str(own_domain)
        status = run(options.source, options.weights, options.body, options.out)
    print(f"picture: {options.out / 'overlay.png'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
