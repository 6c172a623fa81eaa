"""Training configurations of the package, and the quickest of them for tests."""

from pathlib import Path

from romp_core.training.config import TrainingConfig, read_config

CONFIGS = Path(__file__).resolve().parents[2] / "config" / "training"
TINY = CONFIGS / "tiny.yaml"


def tiny(tmp_path: Path, *changes: str) -> TrainingConfig:
    """`tiny.yaml`, changed, writing below a folder."""
    return read_config(TINY, [f"output={tmp_path / 'run'}", *changes])
