"""Markers written by NumPy against the same markers as message objects."""

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from romp_core import BodyModel, People
from romp_core.body.joints import SMPL_PARENTS
from romp_core.render.overlay import track_color
from ros2_romp.markers import MarkerStyle, MarkerWriter, Stamp

STAMP = Stamp(1_700_000_000, 123_456_789, "camera_optical")


@pytest.fixture(scope="module")
def body():
    return BodyModel.load("open")


def people_of(body, track_ids):
    """Posed bodies side by side, four metres away."""
    count = len(track_ids)
    generator = torch.Generator().manual_seed(0)
    pose = 0.2 * torch.randn(count, 72, generator=generator)
    pose[:, :3] = torch.tensor([torch.pi, 0, 0])  # upright in the optical frame, facing the camera
    vertices, joints = body(pose, torch.zeros(count, 10))
    translation = np.float32([[index - count / 2, 0, 4] for index in range(count)]).reshape(-1, 3)
    empty = People.empty(body.mesh.count, joints.shape[1])
    zeros = {name: np.zeros((count, *values.shape[1:]), np.float32)
             for name, values in vars(empty).items()}  # fmt: skip
    return People(
        **{
            **zeros,
            "confidence": np.linspace(0.9, 0.3, count, dtype=np.float32),
            "vertices": vertices.numpy() + translation[:, None],
            "joints": joints.numpy() + translation[:, None],
            "translation": translation,
            "track_ids": np.array(track_ids, np.int64),
        }
    )


def as_objects(people, faces, namespace, alpha, lifetime):
    """Flat meshes the usual way, a Point object per corner."""
    array = MarkerArray()
    for index in range(len(people)):
        number = int(people.track_ids[index])
        r, g, b = (value / 255 for value in track_color(number))
        marker = Marker(
            header=Header(
                stamp=Time(sec=STAMP.seconds, nanosec=STAMP.nanoseconds), frame_id=STAMP.frame_id
            ),
            ns=namespace,
            id=number,
            type=Marker.TRIANGLE_LIST,
            action=Marker.ADD,
            color=ColorRGBA(r=r, g=g, b=b, a=alpha),
            lifetime=Duration(sec=int(lifetime), nanosec=round(lifetime % 1 * 1e9)),
        )
        marker.pose.orientation.w = 1.0
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        corners = people.vertices[index].astype(float)[faces.ravel()].tolist()
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in corners]
        array.markers.append(marker)
    return array


@pytest.mark.parametrize("frame_id", ["camera_optical", "c", ""])
@pytest.mark.parametrize("track_ids", [[], [3], [1, 5, 2]])
def test_deserialised_markers_equal_message_objects(body, track_ids, frame_id):
    people = people_of(body, track_ids)
    stamp = Stamp(STAMP.seconds, STAMP.nanoseconds, frame_id)
    style = MarkerStyle(alpha=0.75, lifetime=2.5, shading=False)
    written = MarkerWriter("front", body.faces, body.mesh.count).write(people, stamp, style)
    expected = as_objects(people, body.faces, "front", 0.75, 2.5)
    for marker in expected.markers:
        marker.header.frame_id = frame_id
    # Colours are float32 on the way.
    expected = deserialize_message(serialize_message(expected), MarkerArray)
    assert deserialize_message(written, MarkerArray) == expected


def markers_of(written):
    return deserialize_message(written, MarkerArray).markers


def test_shading_darkens_the_track_colour_where_the_light_does_not_fall(body):
    people = people_of(body, [1])
    writer = MarkerWriter("front", body.faces, body.mesh.count)
    (marker,) = markers_of(writer.write(people, STAMP, MarkerStyle(alpha=0.5)))
    colors = np.array([(c.r, c.g, c.b, c.a) for c in marker.colors])
    assert len(colors) == len(marker.points) == body.faces.size
    assert (colors[:, 3] == 0.5).all()
    strength = colors[:, :3] / (np.array(track_color(1)) / 255)
    np.testing.assert_allclose(strength, strength[:, :1].repeat(3, 1), atol=1e-5)
    assert strength.min() < 0.4 < 0.9 < strength.max() <= 1.00001


def test_skeleton_joins_each_joint_with_its_parent(body):
    people = people_of(body, [7])
    style = MarkerStyle(skeleton=True, shading=False)
    _, skeleton = markers_of(
        MarkerWriter("front", body.faces, body.mesh.count).write(people, STAMP, style)
    )
    assert (skeleton.ns, skeleton.id, skeleton.type) == ("front_skeleton", 7, Marker.LINE_LIST)
    points = np.array([(p.x, p.y, p.z) for p in skeleton.points]).reshape(-1, 2, 3)
    expected = [(people.joints[0, child], people.joints[0, parent])
                for child, parent in enumerate(SMPL_PARENTS) if parent >= 0]  # fmt: skip
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_label_says_id_and_confidence_above_the_head(body):
    people = people_of(body, [7, 0])
    style = MarkerStyle(labels=True, shading=False)
    markers = markers_of(
        MarkerWriter("front", body.faces, body.mesh.count).write(people, STAMP, style)
    )
    labels = [marker for marker in markers if marker.type == Marker.TEXT_VIEW_FACING]
    assert [label.text for label in labels] == ["7: 0.90", "0.30"]
    assert [label.ns for label in labels] == ["front_label"] * 2
    assert labels[0].pose.position.y < people.vertices[0, :, 1].min()


def test_who_leaves_is_deleted_once_and_the_others_stay(body):
    writer = MarkerWriter("front", body.faces, body.mesh.count)
    style = MarkerStyle(shading=False)
    actions = []
    for track_ids in ([1, 2, 3], [3, 1], [3, 1], [], []):
        markers = markers_of(writer.write(people_of(body, track_ids), STAMP, style))
        actions.append({(marker.id, marker.action) for marker in markers})
    add, delete = Marker.ADD, Marker.DELETE
    assert actions == [
        {(1, add), (2, add), (3, add)},
        {(1, add), (3, add), (2, delete)},
        {(1, add), (3, add)},
        {(1, delete), (3, delete)},
        set(),
    ]
    assert not writer.shows_something


def test_markers_that_stay_for_ever_are_deleted_in_several_arrays(body):
    """A subscriber that loses one of them would show a body where nobody is."""
    writer = MarkerWriter("front", body.faces, body.mesh.count)
    style = MarkerStyle(shading=False, lifetime=0.0)
    written = [[1, 2], *[[1]] * 4, [2, 1], *[[1]] * 12]
    deleted = []
    for track_ids in written:
        markers = markers_of(writer.write(people_of(body, track_ids), STAMP, style))
        deleted.append([marker.id for marker in markers if marker.action == Marker.DELETE])
    # The second comes back, and then leaves again.
    assert deleted == [[], *[[2]] * 4, [], *[[2]] * 10, [], []]
    assert writer.shows_something
    for _ in range(10):  # how many times it is said depends on how they were shown
        (gone,) = markers_of(writer.write(people_of(body, []), STAMP, MarkerStyle()))
        assert (gone.id, gone.action) == (1, Marker.DELETE)
    assert not writer.shows_something


def test_people_without_identity_have_numbers_that_no_track_has(body):
    writer = MarkerWriter("front", body.faces, body.mesh.count)
    markers = markers_of(writer.write(people_of(body, [0, 1, 0]), STAMP, MarkerStyle()))
    assert [marker.id for marker in markers] == [-1, 1, -3]


def test_markers_of_two_cameras_never_meet(body):
    people = people_of(body, [1, 2])
    style = MarkerStyle(skeleton=True, labels=True, shading=False)
    namespaces = [
        {m.ns for m in markers_of(MarkerWriter(name, body.faces, body.mesh.count)
                                  .write(people, STAMP, style))}
        for name in ("front", "rear")
    ]  # fmt: skip
    assert not namespaces[0] & namespaces[1]
