"""Fixtures of the ROS-free layer."""

import numpy as np
import pytest
import torch

from romp_core.body import BodyData, BodyModel
from romp_core.body.joints import LANDMARKS, SMPL_PARENTS
from romp_core.network import NetworkConfig, RompNetwork, build_network


@pytest.fixture(scope="session")
def small_body_data() -> BodyData:
    """A made-up body of 200 vertices around a stick figure, with all 71 joints."""
    rng = np.random.default_rng(0)
    vertices = 200
    weights = rng.dirichlet(np.full(24, 0.1), vertices)
    regressor = rng.dirichlet(np.full(vertices, 0.1), 24 + len(LANDMARKS))
    return BodyData(
        name="made-up",
        v_template=rng.normal(0, (0.3, 0.6, 0.15), (vertices, 3)).astype(np.float32),
        shapedirs=rng.normal(0, 0.01, (vertices, 3, 10)).astype(np.float32),
        posedirs=np.zeros((207, 3 * vertices), np.float32),
        J_regressor=regressor[:24].astype(np.float32),
        weights=weights.astype(np.float32),
        parents=np.array(SMPL_PARENTS),
        faces=rng.integers(0, vertices, (300, 3)).astype(np.int32),
        landmark_names=LANDMARKS,
        landmark_regressor=regressor[24:].astype(np.float32),
    )


@pytest.fixture(scope="session")
def small_body(small_body_data) -> BodyModel:
    """The layer of the made-up body."""
    return BodyModel(small_body_data)


def make_network(config: NetworkConfig, seed: int = 0) -> RompNetwork:
    """Random weights that see several people of various poses in any picture."""
    torch.manual_seed(seed)
    network = build_network(config)
    center, params = network.final_layers["2"][-1], network.final_layers["1"][-1]
    with torch.no_grad():
        center.weight.normal_(0, 0.3)
        center.bias.fill_(0.1)
        params.weight.normal_(0, 0.03)
        for module in network.modules():  # statistics as after training, so that maps vary
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.05)
    return network


@pytest.fixture(scope="session")
def light_network() -> RompNetwork:
    """The light network at input size 256."""
    return make_network(NetworkConfig("resnet18", input_size=256))
