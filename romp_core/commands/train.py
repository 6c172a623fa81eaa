"""`romp-core train`: training and fine-tuning."""

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
        TrainingError: The loss is no longer finite.
    """
    from romp_core.training.config import read_config

    if find_spec("lightning") is None:
        raise missing_extra("networks are trained with lightning", "training")
    from romp_core.training.run import train as run

    print(f"weights: {run(read_config(configuration, set), resume=resume)}")
