"""Lifting: from 2D keypoints to parameters, with place and size taken out."""

import math

import pytest
import torch

from romp_core.errors import ConfigError
from romp_core.geometry.rotations import axis_angle_to_matrix, matrix_to_rotation_6d
from romp_core.network import NetworkConfig, RompNetwork, build_network
from romp_core.network.evidence import (
    OFFSET_UNIT,
    Evidence,
    cell_keypoints,
    near_share,
    read_evidence,
    refine_keypoints,
)
from romp_core.network.lifting import KeypointLifting
from romp_core.network.skeleton import Skeleton


@pytest.fixture
def lifting(open_body) -> KeypointLifting:
    torch.manual_seed(0)
    layers = KeypointLifting(width=32)
    layers.skeleton.measure(open_body)
    for layer in (layers.output, layers.correction):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return layers


def of(keypoints: torch.Tensor, confidence: torch.Tensor) -> Evidence:
    """Of people about whose depth and size nothing is known."""
    return Evidence(keypoints, confidence, 0 * confidence, 0 * confidence[..., 0])


def test_size_in_the_picture_goes_into_the_camera_alone(lifting):
    keypoints, seen = torch.randn(5, 17, 2) * 0.1, torch.rand(5, 17)
    middle = keypoints.mean(1, keepdim=True)
    near = middle + 2 * (keypoints - middle)
    small, large = lifting(of(keypoints, seen)), lifting(of(near, seen))
    torch.testing.assert_close(large[:, 3:], small[:, 3:], atol=1e-5, rtol=1e-4)
    ratio = math.log(2) / math.log(1.1)
    torch.testing.assert_close(large[:, 0], small[:, 0] + ratio, atol=1e-3, rtol=0)
    middle = middle[:, 0]
    torch.testing.assert_close(large[:, 1:3] - middle, 2 * (small[:, 1:3] - middle))


def test_coinciding_keypoints_stay_finite(lifting):
    keypoints = torch.zeros(2, 17, 2, requires_grad=True)
    lifting(of(keypoints, torch.ones(2, 17))).sum().backward()
    assert keypoints.grad.isfinite().all()


def test_offsets_point_from_cells_to_keypoints():
    offsets = torch.zeros(1, 34, 4, 8)
    offsets[0, 2] = -1.0 / OFFSET_UNIT  # second keypoint: y, in cells
    offsets[0, 3] = 2.0 / OFFSET_UNIT  # x
    positions = cell_keypoints(offsets, 1, torch.tensor([[8 + 3, 0]]))
    assert positions.shape == (1, 2, 17, 2)
    own = torch.tensor([(3 + 0.5) / 4 - 1, (1 + 0.5) / 2 - 1])
    torch.testing.assert_close(positions[0, 0, 0], own)
    moved = own + torch.tensor([2 * 2 / 8, -1 * 2 / 4])
    torch.testing.assert_close(positions[0, 0, 1], moved)


def test_keypoints_move_uphill_and_stay_where_nothing_is_seen():
    heatmaps = torch.zeros(1, 17, 32, 48)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    heatmaps[0, 3] = torch.exp(-((rows - 10) ** 2 + (columns - 20) ** 2) / 8)
    peak = torch.tensor([2 * 20.5 / 48 - 1, 2 * 10.5 / 32 - 1])
    near = peak + torch.tensor([4 / 48, -4 / 32])  # two cells off
    positions = near.expand(1, 6, 17, 2)
    moved, confidence = refine_keypoints(positions, [heatmaps])
    assert (moved[0, 5, 3] - peak).norm() < 0.3 * (near - peak).norm()
    torch.testing.assert_close(moved[0, 5, 5], near)
    assert confidence[0, 0, 3] > 0.8
    assert confidence[0, 0, 5] == 0


def bump(rows: int, columns: int, y: float, x: float, width: float) -> torch.Tensor:
    down, right = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.exp(-((down + 0.5 - y) ** 2 + (right + 0.5 - x) ** 2) / (2 * width**2))


@pytest.mark.parametrize(("size", "level"), [(0.1, 0), (0.9, 1)])
def test_near_people_are_believed_to_the_picture_at_half_its_size(size, level):
    """Both levels see people of one place, but other keypoints; each is right about its own."""
    channels = {"keypoint_offsets": slice(0, 34), "keypoint_heatmaps": slice(34, 51)}
    levels = [torch.zeros(1, 51, side, side) for side in (64, 32)]
    torch.manual_seed(0)
    truth = [size * torch.randn(17, 2).clamp(-1, 1) for _ in levels]
    for features, keypoints in zip(levels, truth, strict=True):
        side = features.shape[-1]
        features[0, :34] = (keypoints.flip(-1) * (side / 2) / OFFSET_UNIT).reshape(34, 1, 1)
    middle = torch.tensor([[16 * 32 + 16]])  # of the maps, whose stride is that of the second level
    evidence = read_evidence(levels, channels, 2, middle)
    expected = truth[level] + 1 / 32
    torch.testing.assert_close(evidence.keypoints[0, 0], expected, atol=1e-4, rtol=0)
    place = (expected[3] + 1) * levels[level].shape[-1] / 2
    levels[level][0, 37] = bump(*levels[level].shape[-2:], place[1], place[0], 1.0)
    assert read_evidence(levels, channels, 2, middle).confidence[0, 0, 3] > 0.7
    levels[level][0, 37] = 0
    levels[1 - level][0, 37] = 1
    assert read_evidence(levels, channels, 2, middle).confidence[0, 0, 3] == 0


def test_how_near_people_are_is_a_matter_of_pixels():
    """Somebody of as many pixels, in a smaller or larger input: the layers see the same."""
    extent = torch.tensor([0.1, 0.2, 0.28, 0.4, 0.7])
    shares = near_share(extent, 112)
    torch.testing.assert_close(shares[[0, 1, 3, 4]], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert 0.4 < shares[2] < 0.6
    for side in (64, 96, 160):
        torch.testing.assert_close(near_share(extent * 112 / side, side), shares)


def test_corrections_start_from_the_guess_before(lifting):
    keypoints, seen = torch.randn(2, 5, 17, 2), torch.rand(2, 5, 17)
    guesses = lifting.rounds(of(keypoints, seen))
    assert all(guess.shape == (2, 5, 145) for guess in guesses)
    torch.testing.assert_close(guesses[-1], lifting(of(keypoints, seen)), atol=0, rtol=0)
    assert (guesses[1] - guesses[0]).abs().max() > 0.1
    torch.nn.init.zeros_(lifting.correction.weight)
    unchanged = lifting.rounds(of(keypoints, seen))
    for guess in unchanged:
        torch.testing.assert_close(guess, guesses[0])


def test_corrections_are_told_where_the_guess_misses_the_keypoints(lifting, open_body):
    """In units of the person's extent, all of it and as far as keypoints are believed."""
    told = []
    lifting.feedback.register_forward_pre_hook(lambda _, inputs: told.append(inputs[0]))
    torch.manual_seed(1)
    keypoints, seen = torch.randn(3, 17, 2), torch.full((3, 17), 0.5)
    centred = keypoints - keypoints.mean(1, keepdim=True)
    extent = centred.square().sum(-1).mean(-1).sqrt()
    first = lifting.rounds(of(keypoints, seen))[0]
    expected = keypoints - (
        1.1 ** first[:, :1, None] * lifting.skeleton(first[:, 3:135], first[:, 135:])[..., :2]
        + first[:, None, 1:3]
    )
    expected = (expected / extent[:, None, None]).clamp(-3, 3).flatten(1)
    torch.testing.assert_close(told[0][:, :34], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(told[0][:, 34:68], 0.5 * expected, atol=1e-4, rtol=1e-4)


def test_the_skeleton_is_the_bodys(open_body):
    """The open body's hips move against the pelvis by a few millimetres, nothing else does."""
    skeleton = Skeleton()
    skeleton.measure(open_body)
    torch.manual_seed(0)
    pose, betas = 0.35 * torch.randn(20, 72), torch.randn(20, 10)
    pose[:, 66:] = 0  # hands
    rotations = axis_angle_to_matrix(pose.view(-1, 24, 3))
    joints = open_body(rotations, betas, with_vertices=False).joints
    expected = joints[:, open_body.joint_indices("coco17")]
    expected = expected - expected[:, 11:13].mean(1, keepdim=True)
    found = skeleton(matrix_to_rotation_6d(rotations[:, :22]).flatten(1), betas)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


@pytest.fixture
def network() -> RompNetwork:
    torch.manual_seed(0)
    network = build_network(NetworkConfig("mobilenet", lifting=True))
    torch.nn.init.normal_(network.lifting.output.weight, std=0.1)
    torch.nn.init.normal_(network.lifting.correction.weight, std=0.1)
    return network


def test_an_untrained_network_sees_the_resting_pose():
    network = build_network(NetworkConfig("mobilenet", lifting=True))
    with torch.inference_mode():
        rotations = network(torch.rand(1, 3, 64, 128) * 255).params_map[0, 3:135]
    expected = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(22)
    expected[3] = -1
    torch.testing.assert_close(rotations, expected[:, None, None].expand_as(rotations))


def test_parameters_at_cells_are_those_of_the_map(network):
    with torch.inference_mode():
        features = network.features(torch.rand(2, 3, 64, 128) * 255)
        whole = network.maps(features).params_map
        cells = torch.tensor([[0, 17, 100], [127, 5, 5]])
        some = network.lift(features, cells).params
    expected = whole.flatten(2).gather(2, cells[:, None].expand(-1, 145, -1)).transpose(1, 2)
    torch.testing.assert_close(some, expected, atol=1e-5, rtol=1e-5)


def test_cells_average_the_offsets_they_cover():
    offsets = torch.zeros(1, 34, 4, 4)
    offsets[0, 3, :2, :2] = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # x of the second keypoint
    positions = cell_keypoints(offsets, 2, torch.arange(4)[None])[0].unflatten(0, (2, 2))
    middle_of_cell = -0.5
    moved = middle_of_cell + 3.0 * OFFSET_UNIT * 2 / 4
    torch.testing.assert_close(positions[0, 0, 1], torch.tensor([moved, middle_of_cell]))


def test_backbones_without_keypoints_cannot_lift():
    with pytest.raises(ConfigError, match="resnet18 finds no 2D keypoints"):
        NetworkConfig("resnet18", lifting=True)


def test_lifting_leaves_no_room_for_a_shared_head():
    with pytest.raises(ConfigError, match="shared_head is true"):
        NetworkConfig("mobilenet", lifting=True, shared_head=True)
