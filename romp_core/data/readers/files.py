"""Annotation files of all kinds, read without running them, with errors that help."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from romp_core.body.pickles import as_array, load_pickle
from romp_core.errors import BodyFileError, ConfigError, DataError, missing_extra


def annotation_file(path: Path) -> Path:
    """The path of a file that is there.

    Raises:
        FileNotFoundError: it is not.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there are no annotations at {path}; is the root right?")
    return path


def read_json(path: Path, keys: Sequence[str] = ()) -> Any:
    """A JSON file; with keys, an object that has them.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, no JSON, or without these keys.
    """
    try:
        content = json.loads(annotation_file(path).read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); get it again") from error
    if keys:
        check_keys(path, content, keys)
    return content


def read_json_list(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """A JSON list of objects that all have certain keys.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, no JSON, or of another form.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path} holds a {type(content).__name__}; expected a list")
    for entry in content:
        check_keys(path, entry, keys)
    return content


def read_json_lines(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """A file with one JSON object per line, each with certain keys.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: a line is cut off or of another form.
    """
    entries = []
    for number, line in enumerate(annotation_file(path).read_text().splitlines(), 1):
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            raise DataError(f"{path}, line {number} is no JSON ({error}); get it again") from error
        check_keys(path, entries[-1], keys)
    return entries


def read_pickle(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A pickled dictionary that has certain keys; nothing of the pickle is run.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, no pickle, one that holds code, or without these keys.
    """
    try:
        content = load_pickle(annotation_file(path).read_bytes())
    except BodyFileError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    check_keys(path, content, keys)
    return content


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of an .npz file.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, or without these arrays.
    """
    try:
        with np.load(annotation_file(path), allow_pickle=False) as stored:
            return {key: stored[key] for key in keys}
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy and zipfile fail in many ways on damaged files
        raise DataError(f"{path} does not hold {', '.join(keys)}: {error}") from error


def read_mat(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7; structs come with attributes.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, or without these variables.
    """
    from scipy.io import loadmat

    path = annotation_file(path)
    try:
        content = loadmat(path, struct_as_record=False, squeeze_me=True)
    except Exception as error:  # scipy fails in many ways on damaged files
        raise DataError(f"{path} is no readable MATLAB file ({error}); get it again") from error
    check_keys(path, content, keys)
    return content


def read_mat_v73(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a MATLAB file of version 7.3, in their stored order: MATLAB's, reversed.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, or without these arrays.
        ConfigError: h5py is not installed.
    """
    h5py = _optional("h5py")
    try:
        with h5py.File(annotation_file(path), "r") as file:
            return {key: file[key][()] for key in keys}
    except FileNotFoundError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} does not hold {', '.join(keys)}: {error}") from error


def read_cdf(path: Path, variable: str) -> np.ndarray:
    """A variable of a file in NASA's Common Data Format, which Human3.6M uses.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: truncated, or without this variable.
        ConfigError: cdflib is not installed.
    """
    cdflib = _optional("cdflib")
    path = annotation_file(path)
    try:
        return np.asarray(cdflib.CDF(path).varget(variable))
    except Exception as error:  # cdflib fails in many ways on damaged files
        raise DataError(f"{path} does not hold {variable}: {error}; get it again") from error


def numbers(value: Any, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """An array of a certain shape as float32; None takes any length.

    Args:
        value: an array, a record out of `read_pickle`, or lists of numbers.
        shape: the expected shape.
        what: names the array in errors.

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


def check_keys(path: Path, content: Any, keys: Sequence[str]) -> None:
    """Refuse a part of a file that is no dictionary with certain keys.

    Raises:
        DataError: it is not; the message names the file and what is missing.
    """
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; it is damaged or another file")


def check_split(split: str, known: Collection[str]) -> None:
    """Refuse a split that a data set does not have.

    Raises:
        ConfigError: it is none of those known.
    """
    if split not in known:
        raise ConfigError(f"split is {split!r}; expected one of {', '.join(known)}")


def _optional(package: str) -> Any:
    """A package that only some data sets need.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return __import__(package)
    except ImportError as error:
        raise missing_extra(f"these files are read with {package}", "evaluation") from error
