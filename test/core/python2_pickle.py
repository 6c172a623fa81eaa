"""Pickles like the ones that SMPL is published in: Python 2, chumpy, an old scipy."""

import io
import pickle
import struct
from typing import Any, ClassVar


class Ch:
    """Stands for `chumpy.ch.Ch`."""

    def __init__(self, x: Any) -> None:
        # What chumpy's own __getstate__ leaves of an instance.
        self.__dict__ = {"_dirty_vars": {"x"}, "_itr": None, "_depends_on_deps": {}, "x": x}


class Select:
    """Stands for `chumpy.reordering.Select`."""

    def __init__(self, a: Ch, idxs: Any, preferred_shape: Any) -> None:
        self.a = a
        self.idxs = idxs
        self.preferred_shape = preferred_shape
        self._dirty_vars = set()


_NAMES = {
    ("numpy._core.multiarray", "_reconstruct"): ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"): ("numpy.core.multiarray", "scalar"),
    ("scipy.sparse._csc", "csc_matrix"): ("scipy.sparse.csc", "csc_matrix"),
    (__name__, "Ch"): ("chumpy.ch", "Ch"),
    (__name__, "Select"): ("chumpy.reordering", "Select"),
    ("builtins", "set"): ("__builtin__", "set"),
    ("builtins", "object"): ("__builtin__", "object"),
    ("copyreg", "_reconstructor"): ("copy_reg", "_reconstructor"),
}


class _Python2Pickler(pickle._Pickler):
    """Writes bytes and text as Python 2 did: both as its `str`."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_str(self, text: str | bytes) -> None:
        content = text if isinstance(text, bytes) else text.encode("ascii")
        if self.proto == 0:
            self.write(pickle.STRING + repr(content)[1:].encode("ascii") + b"\n")
        elif len(content) < 256:
            self.write(pickle.SHORT_BINSTRING + struct.pack("<B", len(content)) + content)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        key = (obj.__module__, name or obj.__qualname__)
        module, name = _NAMES.get(key, key)
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode("ascii"))
        self.memoize(obj)

    dispatch[str] = save_str
    dispatch[bytes] = save_str
    dispatch[type] = save_global
    dispatch[type(struct.pack)] = save_global  # built-in functions
    dispatch[type(save_global)] = save_global  # functions


def dumps(value: Any, protocol: int = 2) -> bytes:
    """Pickle as Python 2 would."""
    buffer = io.BytesIO()
    _Python2Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()
