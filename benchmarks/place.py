"""Claims: depth places people within 3 cm (median); all cameras give the same place.

Open bodies that lean and turn stand 1 to 8 m away. What a network would answer is their pose with
0.05 rad of noise and their pixels with one of noise. Their size (standard deviation 12 %) is known,
or not. Depth has 1 % of noise, holes in a fifth of it, half the image's resolution, and a wall 1 m
behind. Boxes hide the lower half of people at 3 m. Errors are of the middle of the joints.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from common import Claim, report

from romp_core import BodyModel, People
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.depth import DepthImage, place_by_depth

sys.path.append(str(Path(__file__).resolve().parents[1] / "test"))
from place_factory import (  # the same people as in the tests
    depth_of,
    seen_by_network,
    standing_people,
    through_a_sensor,
)

SIZE = (480, 640)
CAMERA = CameraModel(intrinsics_from_fov(*SIZE, 70))
DISTANCES = range(1, 9)
WALL = 1.0
CAMERAS = {
    "90 degrees": ((480, 640), CameraModel(intrinsics_from_fov(480, 640, 90))),
    "60 degrees": ((720, 1280), CameraModel(intrinsics_from_fov(720, 1280, 60))),
    "25 degrees": ((1080, 1920), CameraModel(intrinsics_from_fov(1080, 1920, 25))),
    "fisheye": (
        (480, 640),
        CameraModel(intrinsics_from_fov(480, 640, 80), "equidistant", (-0.01, 0.02, -0.01, 0.002)),
    ),
}


def person(body: BodyModel, distance: float, seed: int) -> People:
    rng = np.random.default_rng(seed)
    pixel = rng.uniform([0.3, 0.4], [0.7, 0.6]) * [SIZE[1], SIZE[0]]
    place = np.append(CAMERA.rays(pixel), 1)[None] * distance
    return standing_people(body, CAMERA, place, rng.normal(0, 1, (1, 10)), seed)


def error(found: People, true: People) -> float:
    """Metres."""
    return float(np.linalg.norm(found.joints[0].mean(0) - true.joints[0].mean(0)))


def depth_image(body: BodyModel, true: People, seed: int, box: float = 0.0) -> DepthImage:
    """Through a sensor; `box`: metres before the person at which a box hides its lower half."""
    wall = true.vertices[..., 2].max() + WALL
    depth = np.minimum(depth_of(true, body.faces, CAMERA, SIZE, 0.5), wall)
    if box:
        middle = int(CAMERA.project(true.vertices[0])[:, 1].mean() / 2)
        depth[middle:] = np.minimum(depth[middle:], true.vertices[..., 2].min() - box)
    return DepthImage(through_a_sensor(depth, seed))


def by_distance(body: BodyModel, runs: int) -> dict[str, dict[int, list[float]]]:
    errors = {name: {d: [] for d in DISTANCES} for name in ("size known", "size unknown", "depth")}
    for distance in DISTANCES:
        for run in range(runs):
            seed = 100 * distance + run
            true = person(body, distance, seed)
            known = seen_by_network(body, true, CAMERA, SIZE, seed, true.betas)
            unknown = seen_by_network(body, true, CAMERA, SIZE, seed)
            placed = place_by_depth(
                unknown, depth_image(body, true, seed), CAMERA, SIZE, body
            ).people
            for name, found in zip(errors, (known, unknown, placed), strict=True):
                errors[name][distance].append(error(found, true))
    return errors


def behind_boxes(body: BodyModel, runs: int) -> list[float]:
    errors = []
    for run in range(runs):
        true = person(body, 3.0, run)
        guess = seen_by_network(body, true, CAMERA, SIZE, run)
        depth = depth_image(body, true, run, box=0.3 + 0.1 * (run % 10))
        errors.append(error(place_by_depth(guess, depth, CAMERA, SIZE, body).people, true))
    return errors


def of_cameras(body: BodyModel, runs: int) -> list[float]:
    """Metres between the farthest of the places that four cameras give the same people."""
    spreads = []
    for run in range(runs):
        place = np.array([[*np.random.default_rng(run).uniform(-0.4, 0.4, 2), 4.0]])
        found = []
        for size, camera in CAMERAS.values():
            true = standing_people(body, camera, place, seed=run)
            seen = seen_by_network(body, true, camera, size, run, true.betas)
            found.append(seen.joints[0].mean(0))
        spreads.append(float(np.linalg.norm(np.ptp(found, axis=0))))
    return spreads


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="people at each distance")
    runs = parser.parse_args().runs
    body = BodyModel.load("open")
    errors = by_distance(body, runs)
    boxes, spreads = behind_boxes(body, 3 * runs), of_cameras(body, 2 * runs)

    def centimetres(values: dict[int, list[float]]) -> np.ndarray:
        return 100 * np.concatenate(list(values.values()))

    claims = [
        Claim.of("by depth, 1 to 8 m", centimetres(errors["depth"]), "cm", "<= 3"),
        Claim.of("by pixels, size known", centimetres(errors["size known"]), "cm"),
        Claim.of("by pixels, size unknown", centimetres(errors["size unknown"]), "cm"),
        Claim.of("by depth behind a box at 3 m", 100 * np.array(boxes), "cm", "<= 5"),
        Claim.of("between four cameras, 4 m", 100 * np.array(spreads), "cm", "<= 5"),
    ]
    medians = {
        name: {f"{d} m": round(float(np.median(values)), 4) for d, values in each.items()}
        for name, each in errors.items()
    }

    def plot(axes) -> None:
        for name, each in errors.items():
            axes.plot(DISTANCES, [100 * np.median(each[d]) for d in DISTANCES], label=name)
        axes.set(xlabel="distance (m)", ylabel="median error (cm)", yscale="log")
        axes.legend()

    report("place", __doc__, claims, {"median error (m)": medians}, plot)


if __name__ == "__main__":
    main()
