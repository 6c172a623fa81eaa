"""SmplPersonArray crosses the borders of processes and of DDS implementations bit for bit."""

from pathlib import Path

import numpy as np
import pytest
from people_contents import contents
from people_messages import hostile_people
from processes import finish
from rclpy.qos import DurabilityPolicy, QoSProfile
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


def test_arrays_have_the_sizes_that_the_messages_document():
    person = SmplPerson()
    sizes = {"betas": 10, "pose": 72, "translation": 3, "camera": 3, "box": 4}
    assert {name: getattr(person, name).shape for name in sizes} == {
        name: (size,) for name, size in sizes.items()
    }
    assert all(getattr(person, name).dtype == np.float32 for name in sizes)
    lists = [person.joints, person.keypoints_2d, person.vertices, BodyModel().template_vertices]
    assert [values.typecode for values in lists] == ["f"] * 4
