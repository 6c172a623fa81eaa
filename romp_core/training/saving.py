"""Checkpoints that are whole at any moment: the last one is all that a run can go on from."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from romp_core.errors import TrainingError


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints beside the ones before them, and then moves them there.

    Lightning itself writes to the folder of temporary files: where that is another file system,
    moving is copying, and the checkpoint before is lost as soon as that begins.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: what Lightning wants to keep.
            path: the file.
            storage_options: of Lightning's interface; not used.

        Raises:
            TrainingError: it cannot be written; what was there before still is.
        """
        path = Path(path)
        partial = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(checkpoint, partial)
            partial.replace(path)
        except (OSError, RuntimeError) as error:  # the latter from PyTorch, for a full disk
            reason = str(error).partition("\n")[0]
            if partial.is_file():
                partial.unlink()
            raise TrainingError(
                f"checkpoint {path} cannot be written: {reason}. What was there before still is: "
                "make room or allow to write there, then resume"
            ) from error
