"""Fixtures of the ROS-free layer."""

import numpy as np
import pytest
from random_network import make_network

from romp_core.body import BodyData, BodyModel
from romp_core.body.joints import LANDMARKS, SMPL_PARENTS
from romp_core.network import NetworkConfig, RompNetwork


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


@pytest.fixture(scope="session")
def open_body() -> BodyModel:
    """The layer of the body that comes with the package."""
    return BodyModel.load("open")


@pytest.fixture(scope="session")
def light_network() -> RompNetwork:
    """The light network at input size 256."""
    return make_network(NetworkConfig("resnet18", input_size=256))
