"""Body files: the official SMPL `.npz` and `.pkl`, the published packed `.pth`, and our own."""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from romp_core.body.data import NUM_BETAS, NUM_POSE_FEATURES, BodyData
from romp_core.body.joints import (
    H36M_LANDMARKS,
    LANDMARKS,
    REGRESSED_LANDMARKS,
    SMPL_LANDMARK_VERTICES,
    VERTEX_LANDMARKS,
)
from romp_core.body.pickles import as_array, load_pickle
from romp_core.errors import BodyFileError, UnsafePickleError

_SMPL_VERTICES = 6890
_REQUIRED_KEYS = (
    "v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f",
)  # fmt: skip
_OPTIONAL_KEYS = (
    "name", "landmark_names", "landmark_regressor", "J_regressor_extra9", "J_regressor_h36m17",
)  # fmt: skip


def read_body(path: str | Path) -> BodyData:
    """Read a body file; nothing in it is ever run.

    Args:
        path: `.npz` (official SMPL, or written by `write_body`), `.pkl` (official SMPL, a
            Python 2 pickle) or `.pth` (the packed SMPL of the published ROMP).

    Returns:
        The body with the first 10 shape directions. A `.pth` brings all 47 landmarks, an
        official file the 21 that are vertices of SMPL's mesh, our own file what it names.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafePickleError: The file asks for something other than arrays.
        BodyFileError: It is damaged, incomplete, or another model's.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".pkl": _read_pkl, ".pth": _read_pth}
    if path.suffix not in readers:
        raise BodyFileError(f"{path} is no body file; expected one of {', '.join(readers)}")
    if not path.is_file():
        raise FileNotFoundError(f"body file {path} does not exist")
    try:
        return _body_from_arrays(readers[path.suffix](path), path.stem)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error}") from error
    except BodyFileError as error:
        raise BodyFileError(f"{path}: {error}") from error


def write_body(data: BodyData, path: str | Path) -> None:
    """Write a body as `.npz` with SMPL's own keys, so that `smplx` can evaluate it too.

    Beside SMPL's keys it holds `name`, `landmark_names` and `landmark_regressor`.

    Args:
        data: The body.
        path: Where to; must end in `.npz`.

    Raises:
        BodyFileError: The path ends otherwise.
        FileNotFoundError: The path's folder does not exist.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise BodyFileError(f"a body is written as .npz; found the path {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist")
    arrays = {
        "v_template": data.v_template,
        "shapedirs": data.shapedirs,
        "posedirs": data.posedirs.T.reshape(-1, 3, NUM_POSE_FEATURES),
        "J_regressor": data.J_regressor,
        "weights": data.weights,
        "kintree_table": np.stack([data.parents, np.arange(len(data.parents))]),
        "f": data.faces,
        "name": np.array(data.name),
        "landmark_names": np.array(data.landmark_names, dtype="U32"),
        "landmark_regressor": data.landmark_regressor,
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The known arrays of an `.npz`; object arrays in it are pickles and treated as such."""
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                key = info.filename.removesuffix(".npy")
                if key in _REQUIRED_KEYS + _OPTIONAL_KEYS:
                    arrays[key] = _read_npy(archive.read(info), key)
    except BodyFileError:
        raise
    except Exception as error:  # zipfile and zlib fail in many ways on damaged files
        raise BodyFileError(f"not a readable .npz ({type(error).__name__}: {error})") from error
    return arrays


def _read_npy(content: bytes, key: str) -> np.ndarray:
    header = np.lib.format
    file = io.BytesIO(content)
    version = header.read_magic(file)
    read_header = {(1, 0): header.read_array_header_1_0, (2, 0): header.read_array_header_2_0}
    if version not in read_header:
        raise BodyFileError(f"{key} is stored in version {version} of the .npy format")
    shape, is_fortran, dtype = read_header[version](file)
    if dtype.hasobject:
        return as_array(load_pickle(file.read()))
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(
        shape, order="F" if is_fortran else "C"
    )


def _read_pkl(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        raise BodyFileError("a zip archive (network weights?); expected SMPL's own pickle")
    return _known_arrays(load_pickle(content))


def _read_pth(path: Path) -> dict[str, np.ndarray]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise UnsafePickleError(
                f"the pickle asks for {refused[1]}; expected nothing but tensors. "
                "It was refused and nothing of it was run: get the file from its publisher"
            ) from None
        raise BodyFileError(f"not a readable .pth ({error})") from error
    except Exception as error:  # a damaged archive may fail in any way
        raise BodyFileError(f"not a readable .pth ({type(error).__name__}: {error})") from error
    return _known_arrays(tensors)


def _known_arrays(content: Any) -> dict[str, np.ndarray]:
    """The arrays under known keys; others are never touched."""
    if not isinstance(content, Mapping):
        raise BodyFileError(f"holds a {type(content).__name__}; expected a dictionary of arrays")
    arrays = {}
    for key in _REQUIRED_KEYS + _OPTIONAL_KEYS:
        if key in content:
            value = content[key]
            if isinstance(value, torch.Tensor):
                value = value.to_dense().numpy()
            arrays[key] = as_array(value)
    return arrays


def _body_from_arrays(arrays: Mapping[str, np.ndarray], name: str) -> BodyData:
    """A checked body out of the arrays of any of the file forms."""
    missing = [key for key in _REQUIRED_KEYS if key not in arrays]
    if missing:
        raise BodyFileError(f"lacks {', '.join(missing)}; expected all of SMPL's arrays")
    v_template = _numbers(arrays, "v_template", np.float32)
    landmark_names, landmark_regressor = _landmarks(arrays, len(v_template))
    # SMPL 1.1 has 300 shape directions by falling variance; ROMP predicts the first ten.
    shapedirs = _numbers(arrays, "shapedirs", np.float32)[..., :NUM_BETAS]
    posedirs = _numbers(arrays, "posedirs", np.float32)
    if posedirs.ndim == 3:  # official files: (V, 3, 207)
        vertices, axes, features = posedirs.shape
        posedirs = posedirs.reshape(vertices * axes, features).T
    # (2, 24) or, packed, (24,); official files store the root's -1 as an unsigned number.
    parents = np.atleast_2d(_numbers(arrays, "kintree_table", np.int64))[0]
    parents[:1] = -1
    return BodyData(
        name=str(arrays.get("name", name)),
        v_template=v_template,
        shapedirs=np.ascontiguousarray(shapedirs),
        posedirs=np.ascontiguousarray(posedirs),
        J_regressor=_numbers(arrays, "J_regressor", np.float32),
        weights=_numbers(arrays, "weights", np.float32),
        parents=parents,
        faces=_numbers(arrays, "f", np.int32),
        landmark_names=landmark_names,
        landmark_regressor=landmark_regressor,
    )


def _landmarks(
    arrays: Mapping[str, np.ndarray], num_vertices: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and regressor (L, V) of what the file knows beyond the 24 joints."""
    if "landmark_names" in arrays:
        if "landmark_regressor" not in arrays:
            raise BodyFileError("lacks landmark_regressor, although it has landmark_names")
        names = tuple(str(name) for name in arrays["landmark_names"].ravel())
        return names, _numbers(arrays, "landmark_regressor", np.float32)
    if num_vertices != _SMPL_VERTICES:  # the vertex numbers below mean nothing on another mesh
        return (), np.zeros((0, num_vertices), np.float32)
    picked = np.zeros((len(VERTEX_LANDMARKS), num_vertices), np.float32)
    picked[np.arange(len(picked)), SMPL_LANDMARK_VERTICES] = 1
    if not {"J_regressor_extra9", "J_regressor_h36m17"} <= arrays.keys():
        return VERTEX_LANDMARKS, picked
    extra9 = _numbers(arrays, "J_regressor_extra9", np.float32)
    h36m17 = _numbers(arrays, "J_regressor_h36m17", np.float32)
    expected = [(len(REGRESSED_LANDMARKS), num_vertices), (len(H36M_LANDMARKS), num_vertices)]
    if [extra9.shape, h36m17.shape] != expected:
        raise BodyFileError(
            f"J_regressor_extra9 and J_regressor_h36m17 have shapes {extra9.shape} and "
            f"{h36m17.shape}; expected {expected[0]} and {expected[1]}"
        )
    return LANDMARKS, np.concatenate([picked, extra9, h36m17])


def _numbers(arrays: Mapping[str, np.ndarray], key: str, dtype: type) -> np.ndarray:
    """A copy of an array in another type; integers must stay what they were."""
    array = arrays[key]
    if array.dtype.kind not in "fiu" or array.ndim == 0:
        raise BodyFileError(f"{key} is a {array.dtype} of shape {array.shape}; expected numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = np.array(array, dtype=dtype, order="C")
    if np.issubdtype(dtype, np.integer) and not np.array_equal(converted, array):
        raise BodyFileError(f"{key} holds numbers that are no indices")
    return converted
