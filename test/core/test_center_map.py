"""The center map: drawing and finding planted centers, CAR, ties, bad input."""

import pytest
import torch

from romp_core.center_map import body_centers, decode, encode, kernel_radii, repel_centers


def planted_cells(count: int, size: int = 128, seed: int = 0) -> torch.Tensor:
    """`count` distinct cells, (count, 2), at least six cells apart."""
    grid = torch.cartesian_prod(torch.arange(3, size - 3, 6), torch.arange(3, size - 3, 6))
    order = torch.randperm(len(grid), generator=torch.Generator().manual_seed(seed))
    return grid[order[:count]]


def draw(cells: torch.Tensor, size: int = 128) -> torch.Tensor:
    """A center map (1, 1, size, size) with radius-2 kernels at the cells."""
    valid = torch.ones(len(cells), dtype=torch.bool)
    return encode(cells.float(), torch.full((len(cells),), 2.0), valid, (size, size))[None, None]


@pytest.mark.parametrize("count", [0, 1, 2, 64, 100])
def test_exactly_the_planted_centers_are_found(count):
    cells = planted_cells(count)
    params = torch.randn(1, 145, 128, 128)
    found = decode(draw(cells), params, max_people=128)
    assert found.valid.sum() == count
    ours = {tuple(cell) for cell in found.cells[found.valid].tolist()}
    assert ours == {tuple(cell) for cell in cells.tolist()}
    for (x, y), sampled in zip(found.cells[0, :count].tolist(), found.params[0], strict=False):
        assert torch.equal(sampled, params[0, :, y, x])


def test_top_n_keeps_the_most_confident_first():
    cells = planted_cells(100)
    heat = draw(cells)
    strength = torch.linspace(0.3, 1, 100)
    for (x, y), value in zip(cells.tolist(), strength, strict=True):
        heat[0, 0, y - 2 : y + 3, x - 2 : x + 3] *= value
    found = decode(heat, torch.zeros(1, 145, 128, 128), max_people=64)
    assert found.valid.all()
    torch.testing.assert_close(found.confidence[0], strength.flip(0)[:64])


def test_images_of_a_batch_do_not_mix():
    heat = torch.cat(
        [draw(planted_cells(5, seed=1)), draw(planted_cells(0)), draw(planted_cells(9))]
    )
    found = decode(heat, torch.zeros(3, 145, 128, 128))
    assert found.valid.sum(1).tolist() == [5, 0, 9]
    assert found.params.shape == (3, 64, 145)


@pytest.mark.parametrize(
    "cells", [[(5, 5), (6, 5)], [(5, 5), (5, 6), (6, 5), (6, 6)], [(5, 7), (7, 5)]], ids=str
)
def test_ties_do_not_double(cells):
    heat = torch.zeros(1, 1, 16, 16)
    for x, y in cells:
        heat[0, 0, y, x] = 0.9
    assert decode(heat, torch.zeros(1, 145, 16, 16)).valid.sum() == 1


def test_constant_and_nan_maps():
    params = torch.zeros(1, 145, 16, 16)
    assert decode(torch.full((1, 1, 16, 16), 0.9), params).valid.sum() == 1
    assert decode(torch.full((1, 1, 16, 16), torch.nan), params).valid.sum() == 0


def test_threshold_may_be_a_tensor():
    heat = draw(planted_cells(3)) * 0.5
    params = torch.zeros(1, 145, 128, 128)
    assert decode(heat, params, torch.tensor(0.6)).valid.sum() == 0
    assert decode(heat, params, torch.tensor(0.4)).valid.sum() == 3


def test_half_precision_finds_the_same():
    heat = draw(planted_cells(40))
    found = decode(heat.half(), torch.zeros(1, 145, 128, 128).half())
    assert found.valid.sum() == 40


def test_small_maps_return_fewer_entries():
    assert decode(torch.zeros(1, 1, 4, 4), torch.zeros(1, 145, 4, 4)).valid.shape == (1, 16)


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 8, 8), (2, 1, 8, 8), (1, 1, 8, 9)], ids=str)
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match="expected"):
        decode(torch.zeros(shape), torch.zeros(1, 145, 8, 8))


def test_max_people_below_one_is_named():
    with pytest.raises(ValueError, match="max_people is 0"):
        decode(torch.zeros(1, 1, 8, 8), torch.zeros(1, 145, 8, 8), max_people=0)


def test_peaks_are_one_and_kernels_reach_their_radius():
    heat = encode(torch.tensor([[7.3, 9.6]]), torch.tensor([3.0]), torch.tensor([True]), (20, 24))
    assert heat.shape == (20, 24)
    assert heat[10, 7] == 1
    assert heat[10, 10] > 0
    assert heat[10, 11] == 0


def test_kernel_size_is_equation_1():
    torch.testing.assert_close(
        kernel_radii(torch.tensor([0.0, 512.0, 512 * 2**0.5]), 512),
        torch.tensor([2.0, 4.5, 7.0]),
    )


def test_centers_outside_are_drawn_at_the_border():
    heat = encode(torch.tensor([[-3.0, 50]]), torch.tensor([2.0]), torch.tensor([True]), (10, 10))
    assert heat[9, 0] == 1


def test_car_pushes_by_equation_2():
    centers = torch.tensor([[10.0, 10], [13.0, 10]])
    radii = torch.tensor([2.0, 3.0])
    moved = repel_centers(centers, radii, torch.tensor([True, True]), gamma=0.2)
    # d = 3 and k1 + k2 + 1 = 6: each moves 0.2 * (6 - 3) / 3 * 3 along x.
    torch.testing.assert_close(moved, torch.tensor([[9.4, 10], [13.6, 10]]))


def test_car_leaves_distant_and_invalid_people():
    centers = torch.tensor([[10.0, 10], [16.0, 10], [10.5, 10]])
    moved = repel_centers(centers, torch.full((3,), 2.0), torch.tensor([True, True, False]))
    torch.testing.assert_close(moved, centers)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_car_separates_coincident_centers(count):
    """Wart: the published repulsion divides by the zero distance."""
    centers = torch.full((count, 2), 20.0)
    moved = repel_centers(centers, torch.full((count,), 2.0), torch.ones(count, dtype=torch.bool))
    assert moved.isfinite().all()
    distances = torch.cdist(moved, moved) + torch.eye(count) * 99
    assert distances.min() > 1


def test_car_pushes_add_up():
    centers = torch.tensor([[8.0, 10], [10.0, 10], [12.0, 10]])
    moved = repel_centers(centers, torch.full((3,), 2.0), torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(moved[1], centers[1])
    torch.testing.assert_close(moved[0], torch.tensor([8 - 0.2 * (3 + 1), 10.0]))


def test_body_center_prefers_the_visible_torso():
    points = torch.tensor([[[0.0, 0], [2, 2], [50, 50], [torch.nan, 0]]])
    torso = torch.tensor([True, True, False, True])
    visible = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(body_centers(points, visible, torso), torch.tensor([[1.0, 1]]))
    only_limb = torch.tensor([[False, False, True, False]])
    torch.testing.assert_close(body_centers(points, only_limb, torso), torch.tensor([[50.0, 50]]))
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    torch.testing.assert_close(body_centers(points, nothing, torso), torch.zeros(1, 2))


def test_nobody_draws_an_empty_map():
    empty = encode(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0, dtype=torch.bool), (8, 8))
    assert empty.shape == (8, 8)
    assert empty.sum() == 0
