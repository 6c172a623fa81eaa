"""What `romp_core` found, as messages."""

import array

import numpy as np
import torch
from std_msgs.msg import Header

from romp_core.body import BodyModel
from romp_core.people import People
from ros2_romp.msg import BodyModel as BodyModelMessage
from ros2_romp.msg import SmplPerson, SmplPersonArray

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
    height, width = image_size
    return SmplPersonArray(
        header=header,
        body_model=body_model,
        image_height=height,
        image_width=width,
        people=[_person_message(people, index, with_vertices) for index in range(len(people))],
    )


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


def _person_message(people: People, index: int, with_vertices: bool) -> SmplPerson:
    message = SmplPerson(
        track_id=int(people.track_ids[index]),
        confidence=float(people.confidence[index]),
        betas=people.betas[index],
        pose=people.pose[index],
        translation=people.translation[index],
        camera=people.camera[index],
        joints=float_array(people.joints[index, :SMPL_JOINTS]),
        keypoints_2d=float_array(people.keypoints_2d[index, :SMPL_JOINTS]),
        box=people.boxes[index],
    )
    if with_vertices:
        message.vertices = float_array(people.vertices[index])
    return message
