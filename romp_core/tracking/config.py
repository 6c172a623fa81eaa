"""What tracking and smoothing assume about people, cameras and the network."""

import math
from dataclasses import dataclass, fields

from romp_core.errors import ConfigError


def _check_positive(config: object) -> None:
    for entry in fields(config):
        value = getattr(config, entry.name)
        if isinstance(value, int | float) and not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{entry.name} is {value}; expected a finite number above 0")


@dataclass(frozen=True)
class TrackingConfig:
    """Identities.

    Attributes:
        birth_hits: images that a person must be seen in before it gets an id.
        tentative_s: seconds unseen after which somebody without an id is forgotten, if at least one
            image lacked him.
        memory_s: seconds unseen after which an id ends for good.
        speed: standard deviation of a velocity, m/s along each axis. Includes the apparent motion
            of people while the camera turns.
        speed_memory_s: time constant, in seconds, with which a velocity is forgotten.
        lateral_noise: standard deviation of a position across the line of sight, as a share of
            the distance.
        depth_noise: the same along the line of sight.
        pose_noise: root mean square, over the joints, of the angle in radians between two poses
            of one person in consecutive images; a first guess, then measured.
        pose_spread: the same between the poses of two people.
        pose_memory_s: time constant, in seconds, with which a pose changes into any other.
        shape_noise: standard deviation of a shape coefficient from image to image; a first guess,
            then measured.
        shape_spread: standard deviation of the coefficients over people; a first guess, then
            measured.
        scene_volume: cubic metres in which somebody new may turn up.

    Raises:
        ConfigError: a number that is not positive and finite.
    """

    birth_hits: int = 2
    tentative_s: float = 0.5
    memory_s: float = 5.0
    speed: float = 1.6
    speed_memory_s: float = 1.5
    lateral_noise: float = 0.03
    depth_noise: float = 0.12
    pose_noise: float = 0.15
    pose_spread: float = 0.6
    pose_memory_s: float = 1.0
    shape_noise: float = 0.3
    shape_spread: float = 0.5
    scene_volume: float = 300.0

    def __post_init__(self):
        _check_positive(self)


@dataclass(frozen=True)
class Channel:
    """How one quantity is smoothed: by a low-pass filter whose rate grows with the speed v,
    (1 / strength^2 + (v / speed)^2) / time_constant_s.

    Attributes:
        time_constant_s: at strength 1 when nothing moves, seconds.
        speed: at which this rate is twice as high; the quantity's unit per second.
    """

    time_constant_s: float
    speed: float

    def __post_init__(self):
        _check_positive(self)


@dataclass(frozen=True)
class SmoothingConfig:
    """Smoothing. Each quantity has its own channel, because each is measured differently well.

    Attributes:
        rotations: of the joints, radians.
        direction: of the line of sight to a person, x/z and y/z.
        log_depth: of the distance, natural logarithm of metres.
        speed_time_constant_s: of the low-pass filter of the speeds, seconds.
        shape_s: seconds over which a shape is averaged.
    """

    rotations: Channel = Channel(1.0, 1.5)
    direction: Channel = Channel(0.4, 0.2)
    log_depth: Channel = Channel(1.3, 0.25)
    speed_time_constant_s: float = 0.1
    shape_s: float = 10.0

    def __post_init__(self):
        _check_positive(self)
