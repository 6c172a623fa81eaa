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
PEAKS = {(1, 1): 0.9, (6, 1): 0.8, (1, 6): 0.4}
CERTAINTY = {9: 0.1, 8 + 6: 0.72, 6 * 8 + 1: 0.9}  # by flat cells, row by row


def center_map() -> torch.Tensor:
    heat = torch.zeros(2, 1, 8, 8)
    for (x, y), value in PEAKS.items():
        heat[:, 0, y, x] = value
    heat[1] *= 0.1  # nobody
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

    def found(threshold: float):
        dense = DenseMaps(center_map(), torch.zeros(2, 3, 16, 16))
        request = Request(kind(threshold), 5, with_vertices=False)
        frames = frame_rows([(64, 64)] * 2)
        with torch.inference_mode():
            return lifting_path(dense, frames, request, fixed_size=fixed_size)

    counts, people = found(0.2)
    assert counts.tolist() == [3, 0]
    expected = [(0.8 * 0.72) ** 0.5, (0.4 * 0.9) ** 0.5, (0.9 * 0.1) ** 0.5]
    torch.testing.assert_close(people.confidence[:3], torch.tensor(expected))
    # Everything else of them is in the same order.
    assert people.betas[:3, 0].tolist() == [14, 49, 9]
    expected = torch.tensor([[6.0, 1], [1, 6], [1, 1]]) * 8 + 3.5
    torch.testing.assert_close(people.center[:3], expected)
    # Of the center of 0.4 the keypoints are sure; but a center must exceed the threshold, too.
    counts, people = found(0.5)
    assert counts.tolist() == [1, 0]
    assert people.betas[0, 0] == 14


def test_confidence_of_other_networks_is_the_center_maps():
    network = make_network(NetworkConfig("resnet18", SIZE))
    path = DevicePath(network, MeshDecoder(BodyModel.load("open")))
    dense = DenseMaps(center_map(), torch.zeros(2, 145, 8, 8))
    with torch.inference_mode():
        counts, people = path(
            dense, frame_rows([(64, 64)] * 2), Request(0.2, 5, False), fixed_size=False
        )
    assert counts.tolist() == [3, 0]
    assert people.confidence.tolist() == pytest.approx([0.9, 0.8, 0.4])
