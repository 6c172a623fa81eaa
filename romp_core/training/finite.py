"""What all training tasks do alike: weigh losses, log them, stop when they break."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from romp_core.errors import ConfigError, TrainingError
from romp_core.training.config import TrainingConfig
from romp_core.training.schedule import freeze


class FiniteLossModule(LightningModule):
    """A Lightning module whose loss is a weighted sum, and which never trains on NaN.

    Batches have a length and `sources`, the names of what is in them; subclasses have `network`.

    Args:
        config: the run.
        weights: weight of each loss by name.
    """

    def __init__(self, config: TrainingConfig, weights: Mapping[str, float]):
        super().__init__()
        self.config = config
        self.loss_weights = dict(weights)

    def train(self, mode: bool = True) -> "FiniteLossModule":
        """As any module; but frozen batch norms stay as they are, their statistics included."""
        super().train(mode)
        for name, module in self.network.named_modules():
            if self.config.schedule.freezes(name):
                module.eval()
        return self

    def setup(self, stage: str) -> None:
        """Freeze what does not learn, before Lightning wraps the module for several processes."""
        freeze(self.network, self.config.schedule)

    def on_fit_start(self) -> None:
        """Lightning leaves modules in the mode that they are in."""
        self.train()

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Unweighted losses by name, scalars."""
        raise NotImplementedError

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The weighted sum of the losses of one batch.

        Raises:
            TrainingError: it is NaN or infinite, here or in another process; the state before it
                is saved.
            ConfigError: it depends on nothing that learns.
        """
        parts = self.losses(batch)
        weighted = {name: self.loss_weights[name] * value for name, value in parts.items()}
        total = torch.stack(list(weighted.values())).sum()
        if not total.requires_grad:
            raise ConfigError(
                f"the losses ({', '.join(parts)}) depend on nothing that learns: take something "
                "from schedule.frozen, or weigh a loss of what is left"
            )
        finite = torch.isfinite(total)
        if _anywhere(~finite):
            broken = [name for name, value in weighted.items() if not torch.isfinite(value)]
            self._stop("loss", broken, [] if finite else batch.sources)
        self._sources = batch.sources
        for name, value in parts.items():
            self.log(f"loss/{name}", value, batch_size=len(batch))
        self.log("loss", total, prog_bar=True, batch_size=len(batch))
        # Pretrained layers have rates of their own, in fixed proportion to this one.
        self.log("learning_rate", self.optimizers().param_groups[0]["lr"])
        return total

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limit the gradient's norm, which is the same in all processes, before a step.

        Raises:
            TrainingError: it is NaN or infinite; the state before the step is saved.
        """
        learning = [each for group in optimizer.param_groups for each in group["params"]]
        norm = clip_grad_norm_(learning, gradient_clip_val or math.inf)
        # Half precision's scaler leaves out such steps by itself; they are part of its search.
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if not scaled and not torch.isfinite(norm):
            self._stop("gradient", [], self._sources)

    def _stop(self, what: str, broken: list[str], sources: list[str]) -> NoReturn:
        path = self.config.output / "stopped.ckpt"
        self.trainer.save_checkpoint(path)  # waits for all processes
        found = _everywhere((broken, sources))
        names = sorted({name for broken, _ in found for name in broken})
        sources = [source for _, sources in found for source in sources]
        which = f" ({', '.join(names)})" if names else ""
        raise TrainingError(
            f"the {what} is no longer finite{which} at step {self.global_step}, samples "
            f"{', '.join(sources)}; the state before it is in {path}. Look at these samples, or "
            "lower schedule.learning_rate"
        )


def _anywhere(flag: Tensor) -> bool:
    """Whether a flag, a bool scalar, is set in any process.

    A process that stopped alone would leave the others waiting for its gradients.
    """
    if dist.is_available() and dist.is_initialized():
        flag = flag.int()
        dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def _everywhere(found: Any) -> list[Any]:
    """What every process found, so that each can say it: the first that ends ends them all."""
    if not (dist.is_available() and dist.is_initialized()):
        return [found]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, found)
    return gathered
