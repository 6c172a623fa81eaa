"""Markers for 10 people are built and serialised 50 times faster than as Point objects.

Both are made of the same people in the same process, in turns, meshes with a colour per vertex or
with one for all. The objects are built and serialised as rclpy does it in publish().
"""

import argparse

import numpy as np
import torch
from common import Claim, report
from geometry_msgs.msg import Point
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from romp_core import BodyModel, People
from romp_core.timing import milliseconds, spread
from ros2_romp.markers import MarkerStyle, MarkerWriter, Stamp

PEOPLE = 10
GOAL = ">= 50"


def standing_people(body: BodyModel) -> People:
    vertices, joints = body(torch.zeros(PEOPLE, 72), torch.zeros(PEOPLE, 10))
    empty = vars(People.empty(body.mesh.count, joints.shape[1]))
    zeros = {name: np.zeros((PEOPLE, *values.shape[1:]), values.dtype)
             for name, values in empty.items()}  # fmt: skip
    track_ids = np.arange(1, PEOPLE + 1)
    filled = {"vertices": vertices.numpy(), "joints": joints.numpy(), "track_ids": track_ids}
    return People(**{**zeros, **filled})


def with_objects(people: People, corners: np.ndarray, colored: bool) -> bytes:
    array = MarkerArray()
    for index in range(len(people)):
        marker = Marker(type=Marker.TRIANGLE_LIST, id=int(people.track_ids[index]))
        points = people.vertices[index].astype(float)[corners].tolist()
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in points]
        if colored:
            marker.colors = [ColorRGBA(r=0.1, g=0.2, b=0.3, a=1.0) for _ in points]
        array.markers.append(marker)
    return serialize_message(array)


def compare(body: BodyModel, colored: bool, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds of both; in each round objects once, NumPy ten times and of these the median."""
    people, corners, stamp = standing_people(body), body.faces.ravel(), Stamp(1, 2, "camera")
    writer = MarkerWriter("camera", body.faces, body.mesh.count)
    style = MarkerStyle(shading=colored)
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(milliseconds(lambda: with_objects(people, corners, colored), 1, 0)[0])
        ours.append(np.median(milliseconds(lambda: writer.write(people, stamp, style), 10)))
    return {"NumPy": np.array(ours), "objects": np.array(theirs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    body = BodyModel.load("open")
    styles = {"shaded": True, "flat": False}
    times = {name: compare(body, colored, options.rounds) for name, colored in styles.items()}
    claims = []
    for name, pair in times.items():
        ratio = pair["objects"] / pair["NumPy"]
        claims.append(
            Claim.of(f"{PEOPLE} people, {name}: objects' time over ours", ratio, "times", GOAL)
        )
        claims.append(Claim.of(f"{PEOPLE} people, {name}: ours", pair["NumPy"], "ms"))
    details = {"people": PEOPLE, "triangles": len(body.faces)} | {
        name: {who: spread(values) for who, values in pair.items()} for name, pair in times.items()
    }

    def plot(axes) -> None:
        for offset, who in ((-0.2, "NumPy"), (0.2, "objects")):
            medians = [np.median(pair[who]) for pair in times.values()]
            bars = axes.bar(np.arange(len(times)) + offset, medians, 0.4, label=who)
            axes.bar_label(bars, fmt="%.3g ms")
        axes.set(xticks=range(len(times)), xticklabels=list(times), ylabel="ms", yscale="log")
        axes.legend()

    report("markers", __doc__, claims, details, plot)


if __name__ == "__main__":
    main()
