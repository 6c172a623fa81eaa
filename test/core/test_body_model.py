"""The body layer: against smplx, its gradients, its forms of pose, and bad input."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from body_factory import official_arrays, random_body

from romp_core.body import BodyModel
from romp_core.body.joints import JOINTS_71, SMPL_PARENTS
from romp_core.geometry.rotations import axis_angle_to_matrix, matrix_to_rotation_6d


@pytest.fixture(scope="module")
def data():
    return random_body()


@pytest.fixture(scope="module")
def body(data):
    return BodyModel(data)


@pytest.fixture(scope="module")
def reference(data):
    """The same numbers in smplx's layer."""
    smplx = pytest.importorskip("smplx")
    from smplx.utils import Struct

    return smplx.SMPL("", data_struct=Struct(**official_arrays(data)))


@pytest.fixture
def tiny():
    return random_body(vertices=12, faces=8)


def random_people(count, seed=0, angle=1.0):
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(count, 72, generator=generator) * angle
    return pose, torch.randn(count, 10, generator=generator) * 2


def evaluate(reference, pose, betas):
    return reference(
        betas=betas,
        global_orient=pose[:, :3],
        body_pose=pose[:, 3:],
        transl=pose.new_zeros(len(pose), 3),
    )


@pytest.mark.parametrize("angle", [0.0, 0.3, 3.0])
def test_equals_smplx(body, reference, angle):
    pose, betas = random_people(8, angle=angle)
    ours, expected = body(pose, betas), evaluate(reference, pose, betas)
    torch.testing.assert_close(ours.vertices, expected.vertices, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.joints[:, :24], expected.joints[:, :24], atol=1e-5, rtol=0)


def test_gradients_equal_smplx(body, reference):
    pose, betas = (tensor.requires_grad_() for tensor in random_people(3))
    gradients = []
    for vertices in (body(pose, betas).vertices, evaluate(reference, pose, betas).vertices):
        gradients.append(torch.autograd.grad(vertices.square().sum(), (pose, betas)))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("pose_directions", [True, False])
def test_gradcheck(pose_directions):
    body = BodyModel(random_body(12, 8, pose_directions=pose_directions)).double()
    pose, betas = (tensor.double().requires_grad_() for tensor in random_people(2))
    assert torch.autograd.gradcheck(
        lambda *inputs: tuple(body(*inputs)), (pose, betas), fast_mode=True
    )


def test_gradient_at_the_rest_pose_is_finite(body):
    pose = torch.zeros(1, 72, requires_grad=True)
    body(pose, torch.zeros(1, 10)).vertices.sum().backward()
    assert torch.isfinite(pose.grad).all()


def test_forms_of_pose_agree(body):
    pose, betas = random_people(4)
    matrices = axis_angle_to_matrix(pose.unflatten(1, (24, 3)))
    expected = body(pose, betas)
    for form in (pose.unflatten(1, (24, 3)), matrices, matrix_to_rotation_6d(matrices)):
        torch.testing.assert_close(body(form, betas), expected, atol=1e-5, rtol=0)


def test_crowds_in_inference_equal_single_people_in_training(body):
    """Inference is compiled code of its own (romp_core.compiled), training is torch's."""
    pose, betas = random_people(19)
    with torch.inference_mode():
        crowd = body(pose, betas)
    for person in (0, 8, 18):
        alone = body(pose[person : person + 1], betas[person : person + 1])
        torch.testing.assert_close(crowd.vertices[person], alone.vertices[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(crowd.joints[person], alone.joints[0], atol=1e-5, rtol=0)


def test_joints_do_not_depend_on_whether_vertices_are_asked_for(body):
    pose, betas = random_people(4)
    joints_only = body(pose, betas, with_vertices=False)
    assert joints_only.vertices is None
    assert torch.equal(joints_only.joints, body(pose, betas).joints)


def test_landmarks_are_regressed_from_the_posed_vertices(data, body):
    pose, betas = random_people(4)
    output = body(pose, betas)
    expected = torch.from_numpy(data.landmark_regressor) @ output.vertices
    torch.testing.assert_close(output.joints[:, 24:], expected, atol=1e-5, rtol=0)


def test_global_orient_turns_about_the_root(body):
    """Convention: the root joint stays, everything else turns about it, column vectors."""
    pose, betas = random_people(2)
    pose[:, :3] = 0
    upright = body(pose, betas).vertices
    turned_pose = pose.clone()
    turned_pose[:, 2] = torch.pi / 2  # +90 degrees about z: x becomes y, y becomes -x
    turned = body(turned_pose, betas)
    root = turned.joints[:, :1]
    x, y, z = (upright - root).unbind(-1)
    torch.testing.assert_close(turned.vertices - root, torch.stack([-y, x, z], -1))


def test_zero_pose_and_betas_give_the_template(data, body):
    output = body(torch.zeros(1, 72), torch.zeros(1, 10))
    np.testing.assert_allclose(output.vertices[0], data.v_template, atol=1e-6)
    np.testing.assert_allclose(output.joints[0, :24], data.J_regressor @ data.v_template, atol=1e-6)


@pytest.mark.parametrize("with_vertices", [True, False])
def test_nobody(tiny, with_vertices):
    output = BodyModel(tiny)(torch.zeros(0, 72), torch.zeros(0, 10), with_vertices=with_vertices)
    assert output.joints.shape == (0, 71, 3)
    assert output.vertices is None or output.vertices.shape == (0, 12, 3)


def test_each_person_is_alone(body):
    pose, betas = random_people(3)
    together = body(pose, betas).vertices
    for index in range(3):
        alone = body(pose[index : index + 1], betas[index : index + 1]).vertices
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=0)


def test_without_landmarks(tiny):
    bare = dataclasses.replace(
        tiny, landmark_names=(), landmark_regressor=np.zeros((0, 12), np.float32)
    )
    output = BodyModel(bare)(*random_people(2))
    assert output.joints.shape == (2, 24, 3)


def test_has_nothing_to_learn_or_to_save(body, data):
    assert not list(body.parameters())
    assert not body.state_dict()
    assert body.faces.dtype == np.int32
    assert body.parents == SMPL_PARENTS
    assert body.joint_names == JOINTS_71
    assert body.id == data.id


def test_mixed_precision_does_not_reach_the_body(body):
    pose, betas = random_people(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = body(pose.bfloat16().float(), betas)
    assert output.vertices.dtype == torch.float32
    torch.testing.assert_close(output, body(pose.bfloat16().float(), betas), atol=0, rtol=0)


@pytest.mark.parametrize("shape", [(2, 71), (2, 69), (72,), (2, 23, 3), (2, 24, 4), (2, 24, 6, 1)])
def test_wrong_pose_shape(tiny, shape):
    with pytest.raises(ValueError, match=r"pose has shape .*; expected \(B, 72\)"):
        BodyModel(tiny)(torch.zeros(shape), torch.zeros(2, 10))


@pytest.mark.parametrize("shape", [(2, 9), (2, 11), (2, 300), (1, 10), (10,), (2, 10, 1)])
def test_wrong_betas_shape(tiny, shape):
    with pytest.raises(ValueError, match=r"betas have shape .*; expected \(2, 10\)"):
        BodyModel(tiny)(torch.zeros(2, 72), torch.zeros(shape))


def test_joint_indices(tiny):
    body = BodyModel(tiny)
    assert body.joint_indices("smpl24") == list(range(24))
    assert body.joint_indices("lsp14") == list(range(54, 68))
    assert body.joint_indices(["nose", "pelvis"]) == [24, 0]
    with pytest.raises(ValueError, match=r"'coco18'; expected one of .*coco17"):
        body.joint_indices("coco18")


def test_joint_indices_of_a_body_that_lacks_them(tiny):
    few = dataclasses.replace(
        tiny, landmark_names=("nose",), landmark_regressor=tiny.landmark_regressor[:1]
    )
    assert BodyModel(few).joint_indices(["nose"]) == [24]
    with pytest.raises(ValueError, match=r"random has no .*left_hip_lsp.*open body"):
        BodyModel(few).joint_indices("coco17")


def test_what_inference_computes_equals_what_training_does(body):
    """Inference arranges large matrices anew; they follow the body to another type."""
    pose, betas = random_people(5)
    with torch.no_grad():
        found = body(pose, betas).vertices
    torch.testing.assert_close(found, body(pose, betas).vertices, atol=1e-5, rtol=0)
    for copied in (copy.deepcopy(body), pickle.loads(pickle.dumps(body))):
        with torch.no_grad():
            torch.testing.assert_close(copied(pose, betas).vertices, found, atol=0, rtol=0)
    double = copy.deepcopy(body).double()
    with torch.no_grad():
        vertices = double(pose.double(), betas.double()).vertices
    assert vertices.dtype == torch.float64
    torch.testing.assert_close(vertices.float(), found, atol=1e-5, rtol=0)


def test_a_torch_that_arranges_nothing_gives_the_same(data, monkeypatch):
    pose, betas = random_people(3)
    expected = BodyModel(data)(pose, betas).vertices

    def refuse(*args):
        raise RuntimeError("not built with oneDNN")

    monkeypatch.setattr("romp_core.body.products._arranged_product", refuse)
    with torch.no_grad():
        found = BodyModel(data)(pose, betas).vertices
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
