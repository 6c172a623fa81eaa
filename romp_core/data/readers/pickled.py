"""Pickles of data sets, read without running them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from romp_core.body.pickles import as_array, load_pickle
from romp_core.errors import BodyFileError, DataError


def read_pickle(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A pickled dictionary that has the given keys; nothing of the pickle is run.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, no pickle, one that holds code, or without these keys.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there are no annotations at {path}; is the root right?")
    try:
        content = load_pickle(Path(path).read_bytes())
    except BodyFileError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; it is damaged or another file")
    return content


def numbers(value: Any, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """An array out of `read_pickle` as float32 of a certain shape; None takes any length.

    Raises:
        DataError: another shape, or no numbers.
    """
    try:
        array = as_array(value).astype(np.float32)
    except (BodyFileError, ValueError, TypeError) as error:
        raise DataError(f"{what}: {error}") from error
    fits = array.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise DataError(f"{what} has shape {array.shape}; expected ({expected})")
    return array
