"""The network: parity with the published one, every variant, gradients, bad input."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from romp_core.errors import ConfigError
from romp_core.network import NetworkConfig, build_network
from romp_core.network.heads import append_coordinates
from romp_core.network.romp import BACKBONES
from romp_core.training.losses import center_focal_loss


@pytest.fixture(scope="module")
def reference(shared):
    """The generator of the stand-in weights."""
    path = shared / "parity" / "reference_weights.py"
    spec = importlib.util.spec_from_file_location("reference_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("backbone", ["hrnet32", "resnet50"])
def test_keys_and_shapes_are_the_published_ones(backbone, shared):
    published = json.loads((shared / "parity" / f"{backbone}.keys.json").read_text())
    ours = build_network(NetworkConfig(backbone)).state_dict()
    assert {key: list(value.shape) for key, value in ours.items()} == published


@pytest.mark.parametrize("backbone", ["hrnet32", "resnet50"])
def test_parity_with_the_published_network(backbone, reference, shared):
    """Must show: max abs error / max abs value < 1e-4, float32, CPU."""
    network = build_network(NetworkConfig(backbone))
    weights = reference.make_weights(f"{backbone}.keys.json")
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    image = torch.from_numpy(reference.make_image()).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        maps = network(image)
    expected = np.load(shared / "parity" / f"{backbone}.outputs.npz")
    for found, name in ((maps.center_map, "center_map"), (maps.params_map, "params_maps")):
        error = np.abs(found[0].numpy() - expected[name]).max() / np.abs(expected[name]).max()
        assert error < 1e-4, f"{name}: {error}"


@pytest.mark.parametrize(
    "config",
    [
        *(NetworkConfig(name) for name in BACKBONES),
        NetworkConfig("resnet18", shared_head=True, center_sigmoid=True),
        NetworkConfig("resnet18", head_blocks=1, map_stride=4),
        NetworkConfig("resnet18", head_blocks=3, map_stride=16),
    ],
    ids=str,
)
def test_every_variant_runs_and_trains(config):
    network = build_network(config).train()
    maps = network(torch.rand(2, 3, 64, 128) * 255)
    height, width = 64 // config.map_stride, 128 // config.map_stride
    assert maps.center_map.shape == (2, 1, height, width)
    assert maps.params_map.shape == (2, 145, height, width)
    (maps.center_map.square().mean() + maps.params_map.square().mean()).backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert not without


def test_centers_that_are_sure_still_learn_in_mixed_precision():
    """Wart: in bfloat16 all logits above 6.2 were 1, and those who are nobody stayed somebody."""
    network = build_network(NetworkConfig("resnet18", center_sigmoid=True)).train()
    bias = network.final_layers["2"][-1].bias
    torch.nn.init.constant_(bias, 10)
    with torch.autocast("cpu", torch.bfloat16):
        center = network.center_map(torch.zeros(1, network.backbone.out_channels + 2, 16, 16))
    focal, _ = center_focal_loss(center[:, 0].float(), torch.zeros(1, 8, 8))
    focal.sum().backward()
    assert bias.grad > 0


def test_initial_pose_is_upright():
    params = build_network(NetworkConfig("resnet18"))(torch.zeros(1, 3, 64, 64)).params_map
    from romp_core.geometry.rotations import rotation_6d_to_matrix

    rotations = rotation_6d_to_matrix(params[0, 3:135, 0, 0].view(22, 6))
    assert torch.allclose(
        rotations[0] @ torch.tensor([0.0, 1, 0]), torch.tensor([0.0, -1, 0]), atol=0.1
    )
    assert torch.allclose(rotations[1:], torch.eye(3).expand(21, 3, 3), atol=0.1)


def test_coordinates_are_x_then_y_and_reach_the_borders():
    extended = append_coordinates(torch.zeros(1, 5, 4, 8))
    assert extended.shape == (1, 7, 4, 8)
    assert extended[0, 5, 0].tolist()[::7] == [-1, 1]
    assert extended[0, 6, :, 0].tolist()[::3] == [-1, 1]
    assert (extended[0, 5, 0] == extended[0, 5, 3]).all()


def test_empty_batches_give_empty_maps():
    network = build_network(NetworkConfig("mobilenet", lifting=True, levels=2))
    assert network(torch.zeros(0, 3, 64, 64)).params_map.shape == (0, 145, 8, 8)


def test_levels_are_what_the_backbone_sees_of_the_picture_and_of_half_of_it():
    network = build_network(NetworkConfig("mobilenet", lifting=True, levels=2))
    torch.manual_seed(0)
    half = 255 * torch.rand(2, 3, 64, 64)
    images = half.repeat_interleave(2, 2).repeat_interleave(2, 3)
    with torch.inference_mode():
        whole, smaller = network.levels(network.features(images))
        for level, pictures in ((whole, images), (smaller, half)):
            pixels = (pictures - network.pixel_mean) / network.pixel_std
            torch.testing.assert_close(level, network.backbone(pixels), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 3, 100, 100), (3, 64, 64), (1, 4, 64, 64), (1, 3, 0, 0)])
def test_wrong_image_shapes_are_named(shape):
    with pytest.raises(ValueError, match="multiple of 64"):
        build_network(NetworkConfig("resnet18"))(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"backbone": "vgg"},
        {"input_size": 500},
        {"map_stride": 5},
        {"head_blocks": 0},
        {"levels": 3, "backbone": "mobilenet", "lifting": True},
        {"levels": 2},
        {"map_stride": 4, "levels": 2, "backbone": "mobilenet", "lifting": True},
    ],
    ids=str,
)
def test_wrong_configurations_are_named(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is"):
        NetworkConfig(**wrong)
