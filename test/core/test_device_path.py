"""Who is reported, in which order, and how surely."""

import pytest
import torch
from random_network import make_network

from romp_core.body import BodyModel
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import NetworkConfig, RompNetwork
from romp_core.network.romp import Lifted
from romp_core.preprocessing import frame_rows
from romp_core.runtime.dense import DenseMaps
from romp_core.runtime.device_path import DevicePath, Request

SIZE = 64  # maps of 8x8 cells
PEAKS = [{(1, 1): 0.9, (6, 1): 0.8, (1, 6): 0.4}, {(6, 1): 0.45, (1, 6): 0.4}]  # x and y
CERTAINTY = {9: 0.1, 8 + 6: 0.72, 6 * 8 + 1: 0.9}  # by flat cells, row by row


def center_map() -> torch.Tensor:
    heat = torch.zeros(2, 1, 8, 8)
    for picture, peaks in enumerate(PEAKS):
        for (x, y), value in peaks.items():
            heat[picture, 0, y, x] = value
    return heat


@pytest.fixture
def lifting_path(monkeypatch) -> DevicePath:
    network = RompNetwork(NetworkConfig("mobilenet", SIZE, lifting=True)).eval()

    def lift(features, cells, part) -> Lifted:
        certainty = torch.tensor(
            [[CERTAINTY.get(cell, 0.5) for cell in row] for row in cells.tolist()]
        )
        params = torch.zeros(*cells.shape, 145)
        params[..., 135] = cells  # the first of the betas says whose they are
        params[..., 3:135:6] = params[..., 7:135:6] = 1
        return Lifted(params, certainty)

    monkeypatch.setattr(network, "lift", lift)
    return DevicePath(network, MeshDecoder(BodyModel.load("open")))


@pytest.mark.parametrize("fixed_size", [False, True])
@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_confidence_of_lifted_people_is_the_centers_and_the_keypoints(
    lifting_path, fixed_size, kind
):
    """A person at a clear center whose keypoints are hardly seen is less sure than it says."""

    def found(threshold: float, max_people: int = 5):
        dense = DenseMaps(center_map(), torch.zeros(2, 3, 16, 16))
        request = Request(kind(threshold), max_people, with_vertices=False)
        frames = frame_rows([(64, 64)] * 2)
        with torch.inference_mode():
            counts, people = lifting_path(dense, frames, request, fixed_size=fixed_size)
        return counts.tolist(), people.betas[: counts.sum(), 0].tolist(), people

    counts, cells, people = found(0.2)
    assert (counts, cells) == ([3, 2], [14, 49, 9, 49, 14])
    products = [0.8 * 0.72, 0.4 * 0.9, 0.9 * 0.1, 0.4 * 0.9, 0.45 * 0.72]
    torch.testing.assert_close(people.confidence[:5], torch.tensor(products).sqrt())
    # Everything else of them is in the same order.
    places = torch.tensor([[6.0, 1], [1, 6], [1, 1], [1, 6], [6, 1]])
    torch.testing.assert_close(people.center[:5], places * 8 + 3.5)
    # The threshold is the confidence's, not the center map's.
    assert found(0.58)[:2] == ([2, 1], [14, 49, 49])
    # The surest are those whose confidence is highest, wherever the center map is highest.
    assert found(0.2, 1)[:2] == ([1, 1], [14, 49])


def test_confidence_of_other_networks_is_the_center_maps():
    network = make_network(NetworkConfig("resnet18", SIZE))
    path = DevicePath(network, MeshDecoder(BodyModel.load("open")))
    dense = DenseMaps(center_map(), torch.zeros(2, 145, 8, 8))
    with torch.inference_mode():
        counts, people = path(
            dense, frame_rows([(64, 64)] * 2), Request(0.2, 5, False), fixed_size=False
        )
    assert counts.tolist() == [3, 2]
    assert people.confidence.tolist() == pytest.approx([0.9, 0.8, 0.4, 0.45, 0.4])
