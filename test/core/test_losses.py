"""Losses: hand-computed values, gradients, what is not annotated, the pose prior."""

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist

from romp_core.body.joints import JOINT_SETS
from romp_core.errors import DataError
from romp_core.evaluation.keypoints import oks, oks_sigmas
from romp_core.geometry.rotations import axis_angle_to_matrix
from romp_core.training import losses
from romp_core.training.body_losses import mean_of
from romp_core.training.prior import MixturePrior, load_prior

GENERATOR = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=GENERATOR)


KNOWN = torch.tensor([[True] * 7, [True] * 5 + [False] * 2, [False] * 7])
ROOT = torch.tensor([True, True] + [False] * 5)


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (lambda x: losses.rotation_loss(x, torch.zeros_like(x)), (3, 4, 3, 3)),
        (lambda x: losses.betas_loss(x, torch.ones_like(x)), (3, 10)),
        (lambda x: losses.joints_loss(x, TARGET, KNOWN, ROOT), (3, 7, 3)),
        (lambda x: losses.keypoints_loss(x, TARGET[..., :2], KNOWN), (3, 7, 2)),
        (lambda x: losses.similarity_loss(x, TARGET[..., :2], KNOWN, AREAS, SIGMAS), (3, 7, 2)),
        (
            lambda x: losses.center_focal_loss(x.sigmoid() * 0.9 + 0.05, HEAT)[0],
            (2, 6, 6),
        ),
        (lambda x: PRIOR(axis_angle_to_matrix(0.1 * x)), (2, 24, 3)),
    ],
    ids=["rotation", "betas", "joints", "keypoints", "similarity", "center", "prior"],
)
def test_gradients(loss, shape):
    assert torch.autograd.gradcheck(loss, randn(*shape).requires_grad_(), atol=1e-4)


TARGET = randn(3, 7, 3)
AREAS = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
SIGMAS = torch.linspace(0.2, 0.5, 7, dtype=torch.float64)
HEAT = torch.zeros(2, 6, 6, dtype=torch.float64)
HEAT[0, 2, 3] = 1
HEAT[0, 2, 4] = 0.5
PRIOR = MixturePrior(np.zeros((2, 69)), np.stack([np.eye(69), 2 * np.eye(69)]), np.full(2, 0.5))
PRIOR.double()


def test_center_maps_come_back_from_far_beyond():
    """Wart: in float32, 5e4 + (0.999 - 5e4) is 1, whose miss is infinite."""
    predicted = torch.tensor([[[5e4, -5e4, 5e4, -5e4]]], requires_grad=True)
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    loss, _ = losses.center_focal_loss(predicted, target)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert predicted.grad.isfinite().all()
    # Higher at centers, lower elsewhere.
    assert predicted.grad[0, 0].sign().tolist() == [-1, -1, 1, 1]


def test_aligned_joints_have_the_gradient_of_a_fixed_alignment():
    """The transform is held fixed (its derivative is unbounded), so compare with that."""
    points = randn(2, 7, 3).requires_grad_()
    losses.aligned_joints_loss(points, TARGET[:2], KNOWN[:2]).sum().backward()
    assert points.grad.isfinite().all()
    assert points.grad[0].abs().max() > 0
    assert (points.grad[1, 5:] == 0).all()


def test_unannotated_joints_never_matter():
    points, spoiled = randn(3, 7, 3), TARGET.clone()
    spoiled[~KNOWN] = 1e6
    for loss in (
        lambda target: losses.joints_loss(points, target, KNOWN, ROOT),
        lambda target: losses.aligned_joints_loss(points, target, KNOWN),
        lambda target: losses.keypoints_loss(points[..., :2], target[..., :2], KNOWN),
        lambda target: losses.similarity_loss(
            points[..., :2], target[..., :2], KNOWN, AREAS, SIGMAS
        ),
    ):
        torch.testing.assert_close(loss(spoiled), loss(TARGET))
        assert loss(TARGET)[2] == 0


def test_similarity_is_that_of_evaluation():
    predicted, labels = randn(4, 17, 2), torch.rand(4, 17, generator=GENERATOR) < 0.7
    true, areas = randn(4, 17, 2), 1 + randn(4).abs()
    sigmas = oks_sigmas(JOINT_SETS["coco17"])
    annotated = np.concatenate([true.numpy(), labels.numpy()[..., None]], -1)
    expected = oks(predicted.numpy(), annotated, areas.numpy(), sigmas).diagonal()
    found = losses.similarity_loss(predicted, true, labels, areas, torch.from_numpy(sigmas))
    np.testing.assert_allclose(1 - found, expected, atol=1e-9)


def test_values_by_hand():
    zeros = torch.zeros(1, 7, 3)
    shifted = zeros + torch.tensor([0.3, 0, 0.4])
    known = torch.ones(1, 7, dtype=torch.bool)
    assert losses.joints_loss(shifted, zeros, known, ROOT).item() == pytest.approx(0)
    moved = zeros.clone()
    moved[0, 6, 2] = 0.7
    assert losses.joints_loss(moved, zeros, known, ROOT).item() == pytest.approx(0.1)
    distance = losses.keypoints_loss(shifted[..., ::2], zeros[..., :2], known)
    assert distance.item() == pytest.approx(0.5)
    scaled = losses.keypoints_loss(shifted[..., ::2], zeros[..., :2], known, torch.tensor([0.25]))
    assert scaled.item() == pytest.approx(2)
    turn = axis_angle_to_matrix(torch.tensor([[[0, 0, math.pi]]]))
    identity = torch.eye(3).expand(1, 1, 3, 3)
    assert losses.rotation_loss(turn, identity).item() == pytest.approx(math.sqrt(8))


def test_where_no_root_is_known_the_known_joints_mean_serves():
    known = torch.tensor([[False, False, True, True, True, False, False]])
    points = torch.randn(1, 7, 3)
    assert losses.joints_loss(points + 3, points, known, ROOT).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("people", [1, 2, 3, 5])
def test_aligned_joints_forgive_a_similarity(people):
    target = torch.randn(people, 24, 3)
    turn = axis_angle_to_matrix(torch.randn(people, 3))
    source = 0.5 * target @ turn + 1
    known = torch.ones(people, 24, dtype=torch.bool)
    assert losses.aligned_joints_loss(source, target, known).max() < 1e-5


def test_focal_loss_by_hand():
    predicted = torch.full((1, 2, 2), 0.5)
    target = torch.tensor([[[1.0, 0.5], [0, 0]]])
    loss, count = losses.center_focal_loss(predicted, target)
    log2 = math.log(2)
    assert loss.item() == pytest.approx(0.25 * log2 * (1 + 0.5**4 + 1 + 1))
    assert count.item() == 1
    judged = torch.tensor([[[False, True], [False, True]]])
    masked, _ = losses.center_focal_loss(predicted, target, judged)
    assert masked.item() == pytest.approx(0.25 * log2 * (1 + 0.5**4 + 1))  # centers always count


def test_focal_loss_brings_back_values_beyond_the_range():
    """A clamp alone would leave a linear map that starts below zero there for ever."""
    predicted = torch.tensor([[[-0.4, 1.7]]], requires_grad=True)
    losses.center_focal_loss(predicted, torch.tensor([[[1.0, 0.0]]]))[0].sum().backward()
    assert predicted.grad[0, 0, 0] < 0
    assert predicted.grad[0, 0, 1] > 0


def test_prior_is_the_best_component_by_hand():
    rest = axis_angle_to_matrix(torch.zeros(1, 24, 3)).double()
    assert PRIOR(rest).item() == pytest.approx(0, abs=1e-6)
    far = torch.zeros(1, 24, 3, dtype=torch.float64)
    far[0, 1:, 0] = 2.0
    squared = 23 * 4.0
    narrow = 0.5 * squared
    wide = 0.25 * squared + 0.5 * 69 * math.log(2)
    found = PRIOR(axis_angle_to_matrix(far)).item()
    assert found == pytest.approx(min(narrow, wide), rel=1e-5)


def test_open_prior_prefers_poses_of_people():
    prior = load_prior("open")
    rest = prior(axis_angle_to_matrix(torch.zeros(1, 24, 3)))
    wild = prior(axis_angle_to_matrix(torch.randn(5, 24, 3, generator=GENERATOR)))
    assert rest < 0.1 * wild.min()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("means", np.nan, "means are not finite"),
        ("covars", np.inf, "covars are not finite"),
        ("weights", np.nan, "weights are not finite"),
        ("weights", 0, "expected more than 0"),
        ("weights", -0.5, "expected more than 0"),
    ],
)
def test_priors_with_impossible_numbers_are_named(name, value, message, tmp_path):
    arrays = {"means": np.zeros((1, 69)), "covars": np.eye(69)[None], "weights": np.ones(1)}
    arrays[name].flat[0] = value
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataError, match=rf"wrong\.npz: .*{message}"):
        load_prior(tmp_path / "wrong.npz")


def test_wrong_prior_files_are_named(tmp_path):
    np.savez(tmp_path / "wrong.npz", means=np.zeros((8, 69)))
    with pytest.raises(DataError, match="covars"):
        load_prior(tmp_path / "wrong.npz")
    for cut in (0, 50):
        (tmp_path / "cut.npz").write_bytes((tmp_path / "wrong.npz").read_bytes()[:cut])
        with pytest.raises(DataError, match=r"cut\.npz holds no pose prior"):
            load_prior(tmp_path / "cut.npz")
    with pytest.raises(DataError, match=r"\(2, 68\)"):
        MixturePrior(np.zeros((2, 68)), np.zeros((2, 68, 68)), np.ones(2))
    with pytest.raises(FileNotFoundError):
        load_prior(tmp_path / "missing.npz")


@pytest.mark.parametrize(("own", "others"), [(0, 0), (0, 2), (1, 0), (1, 2), (3, 2)])
def test_means_count_the_people_of_all_processes(own, others, monkeypatch):
    """What is learnt from is the average over 4 processes of these."""
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(dist, "all_reduce", lambda total: total.add_(others))
    counts = torch.ones(own)
    expected = 3 * own / max(own + others, 1)
    assert mean_of(3 * counts, counts) / 4 == pytest.approx(expected)
