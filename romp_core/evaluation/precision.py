"""What half precision changes."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from romp_core.evaluation.summary import COLUMNS
from romp_core.model import Romp
from romp_core.network import NetworkConfig
from romp_core.network.romp import Maps

Row = Mapping[str, float | int | None]


class _HalfPrecisionNetwork(nn.Module):
    """A network under autocast; its maps are answered in float32."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    @property
    def config(self) -> NetworkConfig:
        return self.network.config

    def forward(self, images: Tensor) -> Maps:
        half = torch.bfloat16 if images.device.type == "cpu" else torch.float16
        with torch.autocast(images.device.type, half):
            maps = self.network(images)
        return Maps(*(each.float() for each in maps))


def in_half_precision(romp: Romp) -> Romp:
    """The same predictor with its network in bfloat16 on a CPU, float16 on a GPU."""
    half = copy.copy(romp)
    half.network = _HalfPrecisionNetwork(romp.network)
    return half


def difference(row: Row, reference: Row) -> dict[str, float | int | None]:
    """How much each measure of a row is above the reference's; None where one is not known."""
    return {
        metric: None
        if row[metric] is None or reference[metric] is None
        else row[metric] - reference[metric]
        for metric in COLUMNS
    }
