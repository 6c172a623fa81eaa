"""Quaternions against SciPy's rotations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from romp_core.geometry import quaternions

seeds = st.integers(0, 2**32 - 1)


def random_vectors(seed: int, scale: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=(4, 6, 3))


def rotation(values: np.ndarray) -> Rotation:
    flat = values.reshape(-1, values.shape[-1])
    return Rotation.from_rotvec(flat) if flat.shape[1] == 3 else Rotation.from_quat(flat)


def assert_same(found: np.ndarray, expected: Rotation, atol: float = 1e-9) -> None:
    np.testing.assert_allclose((rotation(found).inv() * expected).magnitude(), 0, atol=atol)


@given(seeds, st.sampled_from([1e-14, 1e-9, 1e-4, 1.0, 3.0]))
def test_there_and_back(seed, scale):
    vectors = random_vectors(seed, scale)
    found = quaternions.from_axis_angle(vectors)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
    assert_same(found, rotation(vectors))
    for sign in (1, -1):
        back = quaternions.to_axis_angle(sign * found)
        np.testing.assert_allclose(
            back.reshape(-1, 3), rotation(vectors).as_rotvec(), atol=1e-9 * max(scale, 1e-3)
        )


@given(seeds, seeds)
def test_relative_rotations(first, second):
    a, b = random_vectors(first), random_vectors(second)
    found = quaternions.relative(*map(quaternions.from_axis_angle, (a, b)))
    assert_same(found, rotation(a).inv() * rotation(b))


@given(seeds, seeds, st.sampled_from([1, -1]))
def test_the_way_between_is_the_shorter_one_at_even_speed(first, second, sign):
    a, b = random_vectors(first), random_vectors(second)
    share = np.random.default_rng(first).random((4, 6))
    start, end = quaternions.from_axis_angle(a), sign * quaternions.from_axis_angle(b)
    turn = (rotation(a).inv() * rotation(b)).as_rotvec()
    expected = rotation(a) * Rotation.from_rotvec(share.reshape(-1, 1) * turn)
    assert_same(quaternions.between(start, end, share), expected, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_between_equal_rotations_there_is_nothing(share):
    same = quaternions.from_axis_angle(random_vectors(0))
    found = quaternions.between(same, same, np.full((4, 6), share))
    np.testing.assert_allclose(found, same, atol=1e-12)


def test_no_rotation_is_exact():
    none = quaternions.from_axis_angle(np.zeros((2, 3)))
    np.testing.assert_array_equal(none, [[0, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(quaternions.to_axis_angle(none), np.zeros((2, 3)))


def test_nobody():
    nobody = quaternions.from_axis_angle(np.zeros((0, 24, 3)))
    assert nobody.shape == (0, 24, 4)
    assert quaternions.between(nobody, nobody, np.zeros((0, 24))).shape == (0, 24, 4)
    assert quaternions.to_axis_angle(nobody).shape == (0, 24, 3)
    assert quaternions.relative(nobody, nobody).shape == (0, 24, 4)
