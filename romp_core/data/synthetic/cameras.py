"""Where the camera is and where people stand.

World frame: y up, the floor at y = 0, the camera at (0, height, 0) looking along +z; so +x is
to its left. Optical frame: x right, y down, z forward.
"""

import math
from dataclasses import dataclass

import numpy as np

from romp_core.geometry.cameras import intrinsics_from_fov

_NARROWEST, _WIDEST = math.tan(math.radians(35 / 2)), math.tan(math.radians(100 / 2))
"""Half the width of what a lens sees at a distance of 1."""

_STATURE = 1.6
"""Metres; only used to choose distances."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above a floor.

    Attributes:
        height, width: picture in pixels.
        intrinsics: (3, 3) float32.
        elevation: metres of the lens above the floor.
        world_from_optical: (3, 3) rotation.
    """

    height: int
    width: int
    intrinsics: np.ndarray
    elevation: float
    world_from_optical: np.ndarray

    def to_optical(self, world: np.ndarray) -> np.ndarray:
        """World points (*, 3) in the optical frame, metres."""
        return (world - [0, self.elevation, 0]) @ self.world_from_optical

    def to_world(self, optical: np.ndarray) -> np.ndarray:
        """Points (*, 3) of the optical frame in the world, metres."""
        return optical @ self.world_from_optical.T + [0, self.elevation, 0]

    @property
    def up(self) -> np.ndarray:
        """(3,) the world's vertical in the optical frame."""
        return self.world_from_optical[1]


def rotation_from_pitch_roll(pitch: float, roll: float) -> np.ndarray:
    """(3, 3) world-from-optical rotation of a camera that looks down by `pitch` radians."""
    c, s = math.cos(pitch), math.sin(pitch)
    level = np.array([[-1, 0, 0], [0, -c, -s], [0, -s, c]], np.float64)
    c, s = math.cos(roll), math.sin(roll)
    return level @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def random_camera(
    rng: np.random.Generator, height: int, width: int, share: float, walled: bool
) -> tuple[Camera, float]:
    """A camera and the distance of the people it was set up for.

    Args:
        rng: source of randomness.
        height, width: picture in pixels.
        share: height of a standing person as a share of the picture's height, over 1 for
            somebody who does not fit.
        walled: the backdrop is a panorama, taken some metres from walls and trees: the lower
            the camera, the nearer it makes them appear, and nobody should stand behind them.

    Returns:
        The camera, and a distance in metres along the floor.
    """
    half_width = rng.uniform(_NARROWEST, _WIDEST)
    intrinsics = intrinsics_from_fov(height, width, math.degrees(2 * math.atan(half_width)))
    focal = float(intrinsics[0, 0])
    place = rng.random()
    if place < 0.7:
        elevation = rng.uniform(0.3, 1.8)
    elif place < 0.92:
        elevation = rng.uniform(1.8, 3.5)
    else:
        elevation = rng.uniform(0.08, 0.3)
    if walled:
        elevation = max(elevation, rng.uniform(0.3, 1.2))
    distance = focal * _STATURE / (share * height)
    reach = 3.5 * elevation
    if walled and distance > reach:  # a wider lens makes people as small from nearby
        focal = max(reach * share * height / _STATURE, 0.5 * width / _WIDEST)
        intrinsics[[0, 1], [0, 1]] = focal
        distance = reach
    distance = float(np.clip(distance, 0.6, 25.0))
    elevation = min(elevation, 0.6 + 0.7 * distance)  # else there are only crowns to see
    # Close by, only part of the body is in sight: which part is up to the pitch.
    aim = rng.uniform(0.5, 1.45) if share > 0.9 else rng.uniform(0.3, 1.4)
    offset = math.atan(rng.normal(0, 0.16) * height / focal)
    pitch = math.atan2(elevation - aim, distance) - offset
    pitch = float(np.clip(pitch, math.radians(-40), math.radians(70)))
    rotation = rotation_from_pitch_roll(pitch, rng.normal(0, math.radians(2.5)))
    return Camera(height, width, intrinsics, elevation, rotation), distance


def place_people(
    rng: np.random.Generator,
    camera: Camera,
    distance: float,
    count: int,
    crowded: bool,
    reach: float,
) -> np.ndarray:
    """Spots on the floor.

    Args:
        rng: source of randomness.
        camera: the camera.
        distance: metres at which the first person stands.
        count: number of people.
        crowded: people come in pairs of which one covers about half of the other.
        reach: farthest distance in metres.

    Returns:
        (N, 2) world x and z in metres, N <= count: spots that cannot be reached without
        standing in somebody else are given up.
    """
    half_width = 0.5 * camera.width / float(camera.intrinsics[0, 0])
    spots = [np.array([rng.normal(0, 0.45) * half_width * distance, distance])]
    together = rng.random() < 0.45
    for number in range(1, count):
        for _ in range(12):
            if crowded and number % 2 == 1:
                partner = spots[-1]
                behind = rng.uniform(0.4, 1.0)
                along = (1 + behind / partner[1]) * partner
                spot = along + [rng.choice([-1, 1]) * rng.uniform(0.15, 0.4), 0]
            elif together:
                spot = spots[0] + rng.normal(0, 0.5 + 0.12 * count, 2) * [1, 1.2]
            else:
                z = distance * np.exp(rng.normal(0.15, 0.5))
                spot = np.array([rng.uniform(-1.1, 1.1) * half_width * z, z])
            apart = min(np.linalg.norm(spot - other) for other in spots)
            if apart > (0.36 if crowded else 0.5) and 0.6 < spot[1] < reach:
                spots.append(spot)
                break
    return np.stack(spots)
