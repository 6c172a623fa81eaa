"""What all training tasks do alike: weigh losses, log them, stop when they break."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from torch import Tensor

from romp_core.errors import TrainingError
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
        """
        parts = self.losses(batch)
        weighted = {name: self.loss_weights[name] * value for name, value in parts.items()}
        total = torch.stack(list(weighted.values())).sum()
        if _anywhere(~torch.isfinite(total)):
            self._stop(batch, weighted, bool(torch.isfinite(total)))
        for name, value in parts.items():
            self.log(f"loss/{name}", value, batch_size=len(batch))
        self.log("loss", total, prog_bar=True, batch_size=len(batch))
        # Pretrained layers have rates of their own, in fixed proportion to this one.
        self.log("learning_rate", self.optimizers().param_groups[0]["lr"])
        return total

    def _stop(self, batch: Any, weighted: dict[str, Tensor], elsewhere: bool) -> None:
        path = self.config.output / "stopped.ckpt"
        self.trainer.save_checkpoint(path)  # waits for all processes
        broken = [name for name, value in weighted.items() if not torch.isfinite(value)]
        found = _everywhere((broken, [] if elsewhere else batch.sources))
        names = sorted({name for broken, _ in found for name in broken})
        sources = [source for _, sources in found for source in sources]
        raise TrainingError(
            f"the loss is no longer finite ({', '.join(names)}) at step {self.global_step}, "
            f"samples {', '.join(sources)}; the state before it is in {path}. Look at these "
            "samples, or lower schedule.learning_rate"
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
