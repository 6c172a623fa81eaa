"""Filling and publishing a SmplPersonArray of 10 people with vertices takes under 5 ms.

A listener in another process subscribes, since publishing to nobody would cost nothing.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import rclpy
from common import Claim, report
from domain_coordinator import domain_id
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import Header

from romp_core.people import People
from romp_core.timing import spread, time_in_turns
from ros2_romp.messages import serialized_people
from ros2_romp.msg import SmplPersonArray

PEOPLE, VERTICES, JOINTS = 10, 6890, 71
GOAL_MS = "<= 5"
ROUNDS = 300


def random_people() -> People:
    generator = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return generator.standard_normal((PEOPLE, *shape)).astype(np.float32)

    return People(
        confidence=random(),
        pose=random(72),
        betas=random(10),
        camera=random(3),
        translation=random(3),
        vertices=random(VERTICES, 3),
        joints=random(JOINTS, 3),
        keypoints_2d=random(JOINTS, 2),
        boxes=random(4),
        track_ids=np.arange(PEOPLE),
        center=random(2),
    )


def listen() -> None:
    rclpy.init()
    node = rclpy.create_node("listener")
    node.create_subscription(SmplPersonArray, "people", lambda message: None, 1, raw=True)
    with suppress(ExternalShutdownException):
        rclpy.spin(node)


def measure() -> dict[str, np.ndarray]:
    """Milliseconds of each step."""
    rclpy.init()
    node = rclpy.create_node("benchmark")
    publisher = node.create_publisher(SmplPersonArray, "people", 1)
    people, header = random_people(), Header(frame_id="camera")

    def fill() -> bytes:
        return serialized_people(people, header, "body", (1080, 1920), with_vertices=True)

    listener = subprocess.Popen([sys.executable, __file__, "listen"])
    try:
        while not publisher.get_subscription_count():
            assert listener.poll() is None, "the listener ended"
            time.sleep(0.01)
        message = fill()
        steps = {
            "fill": fill,
            "publish": lambda: publisher.publish(message),
            "fill and publish": lambda: publisher.publish(fill()),
        }
        return time_in_turns(steps, ROUNDS)
    finally:
        listener.terminate()
        listener.wait()
        rclpy.shutdown()


def main() -> None:
    times = measure()
    what = f"{PEOPLE} people with {VERTICES} vertices"
    claims = [Claim.of(what, times["fill and publish"], "ms", GOAL_MS)]
    details = {"people": PEOPLE, "vertices": VERTICES} | {
        step: spread(values) for step, values in times.items()
    }

    def plot(axes) -> None:
        axes.boxplot(list(times.values()), tick_labels=list(times), showfliers=False)
        axes.set(ylabel="ms", ylim=(0, None))

    report("messages", __doc__, claims, details, plot)


if __name__ == "__main__":
    if sys.argv[1:] == ["listen"]:
        listen()
    else:
        with domain_id() as own_domain:
            os.environ["ROS_DOMAIN_ID"] = str(own_domain)
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
            main()
