"""Lifting: from 2D keypoints to parameters, with place and size taken out."""

import math

import pytest
import torch

from romp_core.errors import ConfigError
from romp_core.network import NetworkConfig, build_network
from romp_core.network.lifting import (
    KeypointLifting,
    keypoint_positions,
    refine_keypoints,
)


@pytest.fixture
def lifting() -> KeypointLifting:
    torch.manual_seed(0)
    layers = KeypointLifting(145, width=32)
    torch.nn.init.normal_(layers.output.weight, std=0.1)
    return layers


def test_size_goes_into_the_camera_alone(lifting):
    keypoints, seen = torch.randn(5, 17, 2) * 0.1, torch.rand(5, 17)
    middle = keypoints.mean(1, keepdim=True)
    near = middle + 2 * (keypoints - middle)
    small, large = lifting(keypoints, seen), lifting(near, seen)
    torch.testing.assert_close(large[:, 3:], small[:, 3:], atol=1e-5, rtol=1e-4)
    ratio = math.log(2) / math.log(1.1)
    torch.testing.assert_close(large[:, 0], small[:, 0] + ratio, atol=1e-3, rtol=0)
    middle = middle[:, 0]
    torch.testing.assert_close(large[:, 1:3] - middle, 2 * (small[:, 1:3] - middle))


def test_coinciding_keypoints_stay_finite(lifting):
    keypoints = torch.zeros(2, 17, 2, requires_grad=True)
    lifting(keypoints, torch.ones(2, 17)).sum().backward()
    assert keypoints.grad.isfinite().all()


def test_offsets_point_from_cells_to_keypoints():
    offsets = torch.zeros(1, 34, 4, 8)
    offsets[0, 2] = -1.0  # second keypoint: y, in cells
    offsets[0, 3] = 2.0  # x
    positions = keypoint_positions(offsets)
    assert positions.shape == (1, 4, 8, 17, 2)
    own = torch.tensor([(3 + 0.5) / 4 - 1, (1 + 0.5) / 2 - 1])
    torch.testing.assert_close(positions[0, 1, 3, 0], own)
    moved = own + torch.tensor([2 * 2 / 8, -1 * 2 / 4])
    torch.testing.assert_close(positions[0, 1, 3, 1], moved)


def test_keypoints_move_uphill_and_stay_where_nothing_is_seen():
    heatmaps = torch.zeros(1, 17, 32, 48)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    heatmaps[0, 3] = torch.exp(-((rows - 10) ** 2 + (columns - 20) ** 2) / 8)
    peak = torch.tensor([2 * 20.5 / 48 - 1, 2 * 10.5 / 32 - 1])
    near = peak + torch.tensor([4 / 48, -4 / 32])  # two cells off
    positions = near.expand(1, 2, 3, 17, 2)
    moved, confidence = refine_keypoints(positions, heatmaps)
    assert (moved[0, 1, 2, 3] - peak).norm() < 0.3 * (near - peak).norm()
    torch.testing.assert_close(moved[0, 1, 2, 5], near)
    assert confidence[0, 0, 0, 3] > 0.8
    assert confidence[0, 0, 0, 5] == 0


def test_a_network_whose_heads_are_silent_says_what_it_lifts():
    torch.manual_seed(0)
    network = build_network(NetworkConfig("mobilenet", lifting=True))
    network.start_heads_from_zero()
    images = torch.rand(1, 3, 64, 128) * 255
    with torch.inference_mode():
        resting = network(images).params_map[:, 3:]
        torch.nn.init.normal_(network.lifting.output.weight, std=0.1)
        lifted = network(images).params_map[:, 3:]
    expected = network.resting_params()[3:, None, None].expand_as(resting[0])
    torch.testing.assert_close(resting[0], expected)
    assert (lifted - resting).abs().amax((0, 2, 3)).min() > 1e-3


def test_backbones_without_keypoints_cannot_lift():
    with pytest.raises(ConfigError, match="resnet18 finds no 2D keypoints"):
        NetworkConfig("resnet18", lifting=True)
