"""What all training tasks do alike: weigh losses, log them, stop when they break."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from romp_core.errors import TrainingError
from romp_core.training.config import TrainingConfig


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

    def on_fit_start(self) -> None:
        """Lightning leaves modules in the mode that they are in."""
        self.train()

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Unweighted losses by name, scalars."""
        raise NotImplementedError

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The weighted sum of the losses of one batch.

        Raises:
            TrainingError: it is NaN or infinite; the state before it is saved.
        """
        parts = self.losses(batch)
        total = torch.stack([self.loss_weights[name] * value for name, value in parts.items()])
        total = total.sum()
        if not torch.isfinite(total):
            self._stop(batch, parts)
        for name, value in parts.items():
            self.log(f"loss/{name}", value, batch_size=len(batch))
        self.log("loss", total, prog_bar=True, batch_size=len(batch))
        # Pretrained layers have rates of their own, in fixed proportion to this one.
        self.log("learning_rate", self.optimizers().param_groups[0]["lr"])
        return total

    def _stop(self, batch: Any, parts: dict[str, Tensor]) -> None:
        path = self.config.output / "stopped.ckpt"
        self.trainer.save_checkpoint(path)
        broken = [name for name, value in parts.items() if not torch.isfinite(value)]
        raise TrainingError(
            f"the loss is no longer finite ({', '.join(broken)}) at step {self.global_step}, "
            f"samples {', '.join(batch.sources)}; the state before it is in {path}. Look at these "
            "samples, or lower schedule.learning_rate"
        )
