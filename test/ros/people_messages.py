"""People as messages, with values that only an exact copy brings through."""

import array

import numpy as np
from std_msgs.msg import Header

from ros2_romp.msg import SmplPerson, SmplPersonArray

FIXED_FIELDS = {"betas": 10, "pose": 72, "translation": 3, "camera": 3, "box": 4}


def hostile_floats(generator: np.random.Generator, size: int) -> np.ndarray:
    """(size,) float32 of random bits: numbers, both zeros, infinities, denormals, NaN payloads."""
    bits = generator.integers(0, 2**32, size, dtype=np.uint32)
    special = [0x80000000, 0x7F800000, 0xFF800000, 0x00000001, 0x807FFFFF, 0x7FC12345, 0xFFC54321]
    bits[: len(special)] = special[:size]
    # Quiet NaNs only: a reader that widens to double, as cyclonedds does, sets this bit itself.
    bits[np.isnan(bits.view(np.float32))] |= np.uint32(1 << 22)
    return bits.view(np.float32)


def hostile_people(count: int, vertices: int) -> SmplPersonArray:
    """People whose float fields are filled with `hostile_floats`, different in each person."""
    generator = np.random.default_rng(0)
    sizes = {**FIXED_FIELDS, "joints": 72, "keypoints_2d": 48, "vertices": 3 * vertices}
    people = []
    for number in range(1, count + 1):
        person = SmplPerson(track_id=number, confidence=float(np.float32(1 / (number + 2))))
        for name, size in sizes.items():
            values = hostile_floats(generator, size)
            setattr(person, name, values if name in FIXED_FIELDS else float_array(values))
        people.append(person)
    header = Header(frame_id="camera_optical")
    header.stamp.sec, header.stamp.nanosec = 2_000_000_000, 999_999_999
    return SmplPersonArray(
        header=header, body_model="open-0123", image_height=480, image_width=640, people=people
    )


def float_array(values: np.ndarray) -> array.array:
    """Values as a float32[] field wants them; through bytes, since array("f", values) is slow."""
    return array.array("f", values.astype(np.float32, copy=False).tobytes())
