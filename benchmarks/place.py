"""Claims: depth places people within 3 cm (median); all cameras give the same place.

Open bodies that lean and turn stand 1 to 8 m away. What a network would answer is their pose with
0.05 rad of noise and their pixels with one of noise. Their size (standard deviation 12 %) is known,
or not. Depth has 1 % of noise, holes in a fifth of it, half the image's resolution, and a wall 1 m
behind. Boxes hide the lower half of people at 3 m. Errors are of the middle of the joints.

`--films` asks the open network instead of noise, too: about the people of so many synthetic films,
2.5 to 6 m away, whose depth is rendered along. `--poses` takes recorded clips for them (those
held out), `--panoramas` backdrops.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
from common import Claim, report

from romp_core import BodyModel, People, load
from romp_core.data.synthetic.film import Film
from romp_core.data.synthetic.poses import load_clips
from romp_core.data.synthetic.sequences import SequenceConfig, make_sequence
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.place.depth import DepthImage, place_by_depth
from romp_core.posing import posed

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
FILM = SequenceConfig(rate=(6.0, 10.0), people=(3, 5), size=(360, 640), distance=(2.5, 6.0))
EVERY_FRAME, FRAMES = 6, 60
FARTHEST_PIXELS = 15.0  # between the middles of somebody found and the person it is
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


def of_open_network(
    body: BodyModel, films: int, poses: Path | None, panoramas: Path | None
) -> dict[str, list[float]]:
    """Metres by which the people that it finds stand wrong, by pixels and by depth."""
    romp = load("open")
    clips = load_clips(poses, held_out=True) if poses else None
    errors = {"pixels": [], "depth": []}
    for seed in range(10, 10 + films):
        sequence = make_sequence(seed, body, clips, FILM)
        camera = CameraModel(sequence.intrinsics)
        frames = itertools.islice(Film(sequence, seed, panoramas).frames(), FRAMES)
        for number, frame in enumerate(frames):
            if number % EVERY_FRAME:
                continue
            true = posed(sequence.truth[number], body, camera, FILM.size)
            wall = FILM.distance[1] + 3.0
            depth = np.minimum(depth_of(true, body.faces, camera, FILM.size, 0.5), wall)
            found = romp.predict(frame, camera)
            image = DepthImage(through_a_sensor(depth, number))
            placed = place_by_depth(found, image, camera, FILM.size, body).people
            for index, person_index in matches(found, true):
                of = true[person_index]
                errors["pixels"].append(error(found[index], of))
                errors["depth"].append(error(placed[index], of))
    return errors


def matches(found: People, true: People) -> list[tuple[int, int]]:
    """Pairs of who was found, and the person whose pixels are nearest."""
    pairs = []
    for index, keypoints in enumerate(found.keypoints_2d if len(true) else ()):
        offsets = true.keypoints_2d.mean(1) - keypoints.mean(0)
        distances = np.linalg.norm(offsets, axis=1)
        if distances.min() < FARTHEST_PIXELS:
            pairs.append((index, int(distances.argmin())))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="people at each distance")
    parser.add_argument("--films", type=int, default=0)
    parser.add_argument("--poses", type=Path)
    parser.add_argument("--panoramas", type=Path)
    options = parser.parse_args()
    runs = options.runs
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
    if options.films:
        network = of_open_network(body, options.films, options.poses, options.panoramas)
        for name, values in network.items():
            what = f"open network, by {name}, {len(values)} people in films"
            claims.append(Claim.of(what, 100 * np.array(values), "cm"))
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
