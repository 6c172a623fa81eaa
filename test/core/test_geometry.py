"""Rotations, alignment and cameras: conventions, round trips, edge cases, gradients."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from romp_core.geometry import cameras, rotations
from romp_core.geometry.alignment import procrustes_align, similarity_transform

AXIS_ANGLES = torch.cat(
    [
        torch.from_numpy(Rotation.random(200, random_state=0).as_rotvec()),
        torch.zeros(1, 3, dtype=torch.float64),
        torch.tensor(
            [[1e-9, 0, 0], [0, 1e-5, 0], [0, 0, math.pi - 1e-7], [math.pi, 0, 0]]
        ).double(),
    ]
)


def test_axis_angle_agrees_with_scipy():
    ours = rotations.axis_angle_to_matrix(AXIS_ANGLES).numpy()
    np.testing.assert_allclose(ours, Rotation.from_rotvec(AXIS_ANGLES).as_matrix(), atol=1e-9)


def test_axis_angle_round_trip_at_every_angle():
    matrix = rotations.axis_angle_to_matrix(AXIS_ANGLES)
    again = rotations.axis_angle_to_matrix(rotations.matrix_to_axis_angle(matrix))
    torch.testing.assert_close(again, matrix, atol=1e-8, rtol=0)


def test_float32_round_trip_keeps_the_angle():
    matrix = rotations.axis_angle_to_matrix(AXIS_ANGLES.float())
    again = rotations.axis_angle_to_matrix(rotations.matrix_to_axis_angle(matrix))
    assert rotations.geodesic_angle(again, matrix).max() < 1e-3


def test_rotation_6d_is_the_published_layout():
    """Convention: six numbers reshape to (3, 2); columns, not rows, are orthonormalised."""
    matrix = rotations.rotation_6d_to_matrix(torch.tensor([2.0, 1, 0, 3, 0, 0]))
    torch.testing.assert_close(matrix[:, 0], torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(matrix[:, 1], torch.tensor([0.0, 1, 0]))
    torch.testing.assert_close(matrix[:, 2], torch.tensor([0.0, 0, 1]))


def test_rotation_6d_round_trip_and_finite_for_zeros():
    matrix = rotations.axis_angle_to_matrix(AXIS_ANGLES)
    again = rotations.rotation_6d_to_matrix(rotations.matrix_to_rotation_6d(matrix))
    torch.testing.assert_close(again, matrix, atol=1e-9, rtol=0)
    assert rotations.rotation_6d_to_matrix(torch.zeros(4, 6)).isfinite().all()


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.5, math.pi / 2, math.pi - 1e-4])
def test_geodesic_angle(angle):
    matrix = rotations.axis_angle_to_matrix(torch.tensor([0.0, angle, 0.0], dtype=torch.float64))
    found = rotations.geodesic_angle(torch.eye(3, dtype=torch.float64), matrix)
    assert found.item() == pytest.approx(angle, abs=1e-9)


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(rotations.axis_angle_to_matrix, vectors)
    sixes = torch.randn(3, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(rotations.rotation_6d_to_matrix, sixes)
    zero = torch.zeros(1, 3, requires_grad=True)
    rotations.axis_angle_to_matrix(zero).sum().backward()
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize("people", [1, 2, 3, 5])
def test_procrustes_recovers_a_known_similarity(people):
    """Wart: the published alignment transposes batches of 2 or 3 people."""
    generator = torch.Generator().manual_seed(people)
    target = torch.randn(people, 24, 3, dtype=torch.float64, generator=generator)
    rotation = rotations.axis_angle_to_matrix(
        torch.randn(people, 3, dtype=torch.float64, generator=generator)
    )
    source = 1.7 * target @ rotation.transpose(-1, -2) + 0.3
    torch.testing.assert_close(procrustes_align(source, target), target, atol=1e-9, rtol=0)
    found = similarity_transform(source, target)
    torch.testing.assert_close(found.scale, torch.full((people,), 1 / 1.7, dtype=torch.float64))
    torch.testing.assert_close(found.rotation, rotation.transpose(-1, -2))


def test_procrustes_never_mirrors_and_ignores_weight_zero():
    target = torch.randn(1, 10, 3, generator=torch.Generator().manual_seed(1))
    mirrored = target * torch.tensor([-1.0, 1, 1])
    assert torch.linalg.det(similarity_transform(mirrored, target).rotation) > 0
    spoiled = target.clone()
    spoiled[:, 9] = 100.0
    weights = torch.ones(1, 10)
    weights[:, 9] = 0
    aligned = procrustes_align(spoiled, target, weights)
    torch.testing.assert_close(aligned[:, :9], target[:, :9], atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_alignment_of_points_that_are_not_finite_is_not_finite(value):
    points = torch.randn(2, 5, 3)
    broken = points.clone()
    broken[1, 2, 0] = value
    for source, target in ((broken, points), (points, broken)):
        aligned = procrustes_align(source, target)
        torch.testing.assert_close(aligned[0], points[0])
        assert not aligned[1].isfinite().all()


def test_procrustes_of_coinciding_points_is_finite():
    assert procrustes_align(torch.ones(2, 5, 3), torch.randn(2, 5, 3)).isfinite().all()


def test_similarity_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"found \(2, 5, 3\) and \(2, 6, 3\)"):
        similarity_transform(torch.ones(2, 5, 3), torch.ones(2, 6, 3))


def test_perspective_projection_agrees_with_opencv():
    import cv2

    points = np.random.default_rng(0).uniform([-2, -2, 1], [2, 2, 8], (50, 3))
    intrinsics = np.array([[600.0, 0, 310], [0, 580, 260], [0, 0, 1]])
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), intrinsics, None)[0][:, 0]
    ours = cameras.perspective_project(torch.from_numpy(points), torch.from_numpy(intrinsics))
    np.testing.assert_allclose(ours, expected, atol=1e-8)


def test_points_behind_the_camera_project_to_finite_pixels():
    intrinsics = torch.from_numpy(cameras.intrinsics_from_fov(480, 640))
    points = torch.tensor([[0.5, 0.0, -3.0], [0.5, 0.0, 0.0]])
    pixels = cameras.perspective_project(points, intrinsics)
    assert pixels.isfinite().all()
    assert (pixels[:, 0] > 640).all()


def test_field_of_view():
    intrinsics = cameras.intrinsics_from_fov(480, 640, 90.0)
    assert intrinsics[0, 0] == pytest.approx(320)
    assert intrinsics[0, 2] == pytest.approx(319.5)
    with pytest.raises(ValueError, match=r"180\.0 degrees"):
        cameras.intrinsics_from_fov(480, 640, 180.0)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (641, 480), (33, 57), (10, 10)])
def test_letterbox_round_trip_and_borders(height, width):
    box = cameras.Letterbox(height, width)
    corner = torch.tensor([-0.5 - box.left, -0.5 - box.top])
    torch.testing.assert_close(box.to_normalized(corner), torch.tensor([-1.0, -1.0]))
    pixels = torch.rand(7, 2) * 100
    torch.testing.assert_close(box.to_pixels(box.to_normalized(pixels)), pixels, atol=1e-3, rtol=0)


def test_weak_perspective_is_the_published_formula():
    projected = cameras.weak_perspective_project(
        torch.tensor([[0.5, -0.5, 9.0]]), torch.tensor([2.0, 0.1, -0.2])
    )
    torch.testing.assert_close(projected, torch.tensor([[1.1, -1.2]]))
