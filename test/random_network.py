"""Networks without training that nevertheless see people, for the tests of both layers."""

import torch

from romp_core.network import NetworkConfig, RompNetwork, build_network


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
