"""The compiled module against torch, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from body_factory import random_body

from romp_core import compiled
from romp_core.body import BodyModel
from romp_core.geometry import rotations
from romp_core.network import evidence

VERTICES = 50


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("romp_core_compiled", reason="nothing was built: run `make test`")


@pytest.fixture(scope="module")
def data():
    return random_body(VERTICES, 8)


def random_people(count):
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 72, generator=generator), torch.randn(count, 10, generator=generator)


@pytest.mark.parametrize("people", [0, 1, 3, 40])
@pytest.mark.parametrize("followed", [1, 4, 24])
def test_equals_torch(library, data, monkeypatch, people, followed):
    weights = np.random.default_rng(0).dirichlet(np.ones(24), VERTICES)
    weights[np.argsort(np.argsort(-weights)) >= followed] = 0
    weights[:, weights[0].argmin()] *= -0.1  # no file should, but some may
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    body = BodyModel(dataclasses.replace(data, weights=weights))
    assert body.mesh.influences.joints.shape == (VERTICES, followed)
    with torch.inference_mode():
        found = body(*random_people(people))
        monkeypatch.setattr(compiled, "library", None)
        expected = body(*random_people(people))
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


class Counted:
    """The compiled module, and how often something of it was asked for."""

    def __init__(self, library):
        self._library = library
        self.calls = 0

    def __getattr__(self, name):
        self.calls += 1
        return getattr(self._library, name)


def hard_rotations():
    """(7, 24, 3) axis-angle vectors, some far too small and some far too large."""
    vectors = torch.randn(7, 24, 3, generator=torch.Generator().manual_seed(0))
    vectors[0] *= 10.0 ** -torch.arange(24)[:, None]  # down to numbers whose squares are zero
    vectors[1] = 0
    vectors[2] *= torch.pi / vectors[2].norm(dim=-1, keepdim=True)
    vectors[3] *= 100
    return vectors


def both_ways(convert, given):
    """What the compiled module gives, and torch in double precision."""
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "library", counted := Counted(compiled.library))
        found = convert(given)
    assert counted.calls == 1
    expected = convert(given.double())
    assert expected.dtype == torch.float64
    assert found.shape == expected.shape
    return found, expected.float()


def test_matrices_of_axis_angles_equal_torchs(library):
    found, expected = both_ways(rotations.axis_angle_to_matrix, hard_rotations())
    torch.testing.assert_close(found, expected, atol=2e-7, rtol=0)
    assert torch.equal(found[1], torch.eye(3).expand(24, 3, 3))


def test_matrices_of_sixes_equal_torchs(library):
    sixes = torch.randn(5, 40, 6, generator=torch.Generator().manual_seed(0))
    sixes[0] *= 10.0 ** -torch.arange(40)[:, None]
    sixes[1] = 0
    sixes[2, :, 1::2] = sixes[2, :, ::2]  # no second direction
    sixes[3] *= 1e6
    found, expected = both_ways(rotations.rotation_6d_to_matrix, sixes)
    # Where nothing is left of the second direction, rounding decides.
    distinct = [0, 1, 3, 4]
    torch.testing.assert_close(found[distinct], expected[distinct], atol=2e-6, rtol=0)
    assert found.isfinite().all()


def test_axis_angles_equal_torchs(library):
    matrices = rotations.axis_angle_to_matrix(hard_rotations())
    found, expected = both_ways(rotations.matrix_to_axis_angle, matrices)
    angles = found.norm(dim=-1)
    assert angles.max() <= torch.pi + 1e-6
    torch.testing.assert_close(angles, expected.norm(dim=-1), atol=1e-6, rtol=0)
    turned = rotations.axis_angle_to_matrix(found)  # of half a turn either sign is right
    torch.testing.assert_close(turned, matrices, atol=2e-6, rtol=0)
    assert torch.equal(found[1], torch.zeros(24, 3))


@pytest.mark.parametrize(
    "convert, numbers",
    [
        ("axis_angle_to_matrix", (3, 9)),
        ("rotation_6d_to_matrix", (6, 9)),
        ("matrix_to_axis_angle", (9, 3)),
    ],
)
def test_rotations_of_another_size_are_refused(library, convert, numbers):
    given, wanted = (np.zeros((2, size), np.float32) for size in numbers)
    convert = getattr(library, convert)
    convert(2, given, wanted)
    for count in (3, 1, -1, 1 << 60, (1 << 63) - 1):
        with pytest.raises(ValueError, match="expected"):
            convert(count, given, wanted)
    with pytest.raises(ValueError, match=r"array 2 has \d+ bytes; expected \d+"):
        convert(2, given, wanted[:1].copy())


@pytest.mark.parametrize("height, width", [(1, 1), (3, 40), (40, 3), (11, 11), (56, 40)])
def test_mean_shift_equals_torchs(library, height, width):
    maps = torch.rand(4, 1, height, width, generator=torch.Generator().manual_seed(0))
    maps[0] = 0
    found, expected = both_ways(evidence._mean_shift, maps**8)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert torch.equal(found[0], torch.zeros(2, height, width))


def test_more_than_a_million_rotations(library):
    vectors = torch.zeros(1 << 20 | 1, 3)
    assert compiled.axis_angle_to_matrix(vectors).shape == (len(vectors), 3, 3)


@pytest.mark.parametrize(
    "convert, shape",
    [
        (rotations.axis_angle_to_matrix, (3,)),
        (rotations.rotation_6d_to_matrix, (6,)),
        (rotations.matrix_to_axis_angle, (3, 3)),
    ],
)
def test_what_is_no_number_does_not_become_one(library, convert, shape):
    given = torch.zeros(1, *shape)
    given.view(-1)[0] = torch.nan
    with torch.inference_mode():
        assert convert(given).isnan().any()


def test_mean_shift_of_no_map(library):
    window = np.ones(5, np.float32)
    assert compiled.mean_shift(torch.empty(0, 1, 8, 8), window, window, 0.1).shape == (0, 2, 8, 8)


def test_maps_that_do_not_fit_are_refused(library):
    window, maps, steps = (np.zeros(size, np.float32) for size in (5, (2, 3, 4), (2, 2, 3, 4)))
    library.mean_shift(2, 3, 4, 0.1, maps, window, window, steps)
    for sizes in ((3, 3, 4), (-1, 3, 4), (2, 1 << 19, 1 << 19), (1 << 60, 1 << 60, 16)):
        with pytest.raises(ValueError, match="expected"):
            library.mean_shift(*sizes, 0.1, maps, window, window, steps)
    for bad in (window[:4].copy(), window[:0].copy()):  # windows have a middle
        with pytest.raises(ValueError, match="expected"):
            library.mean_shift(2, 3, 4, 0.1, maps, bad, bad, steps)
    with pytest.raises(ValueError, match="array 4 has 48 bytes; expected 192"):
        library.mean_shift(2, 3, 4, 0.1, maps, window, window, steps[:1, :1].copy())


def test_is_used_where_it_can_be(library, data, monkeypatch):
    calls = []
    monkeypatch.setattr(
        compiled.library, "skin", lambda *a, skin=library.skin: (calls.append(a), skin(*a))
    )
    body = BodyModel(data)
    body(*random_people(2))
    assert not calls  # gradients may be asked for
    with torch.no_grad():
        body(*random_people(2), with_vertices=False)
        assert len(calls) == 1
        body(*random_people(2))
        assert len(calls) == 3
        body.double()(*random_people(2))
        assert len(calls) == 3


def arrays(points=5, joints=3):
    return {
        "resting": np.zeros((2, 3, points), np.float32),
        "transforms": np.zeros((2, joints, 4, 4), np.float32),
        "joints": np.zeros((points, 4), np.uint8),
        "weights": np.zeros((points, 4), np.float32),
        "posed": np.zeros((2, points, 3), np.float32),
    }


@pytest.mark.parametrize("name", list(arrays()))
def test_arrays_of_another_size_are_refused(library, name):
    correct = arrays()
    library.skin(2, 5, 3, *correct.values())
    short = correct | {name: correct[name][:-1].copy()}
    with pytest.raises(ValueError, match=r"array \d has \d+ bytes; expected \d+"):
        library.skin(2, 5, 3, *short.values())


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((-2, 5, 3), "-2 people"), ((2, 1 << 62, 3), "points; expected 0 to"), ((2, 5, -3), "-3 joi")],
)
def test_impossible_numbers_are_refused(library, sizes, said):
    with pytest.raises(ValueError, match=said):
        library.skin(*sizes, *arrays().values())


def test_joints_that_do_not_exist_are_refused(library):
    wrong = arrays()
    wrong["joints"][2, 1] = 3
    with pytest.raises(ValueError, match="follows a joint that does not exist"):
        library.skin(2, 5, 3, *wrong.values())


@pytest.mark.parametrize("parents", [(-1, 1), (-1, 2), (-2, 0)])
def test_trees_whose_parents_do_not_come_first_are_refused(library, parents):
    with pytest.raises(ValueError, match="parent does not come before"):
        compiled.compose(np.array(parents), torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 4))


def test_joints_without_a_place_are_refused(library):
    with pytest.raises(ValueError, match="fewer points than joints"):
        compiled.compose(np.array([-1, 0]), torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 1))
    with pytest.raises(ValueError, match="array 2"):
        library.compose(
            1, 2, np.array([-1, 0]), np.zeros(18, "f"), np.zeros(5, "f"), np.zeros(32, "f")
        )
