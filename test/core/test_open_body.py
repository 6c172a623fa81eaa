"""The open body that comes with the package: a sound mesh that means what SMPL's file means."""

from importlib import resources

import numpy as np
import pytest
import torch

from romp_core.body import BodyModel
from romp_core.body.files import read_body
from romp_core.body.joints import JOINTS_71, LANDMARKS, SMPL_JOINTS, SMPL_PARENTS, flip_permutation

ASSET = resources.files("romp_core") / "assets" / "open_body.npz"


@pytest.fixture(scope="module")
def data():
    return read_body(ASSET)


@pytest.fixture(scope="module")
def body(data):
    return BodyModel(data)


@pytest.fixture(scope="module")
def joints(body):
    """The 71 joints at rest by name."""
    resting = body(torch.zeros(1, 72), torch.zeros(1, 10)).joints[0].numpy()
    return dict(zip(JOINTS_71, resting, strict=True))


@pytest.fixture(scope="module")
def mirror(data):
    """The vertex on the other side of the body, for each vertex."""
    position = {tuple(vertex): index for index, vertex in enumerate(data.v_template.tolist())}
    return np.array([position[(-x, y, z)] for x, y, z in data.v_template.tolist()])


def directed_edges(faces):
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def smallest_angles(vertices, faces):
    """Degrees, one per triangle."""
    sides = vertices[np.roll(faces, -1, axis=1)] - vertices[faces]
    sides /= np.linalg.norm(sides, axis=-1, keepdims=True)
    cosines = -(sides * np.roll(sides, 1, axis=1)).sum(axis=-1)
    return np.degrees(np.arccos(cosines.max(axis=1).clip(-1, 1)))


def volume(vertices, faces):
    a, b, c = np.moveaxis(vertices[faces].astype(float), 1, 0)
    return (a * np.cross(b, c)).sum() / 6


def test_size(data):
    assert ASSET.stat().st_size <= 3_000_000
    assert 6_500 <= len(data.v_template) <= 7_300


def test_is_a_closed_manifold_without_loose_vertices(data):
    edges = directed_edges(data.faces)
    forward = {tuple(edge) for edge in edges.tolist()}
    assert len(forward) == len(edges)
    assert forward == {(b, a) for a, b in forward}
    assert set(data.faces.ravel()) == set(range(len(data.v_template)))


def test_is_one_surface_without_handles(data):
    """Euler's number of a sphere: no tunnel, no second shell such as an eyeball or a tongue."""
    edges = len(directed_edges(data.faces)) // 2
    assert len(data.v_template) - edges + len(data.faces) == 2


def test_faces_point_outwards(data):
    assert 0.03 < volume(data.v_template, data.faces) < 0.12


def test_has_no_slivers(data):
    angles = smallest_angles(data.v_template, data.faces)
    assert angles.min() > 12
    assert (angles < 15).mean() < 0.002


@pytest.mark.parametrize("beta", range(10))
@pytest.mark.parametrize("amount", [-2.0, 2.0])
def test_no_triangle_collapses_in_any_shape(data, beta, amount):
    vertices = data.v_template + amount * data.shapedirs[..., beta]
    assert smallest_angles(vertices, data.faces).min() > 2
    assert 0.01 < volume(vertices, data.faces) < 0.2


def test_mesh_weights_and_shapes_are_symmetric(data, mirror):
    flip = flip_permutation(SMPL_JOINTS)
    np.testing.assert_allclose(data.weights, data.weights[mirror][:, flip], atol=1e-6)
    opposite = data.shapedirs[mirror] * np.array([[-1], [1], [1]])
    np.testing.assert_allclose(data.shapedirs, opposite, atol=1e-4)
    mirrored = {tuple(sorted(face)) for face in mirror[data.faces].tolist()}
    assert mirrored == {tuple(sorted(face)) for face in data.faces.tolist()}


def test_regressors_are_symmetric(data, mirror):
    for names, rows in ((SMPL_JOINTS, data.J_regressor), (LANDMARKS, data.landmark_regressor)):
        flip = flip_permutation(names)
        np.testing.assert_allclose(rows, rows[flip][:, mirror], atol=1e-5)
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


def test_weights_are_four_at_most_and_sum_to_one(data):
    assert (data.weights >= 0).all()
    assert (data.weights > 0).sum(axis=1).max() <= 4
    np.testing.assert_allclose(data.weights.sum(axis=1), 1, atol=1e-6)


def test_tree_is_that_of_smpl_and_every_joint_moves_something(data):
    assert tuple(data.parents) == SMPL_PARENTS
    assert (data.weights.max(axis=0) > 0.4).all()


def test_has_all_71_joints_and_no_pose_directions(data, body):
    assert data.landmark_names == LANDMARKS
    assert tuple(body.joint_names) == JOINTS_71
    assert not data.posedirs.any()


def test_height_is_that_of_a_person(data):
    assert 1.5 < np.ptp(data.v_template[:, 1]) < 1.8


def test_every_shape_direction_changes_the_body_and_adds_volume(data):
    for direction in np.moveaxis(data.shapedirs, -1, 0):
        assert np.linalg.norm(direction, axis=1).max() > 0.003
        assert volume(data.v_template + direction, data.faces) > volume(data.v_template, data.faces)


def test_first_direction_is_height(data):
    low, high = (np.ptp((data.v_template + b * data.shapedirs[..., 0])[:, 1]) for b in (-3, 1))
    assert low < 1.15  # a child of five
    assert high > 1.75


class TestConvention:
    """At rest: a T-pose with x to the person's left, y up, z forward."""

    def test_left_is_positive_x(self, joints):
        for name, (x, _, _) in joints.items():
            if name.startswith("left_"):
                assert x > 0.01, name
            elif name.startswith("right_"):
                assert x < -0.01, name
            else:
                assert abs(x) < 1e-4, name

    def test_pelvis_is_at_the_origin(self, joints):
        np.testing.assert_allclose(joints["pelvis"], 0, atol=0.003)

    def test_arms_lie_along_x_palms_down(self, joints):
        arm = [joints[f"left_{part}"] for part in ("shoulder", "elbow", "wrist", "hand")]
        assert np.ptp(arm, axis=0)[1:].max() < 0.01
        assert (np.diff([x for x, _, _ in arm]) > 0.05).all()
        # With palms down the thumb points forward, and the fingers hang below the knuckles.
        assert joints["left_thumb"][2] > joints["left_index"][2] > joints["left_little"][2]
        assert joints["left_middle"][1] < joints["left_hand"][1]

    def test_feet_are_lowest_and_soles_are_level(self, data, joints):
        floor = data.v_template[:, 1].min()
        left = data.v_template[data.v_template[:, 0] > 0]
        middle = (joints["left_heel"][2] + joints["left_big_toe"][2]) / 2
        assert left[left[:, 2] < middle][:, 1].min() - floor < 0.005
        assert left[left[:, 2] > middle][:, 1].min() - floor < 0.005
        lowest = data.v_template[:, 1].argmin()
        foot = [SMPL_JOINTS.index(f"{s}_{p}") for s in ("left", "right") for p in ("ankle", "foot")]
        assert data.weights[lowest, foot].sum() > 0.99

    def test_faces_forward(self, joints):
        assert joints["nose"][2] > joints["head"][2] + 0.05
        assert joints["left_big_toe"][2] > joints["left_heel"][2] + 0.15

    def test_body_stands_in_order(self, joints):
        up = ("left_foot", "left_ankle", "left_knee", "left_hip", "spine1", "spine2", "spine3")
        up += ("neck_lsp", "neck", "head", "left_eye", "head_h36m", "head_top_lsp")
        assert (np.diff([joints[name][1] for name in up]) > 0).all()

    def test_landmarks_lie_in_the_body_part_of_their_name(self, data, joints):
        parts = {
            "nose": "head", "left_eye": "head", "left_ear": "head", "head_top_lsp": "head",
            "left_big_toe": "left_foot", "left_small_toe": "left_foot", "left_heel": "left_ankle",
            "left_thumb": "left_hand", "left_index": "left_hand", "left_middle": "left_hand",
            "left_ring": "left_hand", "left_little": "left_hand",
        }  # fmt: skip
        for landmark, part in parts.items():
            nearest = np.linalg.norm(data.v_template - joints[landmark], axis=1).argmin()
            assert data.weights[nearest, SMPL_JOINTS.index(part)] > 0.5, landmark

    def test_turning_the_left_elbow_forward_moves_only_the_left_hand_forward(self, body):
        pose = torch.zeros(2, 24, 3)
        pose[1, SMPL_JOINTS.index("left_elbow"), 1] = -np.pi / 2
        resting, bent = body(pose, torch.zeros(2, 10)).joints.numpy()
        moved = dict(zip(JOINTS_71, bent - resting, strict=True))
        assert moved["left_wrist"][2] > 0.15
        assert np.abs(moved["right_wrist"]).max() < 1e-6


def test_regressed_limb_joints_follow_the_pose(body):
    """Joints regressed from the posed skin stay near the joints that it was posed by."""
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(20, 72, generator=generator) * 0.3
    joints = body(pose, torch.randn(20, 10, generator=generator)).joints
    limbs = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    names = [f"{side}_{part}" for side in ("left", "right") for part in limbs]
    regressed = joints[:, body.joint_indices([f"{name}_h17" for name in names])]
    gap = (regressed - joints[:, body.joint_indices(names)]).norm(dim=-1)
    assert gap.mean() < 0.012
    assert gap.max() < 0.05


def test_smplx_evaluates_it_to_the_same_body(body):
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    reference = smplx.SMPL("", data_struct=Struct(**np.load(ASSET)))
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(4, 72, generator=generator) * 0.5
    betas = torch.randn(4, 10, generator=generator)
    expected = reference(betas=betas, global_orient=pose[:, :3], body_pose=pose[:, 3:])
    ours = body(pose, betas)
    torch.testing.assert_close(ours.vertices, expected.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints[:, :24], expected.joints[:, :24], atol=1e-5, rtol=0)
