"""What a SmplPersonArray holds, whichever library decoded it; imports no ROS."""

import numpy as np

FLOAT_FIELDS = (
    *("confidence", "betas", "pose", "translation", "camera"),
    *("joints", "keypoints_2d", "box", "vertices"),
)


def contents(message) -> dict[str, np.ndarray]:
    """Every field of the message as an array; floats as their bits, for exact comparison."""
    found = {
        "stamp": np.array([message.header.stamp.sec, message.header.stamp.nanosec]),
        "frame_id": np.array(message.header.frame_id),
        "body_model": np.array(message.body_model),
        "image_size": np.array([message.image_height, message.image_width]),
        "track_ids": np.array([person.track_id for person in message.people]),
    }
    for index, person in enumerate(message.people):
        for name in FLOAT_FIELDS:
            values = np.asarray(getattr(person, name), np.float32)
            found[f"{index}/{name}"] = values.view(np.uint32)
    return found
