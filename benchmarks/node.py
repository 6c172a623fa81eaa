"""From a camera's process through the node's to a listener's, with the open model.

640x480 images with five people; latency runs from an image's stamp to its result's arrival. Calm:
four images per second. Flood: ten times as many as the network can take; results must stay fresh
and memory flat. Overhead is what a result waits for beside the network: the image taken apart,
people tracked and smoothed, messages. Markers are made beside the next image's forward pass: what
they cost shows in CPU time.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import rclpy
from common import Claim, model_parser, report
from diagnostic_msgs.msg import DiagnosticArray
from domain_coordinator import domain_id
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from romp_core.media import Video
from ros2_romp.images import to_image
from ros2_romp.middleware import make_room_for_images
from ros2_romp.msg import SmplPersonArray

PEOPLE = 5
CLIP = Path(__file__).parents[1] / "romp_core" / "assets" / "demo_clip.mp4"
CALM_RATE = 4.0
FLOOD = 10
"""Images per image that the network can take."""

CALM_SECONDS, FLOOD_SECONDS = 10.0, 20.0
CALM = {
    "calm": {},
    "calm, without tracking": {"tracking": False},
    "calm, markers": {"markers": True},
}
GOALS_MS = {"calm": "<= 2", "calm, without tracking": "<= 2", "calm, markers": "<= 5"}


def send_images(rate: float) -> None:
    """The camera's process: prints how many images it sent when it is terminated."""
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, "image", 1)
    frame = next(iter(Video(CLIP)))[1]
    message = to_image(cv2.resize(frame, (640, 480)))
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    while running and not publisher.get_subscription_count():
        time.sleep(0.01)
    sent, start = 0, time.monotonic()
    while running:
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        sent += 1
    print(sent)


class Listener(Node):
    """Times results, and keeps the node's last diagnostics."""

    def __init__(self, with_markers: bool):
        super().__init__("listener")
        self.latencies: list[float] = []
        self.people: list[int] = []
        self.values: dict[str, str] = {}
        self.create_subscription(SmplPersonArray, "romp/people", self._on_people, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        if with_markers:
            self.create_subscription(MarkerArray, "romp/markers", lambda _: None, 1, raw=True)

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=left)

    def _on_people(self, message: SmplPersonArray) -> None:
        age = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.latencies.append(age.nanoseconds * 1e-6)
        self.people.append(len(message.people))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            pairs = {pair.key: pair.value for pair in status.values}
            if status.name in ("romp: camera", "romp: model"):
                self.values |= pairs


@contextmanager
def process(*arguments: object):
    """A process of its own that ends with the block."""
    started = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait()


def measure(
    options: argparse.Namespace,
    rate: float,
    seconds: float,
    *,
    markers: bool = False,
    tracking: bool = True,
) -> dict[str, object]:
    """One node, one camera; times in milliseconds."""
    parameters = {
        "device": options.device,
        "runtime": options.runtime,
        "precision": options.precision,
        "max_people": PEOPLE,
        "center_threshold": 0.0,
        "tracking": tracking,
    }
    settings = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
    listener = Listener(markers)
    with process("-m", "ros2_romp.start", "romp_node", "--ros-args", *settings) as node:
        with process(__file__, "--camera", rate) as camera:
            while len(listener.latencies) < 3 * rate / CALM_RATE:
                listener.listen(0.2)
            listener.latencies.clear()
            before, cpu, memory = dict(listener.values), cpu_seconds(node.pid), []
            for _ in range(5):
                listener.listen(seconds / 5)
                memory.append(resident_mib(node.pid))
            cpu = cpu_seconds(node.pid) - cpu
            latencies = list(listener.latencies)
            camera.terminate()
            sent = int(camera.stdout.read())
        listener.listen(2.5)  # the last diagnostics
    values = listener.values
    listener.destroy_node()
    latency, latency_p95 = np.percentile(latencies, [50, 95])
    network, network_p95, overhead, overhead_p95 = (
        1e3 * float(values[f"{what} {p} (s)"])
        for what in ("network", "overhead")
        for p in ("p50", "p95")
    )
    counts = {what: int(values[f"images {what}"]) for what in ("received", "answered", "dropped")}
    return {
        "people": float(np.mean(listener.people)),
        "camera rate (1/s)": round(rate, 1),
        "results": len(latencies),
        "latency p50": round(latency, 2),
        "latency p95": round(latency_p95, 2),
        "network p50": network,
        "network p95": network_p95,
        "overhead p50": overhead,
        "overhead p95": overhead_p95,
        "share outside the network": round(1 - network / latency, 3),
        "CPU (cores)": round(cpu / seconds, 2),
        "memory (MiB)": memory,
        "images sent": sent,
        "images not accounted for": counts["received"] - counts["answered"] - counts["dropped"],
        **{f"images {what}": count for what, count in counts.items()},
        "runtime": values.get("runtime", before.get("runtime", "")),
    }


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | str) -> float:
    """Memory of a process that is really there."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def main() -> None:
    parser = model_parser(__doc__, runs=0)
    parser.add_argument(
        "--camera", type=float, help="be the camera, with so many images per second"
    )
    options = parser.parse_args()
    make_room_for_images()
    if options.camera:
        send_images(options.camera)
        return
    rclpy.init()
    found = {
        name: measure(options, CALM_RATE, CALM_SECONDS, **scenario)
        for name, scenario in CALM.items()
    }
    rate = FLOOD * 1e3 / found["calm"]["network p50"]
    flood = found["flood"] = measure(options, rate, FLOOD_SECONDS)
    rclpy.shutdown()
    claims = [
        Claim(f"{name}: overhead, median", found[name]["overhead p50"], "ms", goal)
        for name, goal in GOALS_MS.items()
    ]
    claims += [
        Claim(f"{name}: CPU time per image", found[name]["CPU (cores)"] / CALM_RATE * 1e3, "ms")
        for name in CALM
    ]
    claims += [
        Claim("calm: latency, median", found["calm"]["latency p50"], "ms"),
        Claim("calm: latency, p95", found["calm"]["latency p95"], "ms"),
        Claim(
            "calm: share outside the network",
            100 * found["calm"]["share outside the network"],
            "%",
        ),
        Claim(
            "flood: latency p95 over network p95",
            flood["latency p95"] / flood["network p95"],
            "times",
            "<= 2",
        ),
        Claim(
            "flood: memory, last over first",
            flood["memory (MiB)"][-1] / flood["memory (MiB)"][0],
            "times",
            "<= 1.02",
        ),
        Claim(
            "flood: images of the camera that arrive",
            100 * flood["images received"] / flood["images sent"],
            "%",
        ),
    ]

    def plot(axes) -> None:
        for what in ("latency p95", "latency p50", "network p50"):
            axes.bar(list(found), [scenario[what] for scenario in found.values()], label=what)
        axes.set(ylabel="ms", title=f"640x480, {PEOPLE} people, {found['calm']['runtime']}")
        axes.legend()

    report("node", __doc__, claims, found, plot)


if __name__ == "__main__":
    with domain_id() as own_domain:
        os.environ.setdefault("ROS_DOMAIN_ID", str(own_domain))
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        main()
