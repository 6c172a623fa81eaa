"""`romp-core train`: training and fine-tuning."""

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from romp_core.errors import missing_extra


def train(configuration: Path, set: list[str] | None = None, resume: bool = False) -> None:
    """Train a network as a YAML configuration says; several GPUs or machines through torchrun.

    Args:
        configuration: A file such as those in config/training.
        set: Changes to it, KEY=VALUE, for example schedule.epochs=10.
        resume: Go on from the last checkpoint in the output folder.

    Raises:
        ConfigError: An unknown key or an unusable value.
        DataError: Data that is not there.
        CheckpointError: Initial weights of another architecture, or nothing to resume.
        TrainingError: The loss, the gradient or the weights are no longer finite, or a checkpoint
            cannot be written.
        SystemExit: The process was told to end (SIGTERM), with status 143.
    """
    from romp_core.training.config import read_config

    if find_spec("lightning") is None:
        raise missing_extra("networks are trained with lightning", "training")
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    from romp_core.training.run import train as run
    from romp_core.training.starting import CHECKPOINT_NAME

    config = read_config(configuration, set)
    try:
        print(f"weights: {run(config, resume=resume)}")
    except SIGTERMException:  # a SystemExit of status 0
        begun = (config.output / CHECKPOINT_NAME).exists()
        remedy = "go on from its last whole epoch with --resume true" if begun else "start it again"
        print(f"romp-core train: terminated (SIGTERM): {remedy}", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
