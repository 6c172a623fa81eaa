"""SmplPersonArray crosses the borders of processes and of DDS implementations bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from people_contents import contents
from people_messages import hostile_people
from processes import finish
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from romp_core.people import People
from ros2_romp.messages import people_message, serialized_people
from ros2_romp.msg import BodyModel, SmplPerson, SmplPersonArray

# Kept for whoever comes later, so that the listener need not be there first.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HERE = Path(__file__).parent


@pytest.mark.parametrize("library", ["ros", "cyclonedds"])
@pytest.mark.parametrize("people, vertices", [(3, 6890), (1, 0), (0, 0)])
def test_another_process_receives_every_bit(
    library, people, vertices, node, start_process, tmp_path
):
    message = hostile_people(people, vertices)
    publisher = node.create_publisher(SmplPersonArray, "people", LATCHED)
    publisher.publish(message)
    listener = start_process(HERE / f"people_listener_{library}.py", tmp_path / "received.npz")
    finish(listener)

    expected = contents(message)
    with np.load(tmp_path / "received.npz") as received:
        assert set(received) == set(expected)
        for name, values in expected.items():
            assert np.array_equal(received[name], values), name


def test_people_become_a_message_with_the_same_numbers():
    people = random_people(count=2, vertices=50, joints=71)
    header = Header(frame_id="camera_optical")
    header.stamp.sec = 12
    message = people_message(people, header, "open-0123", image_size=(480, 640))
    assert message.header == header
    assert (message.body_model, message.image_height, message.image_width) == (
        "open-0123",
        480,
        640,
    )
    for index, person in enumerate(message.people):
        assert person.track_id == people.track_ids[index]
        assert person.confidence == people.confidence[index]
        assert np.array_equal(person.box, people.boxes[index])
        for name in ("betas", "pose", "translation", "camera"):
            assert np.array_equal(getattr(person, name), getattr(people, name)[index]), name
        assert np.array_equal(np.reshape(person.joints, (24, 3)), people.joints[index, :24])
        assert np.array_equal(
            np.reshape(person.keypoints_2d, (24, 2)), people.keypoints_2d[index, :24]
        )
        assert len(person.vertices) == 0

    message = people_message(people, header, "open-0123", image_size=(480, 640), with_vertices=True)
    for index, person in enumerate(message.people):
        assert np.array_equal(np.reshape(person.vertices, (50, 3)), people.vertices[index])


@pytest.mark.parametrize("with_vertices", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("frame_id", ["cam", "optical"])
def test_what_is_published_are_the_bytes_that_ros_writes(count, frame_id, with_vertices):
    people = random_people(count=count, vertices=50, joints=71)
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = -3, 999_999_999
    # Names of these lengths leave no gaps, whose bytes may be anything.
    arguments = (people, header, "open-01", (480, 640), with_vertices)
    assert serialized_people(*arguments) == serialize_message(people_message(*arguments))


def test_nobody_becomes_an_empty_message():
    people = random_people(count=0, vertices=50, joints=71)
    assert people_message(people, Header(), "open-0123", image_size=(480, 640)).people == []


def random_people(count: int, vertices: int, joints: int) -> People:
    generator = np.random.default_rng(1)

    def random(*shape: int) -> np.ndarray:
        return generator.standard_normal((count, *shape)).astype(np.float32)

    return People(
        confidence=random(),
        pose=random(72),
        betas=random(10),
        camera=random(3),
        translation=random(3),
        vertices=random(vertices, 3),
        joints=random(joints, 3),
        keypoints_2d=random(joints, 2),
        boxes=random(4),
        track_ids=np.arange(1, count + 1),
        center=random(2),
    )


def test_arrays_have_the_sizes_that_the_messages_document():
    person = SmplPerson()
    sizes = {"betas": 10, "pose": 72, "translation": 3, "camera": 3, "box": 4}
    assert {name: getattr(person, name).shape for name in sizes} == {
        name: (size,) for name, size in sizes.items()
    }
    assert all(getattr(person, name).dtype == np.float32 for name in sizes)
    lists = [person.joints, person.keypoints_2d, person.vertices, BodyModel().template_vertices]
    assert [values.typecode for values in lists] == ["f"] * 4
