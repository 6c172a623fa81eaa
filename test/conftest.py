"""Fixtures of both test layers."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test material that is not part of the project; skips where it is absent."""
    folder = Path(os.environ.get("ROMP_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{folder} does not exist: set ROMP_SHARED to the shared test material")
    return folder
