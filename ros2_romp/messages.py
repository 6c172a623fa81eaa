"""What `romp_core` found, as messages."""

import array
import math

import numpy as np
import torch
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from romp_core.body import BodyModel
from romp_core.people import People
from ros2_romp.cdr import CdrWriter
from ros2_romp.msg import BodyModel as BodyModelMessage
from ros2_romp.msg import SmplPersonArray

SMPL_JOINTS = 24  # of a body's joints, those that pose refers to; they come first


def float_array(values: np.ndarray) -> array.array:
    """Values of any shape as a float32[] field holds them.

    Going through bytes takes microseconds where ``array("f", values)`` visits every element.
    """
    return array.array("f", np.ascontiguousarray(values, np.float32).tobytes())


def people_message(
    people: People,
    header: Header,
    body_model: str,
    image_size: tuple[int, int],
    with_vertices: bool = False,
) -> SmplPersonArray:
    """The message for everybody found in one image.

    Args:
        people: K people, in pixels of the image and metres in its optical frame.
        header: the image's own header: stamp and optical frame.
        body_model: id of the body that the people have, as in the BodyModel message.
        image_size: height and width of the image, pixels.
        with_vertices: fill SmplPerson.vertices, 12 bytes for each vertex of each person.

    Returns:
        A SmplPersonArray with K people in the same order.
    """
    serialized = serialized_people(people, header, body_model, image_size, with_vertices)
    return deserialize_message(serialized, SmplPersonArray)


def serialized_people(
    people: People,
    header: Header,
    body_model: str,
    image_size: tuple[int, int],
    with_vertices: bool = False,
) -> bytes:
    """`people_message` as a publisher takes it too, without a Python object for each field."""
    writer = CdrWriter()
    writer.numbers("iI", header.stamp.sec, header.stamp.nanosec)
    writer.string(header.frame_id)
    writer.string(body_model)
    writer.numbers("II", *image_size)
    writer.sequence(_persons(people, with_vertices))
    return writer.finish()


def body_message(body: BodyModel) -> BodyModelMessage:
    """The message that names the joints and connects the vertices of people of this body."""
    device = body.device
    rest = body(torch.zeros(1, 72, device=device), torch.zeros(1, 10, device=device))
    return BodyModelMessage(
        id=body.id,
        joint_names=list(body.joint_names[:SMPL_JOINTS]),
        parents=list(body.parents),
        faces=array.array("I", np.ascontiguousarray(body.faces, np.uint32).tobytes()),
        template_vertices=float_array(rest.vertices.cpu().numpy()),
    )


def _persons(people: People, with_vertices: bool) -> np.ndarray:
    """(K, N) uint32: everybody's SmplPerson, all of whose fields have four bytes per number."""
    count = len(people)

    def floats(values: np.ndarray) -> np.ndarray:
        size = math.prod(values.shape[1:])
        return np.asarray(values, np.float32).reshape(count, size).view(np.uint32)

    def sequence(values: np.ndarray) -> list[np.ndarray]:
        numbers = floats(values)
        return [np.full((count, 1), numbers.shape[1], np.uint32), numbers]

    # In the order of SmplPerson.msg.
    return np.concatenate(
        [
            people.track_ids.astype(np.uint32)[:, None],
            *map(floats, (people.confidence, people.betas, people.pose)),
            *map(floats, (people.translation, people.camera)),
            *sequence(people.joints[:, :SMPL_JOINTS]),
            *sequence(people.keypoints_2d[:, :SMPL_JOINTS]),
            floats(people.boxes),
            *sequence(people.vertices if with_vertices else people.vertices[:, :0]),
        ],
        axis=1,
    )
