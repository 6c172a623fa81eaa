"""Metrics against hand-computed cases and against independent implementations."""

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from romp_core.evaluation import metrics

HIPS = (2, 3)


def people(count, joints=14, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.4, (count, joints, 3)))


def rotations(*shape, seed=0):
    drawn = Rotation.random(int(np.prod(shape)), np.random.default_rng(seed)).as_matrix()
    return torch.from_numpy(drawn.reshape(*shape, 3, 3))


def test_perfect_predictions_have_no_error():
    target = people(3)
    assert metrics.mpjpe(target, target, HIPS).tolist() == [0, 0, 0]
    assert metrics.pmpjpe(target, target).max() < 1e-9
    assert metrics.pck(torch.zeros(3, 14)).tolist() == [100, 100, 100]
    assert metrics.auc(torch.zeros(3, 14)).tolist() == [100, 100, 100]


def test_a_shift_of_the_whole_person_is_no_error_but_of_one_joint_is():
    target = people(1)
    predicted = target + torch.tensor([0.3, -2.0, 5.0])
    assert metrics.mpjpe(predicted, target, HIPS).item() == pytest.approx(0, abs=1e-9)
    predicted[0, 7, 1] += 0.14
    assert metrics.mpjpe(predicted, target, HIPS).item() == pytest.approx(10)  # 140 mm / 14


def test_without_root_the_shift_counts():
    target = people(2)
    shifted = target + torch.tensor([0.03, 0.0, 0.04])
    assert metrics.mpjpe(shifted, target, None).tolist() == pytest.approx([50, 50])


def test_moving_one_hip_moves_the_root_by_half():
    target = people(1)
    predicted = target.clone()
    predicted[0, HIPS[0], 0] += 0.1
    errors = metrics.joint_errors(predicted, target, HIPS)[0]
    assert errors.tolist() == pytest.approx([50] * 14)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_procrustes_removes_any_similarity_whatever_the_number_of_people(count):
    """Wart: the published code transposes batches of two or three people by a shape test."""
    target = people(count)
    turn, scale = rotations(count), torch.linspace(0.5, 2, count).double()
    predicted = scale[:, None, None] * target @ turn.transpose(1, 2) + people(count, 1, seed=1)
    assert metrics.pmpjpe(predicted, target).max() < 1e-6
    assert metrics.mpjpe(predicted, target, HIPS).min() > 10


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_procrustes_agrees_with_scipy(count):
    target, predicted = people(count), people(count, seed=1)
    for index in range(count):
        truth = target[index].numpy()
        true, fitted, _ = procrustes(truth, predicted[index].numpy())
        size = np.linalg.norm(truth - truth.mean(0))
        # SciPy allows mirror images, which no person is: compare where it needed none.
        turned = predicted[index].numpy() - predicted[index].numpy().mean(0)
        if np.linalg.det((truth - truth.mean(0)).T @ turned) > 0:
            expected = 1000 * size * np.linalg.norm(true - fitted, axis=1).mean()
            assert metrics.pmpjpe(predicted, target)[index].item() == pytest.approx(expected)


def test_procrustes_never_mirrors():
    target = people(1)
    mirrored = target * torch.tensor([-1.0, 1, 1])
    assert metrics.pmpjpe(mirrored, target).item() > 50


def test_unknown_joints_do_not_count():
    target = people(2)
    predicted = target.clone()
    predicted[:, 0] += 10
    target[0, 0] = torch.nan
    assert metrics.mpjpe(predicted, target, HIPS)[0].item() == pytest.approx(0, abs=1e-9)
    assert metrics.pmpjpe(predicted, target)[0].item() == pytest.approx(0, abs=1e-6)
    assert metrics.mpjpe(predicted, target, HIPS)[1].item() > 1000
    nobody = torch.full_like(target, torch.nan)
    assert metrics.mpjpe(predicted, nobody, HIPS).isnan().all()


def test_pve_with_and_without_root():
    mesh, shift = people(2, 100), torch.tensor([0.0, 0.12, 0.05], dtype=torch.float64)
    root = mesh[:, 0]
    assert metrics.pve(mesh + shift, mesh).tolist() == pytest.approx([130, 130])
    moved = metrics.pve(mesh + shift, mesh, root + shift, root)
    assert moved.tolist() == pytest.approx([0, 0], abs=1e-9)
    only_root = metrics.pve(mesh, mesh, root + shift, root)
    assert only_root.tolist() == pytest.approx([130, 130])


def test_pve_refuses_meshes_of_different_topology():
    with pytest.raises(ValueError, match="topology"):
        metrics.pve(people(1, 10), people(1, 12))
    with pytest.raises(ValueError, match="both or none"):
        metrics.pve(people(1, 10), people(1, 10), target_root=torch.zeros(1, 3))


def test_pck_and_auc_by_hand():
    errors = torch.tensor([[10.0, 49.9, 50.0, 150.0], [250.0, torch.nan, 0.0, 100.0]])
    assert metrics.pck(errors).tolist() == pytest.approx([50, 100 / 3])
    assert metrics.auc(errors).tolist() == pytest.approx(
        [100 * (190 + 150.1 + 150 + 50) / 800, 100 * (0 + 200 + 100) / 600]
    )


def test_auc_is_the_integral_of_the_pck_curve():
    errors = torch.from_numpy(np.random.default_rng(0).uniform(0, 300, (4, 24)))
    curve = [metrics.pck(errors, threshold) for threshold in np.linspace(0, 200, 4001)]
    assert torch.stack(curve).mean(0).numpy() == pytest.approx(metrics.auc(errors).numpy(), abs=0.1)


def test_global_rotations_follow_the_tree():
    relative = rotations(2, 24)
    chain = metrics.global_rotations(relative)
    elbow = relative[:, 0]  # pelvis, spine 1 to 3, collar, shoulder, elbow of the left arm
    for joint in (3, 6, 9, 13, 16, 18):
        elbow = elbow @ relative[:, joint]
    assert torch.allclose(chain[:, 18], elbow)
    assert torch.equal(chain[:, 0], relative[:, 0])


def test_mpjae_by_hand():
    target = metrics.global_rotations(rotations(2, 24))
    turn = torch.from_numpy(Rotation.from_rotvec([0, np.radians(30), 0]).as_matrix())
    predicted = target.clone()
    assert metrics.mpjae(predicted, target).abs().max() < 1e-5
    predicted[:, 18] = turn @ predicted[:, 18]
    predicted[:, 15] = turn @ predicted[:, 15]  # the head is no limb
    assert metrics.mpjae(predicted, target).tolist() == pytest.approx([30 / 9, 30 / 9])
    assert metrics.mpjae(turn @ target, target).tolist() == pytest.approx([30, 30])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_pmpjae_removes_a_rotation_of_the_whole_person(count):
    joints, target = people(count, 24), metrics.global_rotations(rotations(count, 24))
    turn = rotations(count, seed=2)
    turned = joints @ turn.transpose(1, 2)
    predicted = turn[:, None] @ target
    assert metrics.pmpjae(predicted, target, turned, joints).max() < 1e-4
    assert metrics.mpjae(predicted, target).min() > 1


def test_leading_dimensions_do_not_matter():
    target, predicted = people(6), people(6, seed=1)
    for function in (lambda a, b: metrics.mpjpe(a, b, HIPS), metrics.pmpjpe, metrics.pve):
        flat = function(predicted, target)
        nested = function(predicted.reshape(2, 3, 14, 3), target.reshape(2, 3, 14, 3))
        assert torch.allclose(flat.reshape(2, 3), nested)
    assert metrics.pmpjpe(people(0), people(0)).shape == (0,)
