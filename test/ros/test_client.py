"""From People to messages and back, and the example in the documentation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import next_line
from std_msgs.msg import Header

from romp_core import BodyModel, People
from romp_core.errors import DataError
from ros2_romp.client import PeopleDecoder
from ros2_romp.messages import people_message

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "nearest_person.py"


@pytest.fixture(scope="module")
def body():
    return BodyModel.load("open")


@pytest.fixture(scope="module")
def people(body):
    """Three people whose vertices are those of their pose, betas and translation."""
    generator = np.random.default_rng(0)

    def random(*shape):
        return generator.normal(size=(3, *shape)).astype(np.float32)

    pose, betas, translation = 0.3 * random(72), random(10), random(3) + np.float32([0, 0, 5])
    vertices, joints = (
        part.numpy() + translation[:, None]
        for part in body(torch.from_numpy(pose), torch.from_numpy(betas))
    )
    return People(
        confidence=np.abs(random()),
        pose=pose,
        betas=betas,
        camera=random(3),
        translation=translation,
        vertices=vertices,
        joints=joints[:, :24],
        keypoints_2d=100 * random(24, 2),
        boxes=random(4),
        track_ids=np.array([3, 0, 9]),
        center=random(2),
    )


def message_of(people, body, **options):
    return people_message(people, Header(), body.id, (480, 640), **options)


@pytest.mark.parametrize("with_vertices", [True, False])
def test_people_come_back_as_they_went(people, body, with_vertices):
    decoded = PeopleDecoder()(message_of(people, body, with_vertices=with_vertices))
    for name, expected in vars(people).items():
        if name != "center":  # messages do not carry it
            np.testing.assert_allclose(getattr(decoded, name), expected, atol=1e-5, err_msg=name)
    if with_vertices:
        np.testing.assert_array_equal(decoded.vertices, people.vertices)


def test_center_is_the_middle_of_the_torso(people, body):
    decoded = PeopleDecoder(with_vertices=False)(message_of(people, body))
    torso = [12, 16, 17, 0, 1, 2]  # neck, shoulders, pelvis, hips
    np.testing.assert_allclose(decoded.center, people.keypoints_2d[:, torso].mean(1), rtol=1e-5)


def test_vertices_can_be_left_out(people, body):
    decoded = PeopleDecoder("absent.npz", with_vertices=False)(message_of(people, body))
    assert decoded.vertices.shape == (3, 0, 3)


def test_nobody(people, body):
    decoded = PeopleDecoder()(message_of(people[:0], body))
    assert len(decoded) == 0
    assert decoded.vertices.shape == (0, body.mesh.count, 3)


def test_people_of_another_body_are_refused(people, body):
    message = message_of(people, body)
    message.body_model = "SMPL_NEUTRAL-01234567"
    with pytest.raises(DataError, match=r"SMPL_NEUTRAL-01234567.*body_model"):
        PeopleDecoder()(message)


def test_arrays_of_a_wrong_size_are_refused(people, body):
    message = message_of(people, body)
    message.people[1].joints = message.people[1].joints[:-1]
    with pytest.raises(DataError, match="71 numbers in joints"):
        PeopleDecoder()(message)


def test_example_reports_the_nearest_person(start_process, start_node, drive):
    start_node()
    process = start_process(EXAMPLE)
    driver = drive()
    message = driver.ask()
    nearest = min(np.linalg.norm(person.translation) for person in message.people)
    line = next_line(process, driver.ask)  # the node may not know of the example yet
    assert f"{len(message.people)} people, the nearest at " in line
    distance = float(line.split("nearest at ")[1].split()[0])
    assert 0 < distance < nearest + 1


def test_example_says_so_when_nobody_is_there(start_process, start_node, drive):
    start_node(center_threshold=1.0)
    process = start_process(EXAMPLE)
    driver = drive()
    assert "nobody is seen" in next_line(process, driver.ask)


def test_decoded_people_can_be_chosen_from(people, body):
    decoded = PeopleDecoder()(message_of(replace(people), body))
    assert list(decoded[decoded.track_ids > 0].track_ids) == [3, 9]
