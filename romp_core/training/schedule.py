"""Optimizers and learning rates."""

import math

import torch
from torch import nn

from romp_core.errors import ConfigError
from romp_core.network import RompNetwork
from romp_core.training.config import ScheduleConfig

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_SMALLEST_SIZE = 1e-5  # layers of zeros learn too
# Layers of a backbone that never are pretrained.
_FRESH = ("wide_", "correction", "lateral_layers")


def make_optimizer(
    network: RompNetwork, schedule: ScheduleConfig, extra: nn.Module | None = None
) -> dict:
    """Optimizer and learning rate schedule in Lightning's form.

    Args:
        network: what learns.
        schedule: how.
        extra: layers that learn beside it.

    Raises:
        ConfigError: an unknown optimizer or decay.
    """
    if schedule.optimizer not in OPTIMIZERS:
        raise ConfigError(
            f"optimizer is {schedule.optimizer!r}; expected one of {', '.join(OPTIMIZERS)}"
        )
    if schedule.decay not in ("cosine", "constant"):
        raise ConfigError(f"decay is {schedule.decay!r}; expected cosine or constant")
    for name, parameter in network.named_parameters():
        if schedule.freezes(name):
            parameter.requires_grad_(False)
    pretrained, fresh = _split(network)
    fresh += list(extra.parameters()) if extra is not None else []
    groups = [{"params": fresh, "lr": schedule.learning_rate}]
    if schedule.backbone_rate == 0:
        for parameter in pretrained:
            parameter.requires_grad_(False)
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
            layer = name.removeprefix("backbone.")
            is_pretrained = layer != name and not layer.startswith(_FRESH)
            (pretrained if is_pretrained else fresh).append(parameter)
    return pretrained, fresh
