"""Arrays out of pickles, without running anything of the pickle.

A pickle is a program: it names callables and calls them. The reader here replaces every
callable that an array needs by a record of ours that only keeps what it was called with, and
refuses all others by name. Afterwards the records are turned into arrays by the code below,
which checks what it was given. NumPy, SciPy and chumpy are never called by the pickle.
"""

import io
import pickle
import re
from typing import Any

import numpy as np

from romp_core.errors import BodyFileError, RompError, UnsafePickleError

_MAX_DENSE_ELEMENTS = 1 << 26  # a few bytes can ask for a sparse matrix of any size


class _Record:
    """What a pickle wanted to build: its arguments and its state, kept and not acted upon.

    Every name that a pickle may use resolves to a subclass. As `__setstate__` exists, a
    pickle can give state to instances only, never set attributes of these classes.
    """

    arguments: tuple
    state: Any

    def __new__(cls, *arguments: Any) -> "_Record":
        record = super().__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self) -> Any:
        raise BodyFileError(f"{type(self).__name__.lstrip('_')} in place of an array")


class _Type(_Record):
    """`numpy.ndarray`, `object` and sets: named by arrays, but no arrays themselves."""


class _Reconstructor(_Record):
    """`copyreg._reconstructor(cls, object, None)`: how older protocols make instances."""

    def __new__(cls, wanted: type[_Record], *_: Any) -> _Record:
        if not (isinstance(wanted, type) and issubclass(wanted, _Record)):
            raise UnsafePickleError("the pickle reconstructs something that is not a class")
        return wanted()


class _Bytes(_Record):
    """`_codecs.encode(text, "latin1")`: bytes in pickles that Python 2 can read."""

    def value(self) -> bytes:
        return str(self.arguments[0]).encode("latin1")


class _Dtype(_Record):
    """`numpy.dtype(code, align, copy)` with the byte order in its state."""

    def value(self) -> np.dtype:
        code = str(self.arguments[0])
        if not re.fullmatch(r"[biufSU]\d{1,6}|O\d?", code):
            raise BodyFileError(f"an array of type {code!r} in place of plain numbers")
        if code.startswith("O"):
            return np.dtype(object)
        byte_order = self.state[1] if self.state else "="
        return np.dtype(f"{byte_order}{code}" if byte_order in ("<", ">") else code)


class _Array(_Record):
    """`numpy.core.multiarray._reconstruct` with (version, shape, dtype, order, data) as state."""

    def value(self) -> np.ndarray:
        _, shape, dtype, is_fortran, content = self.state
        return _make_array(content, resolve(dtype), shape, "F" if is_fortran else "C")


class _BufferArray(_Record):
    """`numpy.core.numeric._frombuffer(buffer, dtype, shape, order)`: arrays of protocol 5."""

    def value(self) -> np.ndarray:
        content, dtype, shape, order = self.arguments
        return _make_array(content, resolve(dtype), shape, order)


class _Scalar(_Record):
    """`numpy.core.multiarray.scalar(dtype, bytes)`."""

    def value(self) -> np.ndarray:
        dtype, content = self.arguments
        return _make_array(content, resolve(dtype), (), "C")


class _Chumpy(_Record):
    """`chumpy.ch.Ch`: a wrapped array."""

    def value(self) -> np.ndarray:
        return as_array(self.state["x"])


class _ChumpySelect(_Record):
    """`chumpy.reordering.Select`: elements of another chumpy array, reshaped."""

    def value(self) -> np.ndarray:
        indices = as_array(self.state["idxs"]).astype(np.int64)
        selected = as_array(self.state["a"]).ravel()[indices]
        shape = resolve(self.state.get("preferred_shape"))
        return selected if shape is None else selected.reshape(np.asarray(shape, np.int64))


class _SparseColumns(_Record):
    """`scipy.sparse.csc_matrix`, given back dense."""

    def value(self) -> np.ndarray:
        rows, columns = (int(size) for size in self.state["_shape"])
        if not 0 <= rows * columns <= _MAX_DENSE_ELEMENTS:
            raise BodyFileError(f"a sparse matrix of {rows} x {columns}")
        row = as_array(self.state["indices"])
        counts = np.diff(as_array(self.state["indptr"]).astype(np.int64))
        if counts.sum() != len(row):
            raise BodyFileError("a sparse matrix whose columns and rows disagree")
        dense = np.zeros((rows, columns))
        column = np.repeat(np.arange(columns), counts)
        np.add.at(dense, (row, column), as_array(self.state["data"]))
        return dense


def _make_array(content: Any, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    """An array from the raw content of a pickled one; object arrays come as lists."""
    content = resolve(content)
    shape = tuple(int(size) for size in shape)
    order = "F" if order == "F" else "C"
    if dtype.hasobject:
        flat = np.empty(len(content), object)
        flat[:] = content
        return flat.reshape(shape, order=order)
    if isinstance(content, str):  # Python 2 made no difference between text and bytes
        content = content.encode("latin1")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


_ALLOWED: dict[tuple[str, str], type[_Record]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Type,
    ("_codecs", "encode"): _Bytes,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _ChumpySelect,
    ("scipy.sparse.csc", "csc_matrix"): _SparseColumns,
    ("scipy.sparse._csc", "csc_matrix"): _SparseColumns,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _Scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _BufferArray
for _builtins, _copyreg in (("__builtin__", "copy_reg"), ("builtins", "copyreg")):
    _ALLOWED[_builtins, "object"] = _Type
    _ALLOWED[_builtins, "set"] = _Type
    _ALLOWED[_copyreg, "_reconstructor"] = _Reconstructor


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler that knows the names above and no others.

    Python's own unpickler, not the one in C: that one takes codes of the extension registry
    past `find_class`, and a few bytes make it fill gigabytes with an empty memo.
    """

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"the pickle asks for {module}.{name}; expected nothing but arrays. "
                "It was refused and nothing of it was run: get the file from its publisher"
            ) from None

    def get_extension(self, code: int) -> None:
        raise UnsafePickleError(
            f"the pickle asks for number {code} of the extension registry; expected nothing but "
            "arrays. It was refused and nothing of it was run: get the file from its publisher"
        )


def load_pickle(content: bytes) -> Any:
    """Unpickle plain containers, numbers, text and arrays; arrays come as records.

    Args:
        content: A pickle of any protocol, also of Python 2.

    Returns:
        The pickled object. Pass what should be an array to `as_array`.

    Raises:
        UnsafePickleError: The pickle names something else; nothing of it was run.
        BodyFileError: It is damaged or not a pickle.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except RompError:
        raise
    except Exception as error:  # a damaged pickle may fail in any way, as pickle's manual warns
        raise BodyFileError(f"not a readable pickle ({type(error).__name__}: {error})") from error


def resolve(value: Any) -> Any:
    """What a record stands for; anything else as it is."""
    return value.value() if isinstance(value, _Record) else value


def as_array(value: Any) -> np.ndarray:
    """The array that an object out of `load_pickle` stands for.

    Args:
        value: An array record (NumPy, chumpy or sparse), an object array that wraps a single
            one, or plain numbers.

    Returns:
        Its dense ndarray.

    Raises:
        BodyFileError: It is no array or a damaged one.
    """
    try:
        array = np.asarray(resolve(value))
        if array.dtype == object and array.size == 1 and isinstance(array.item(), _Record):
            array = as_array(array.item())
    except RompError:
        raise
    except Exception as error:  # the content is whatever the file's author wrote
        raise BodyFileError(f"a damaged array ({type(error).__name__}: {error})") from error
    if array.dtype == object:
        raise BodyFileError("an array of Python objects in place of numbers")
    return array
