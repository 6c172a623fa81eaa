"""Claim: with a camera ten times faster than the network, results are at most two network times
old (p95 of either), memory stays flat, and every image is accounted for.

The node runs as a process of its own with a network of random weights; this process is the camera
and the listener, and times each result from the stamp of its image to its arrival.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
import torch
from common import report
from diagnostic_msgs.msg import DiagnosticArray
from domain_coordinator import domain_id
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image

from romp_core.checkpoints import write_checkpoint
from romp_core.network import NetworkConfig, build_network
from ros2_romp.images import to_image
from ros2_romp.msg import SmplPersonArray

HEIGHT, WIDTH = 480, 640
SECONDS = 30.0
CLAIM_NETWORK_TIMES = 2.0


def write_weights(path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig("resnet18", input_size=512))
    with torch.no_grad():
        network.final_layers["2"][-1].weight.normal_(0, 0.01)
        network.final_layers["2"][-1].bias.fill_(0.25)
    write_checkpoint(path, network, root_align=True, body="open_body")


class Robot(Node):
    """A camera, and a listener to the node's results and diagnostics."""

    def __init__(self):
        super().__init__("benchmark")
        self.latencies: list[float] = []
        self.people: list[int] = []
        self.values: dict[str, str] = {}
        self.images = self.create_publisher(Image, "image", 1)
        self.create_subscription(SmplPersonArray, "romp/people", self.on_people, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, 10)
        noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        self.image = to_image(noise)

    def publish(self) -> None:
        self.image.header.stamp = self.get_clock().now().to_msg()
        self.images.publish(self.image)

    def on_people(self, message: SmplPersonArray) -> None:
        age = self.get_clock().now() - Time.from_msg(message.header.stamp)
        self.latencies.append(age.nanoseconds * 1e-9)
        self.people.append(len(message.people))

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "romp: camera":
                self.values = {pair.key: pair.value for pair in status.values}

    def run(self, seconds: float, rate: float) -> int:
        """Publish at that rate for so long; returns how many images went out."""
        sent, start = 0, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            rclpy.spin_once(self, timeout_sec=max(0.0, sent / rate - elapsed))
            if time.monotonic() - start >= sent / rate:
                self.publish()
                sent += 1
        return sent


def measure(robot: Robot, pid: int) -> dict[str, object]:
    while len(robot.latencies) < 5 or not robot.values.get("network p50 (s)"):
        robot.run(1.0, rate=2.0)
    network = float(robot.values["network p50 (s)"])
    rate = 10 / network
    robot.run(5.0, rate)
    robot.latencies.clear()
    before, sent, memory = dict(robot.values), 0, []
    for _ in range(5):
        sent += robot.run(SECONDS / 5, rate)
        memory.append(resident_mib(pid))
    latencies = list(robot.latencies)
    robot.run(2.0, rate=1e-3)  # the last diagnostics
    network, network_p95 = (float(robot.values[f"network {p} (s)"]) for p in ("p50", "p95"))
    p50, p95 = np.percentile(latencies, [50, 95])
    counted = {key: int(robot.values[f"images {key}"]) - int(before[f"images {key}"])
               for key in ("received", "answered", "dropped", "refused")}  # fmt: skip
    return {
        "image": f"{WIDTH}x{HEIGHT}",
        "people": float(np.mean(robot.people)),
        "network_p50_s": network,
        "network_p95_s": network_p95,
        "camera_rate_per_s": round(rate, 1),
        "sent": sent,
        **counted,
        "latency_p50_s": round(p50, 4),
        "latency_p95_s": round(p95, 4),
        "latency_p50_in_network_p50": round(p50 / network, 2),
        "latency_p95_in_network_p95": round(p95 / network_p95, 2),
        "claim_network_times": CLAIM_NETWORK_TIMES,
        "memory_mib": memory,
    }


def resident_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "random.safetensors")
        write_weights(weights)
        node = subprocess.Popen(
            [sys.executable, "-m", "ros2_romp.romp_node", "--ros-args", "-p", f"model:={weights}"]
        )
        rclpy.init()
        try:
            results = measure(Robot(), node.pid)
            start = time.monotonic()
            node.send_signal(signal.SIGINT)
            node.wait()
            results["seconds_from_SIGINT_to_exit"] = round(time.monotonic() - start, 3)
            report("node", results)
        finally:
            node.kill()
            node.wait()
            rclpy.shutdown()


if __name__ == "__main__":
    with domain_id() as own_domain:
        os.environ["ROS_DOMAIN_ID"] = str(own_domain)
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        main()
