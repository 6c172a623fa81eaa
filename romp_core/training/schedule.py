"""Optimizers and learning rates."""

import math

import torch
from torch import nn

from romp_core.network import RompNetwork
from romp_core.training.config import ScheduleConfig

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_SMALLEST_SIZE = 1e-5  # layers of zeros learn too
# Layers of a backbone that never are pretrained.
_FRESH = ("wide_", "correction", "lateral_layers")


def freeze(network: RompNetwork, schedule: ScheduleConfig) -> None:
    """Switch off the gradients of what the schedule says stays as it is.

    Several processes agree on what learns when Lightning wraps the module, which is before it
    asks for optimizers: to freeze there would be too late.
    """
    for name, parameter in network.named_parameters():
        if schedule.freezes(name) or (schedule.backbone_rate == 0 and _may_be_pretrained(name)):
            parameter.requires_grad_(False)


def make_optimizer(
    network: RompNetwork, schedule: ScheduleConfig, extra: nn.Module | None = None
) -> dict:
    """Optimizer and learning rate schedule in Lightning's form.

    Args:
        network: what learns.
        schedule: how.
        extra: layers that learn beside it.
    """
    freeze(network, schedule)
    pretrained, fresh = _split(network)
    fresh += list(extra.parameters()) if extra is not None else []
    groups = [{"params": fresh, "lr": schedule.learning_rate}]
    if schedule.backbone_rate > 0:
        rate = schedule.learning_rate * schedule.backbone_rate
        if schedule.backbone_rates == "relative":
            groups += [{"params": [each], "lr": rate * _typical_size(each)} for each in pretrained]
        else:
            groups.append({"params": pretrained, "lr": rate})
    optimizer = OPTIMIZERS[schedule.optimizer](groups, weight_decay=schedule.weight_decay)
    total = schedule.epochs * schedule.steps_per_epoch

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, schedule.warmup_steps))
        if schedule.decay == "constant":
            return rise
        return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))

    return {
        "optimizer": optimizer,
        "lr_scheduler": {
            "scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
            "interval": "step",
        },
    }


@torch.no_grad()
def _typical_size(parameter: nn.Parameter) -> float:
    """Median over the filters of a layer of the root mean square of their weights."""
    rows = parameter.flatten(1) if parameter.dim() > 1 else parameter[:, None]
    return max(rows.square().mean(1).sqrt().median().item(), _SMALLEST_SIZE)


def _split(network: RompNetwork) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters that learn: those that may be pretrained, and the others."""
    pretrained, fresh = [], []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (pretrained if _may_be_pretrained(name) else fresh).append(parameter)
    return pretrained, fresh


def _may_be_pretrained(name: str) -> bool:
    layer = name.removeprefix("backbone.")
    return layer != name and not layer.startswith(_FRESH)
