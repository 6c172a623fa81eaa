"""Reading and writing serialised messages without Python objects per field. Needs no ROS.

CDR (OMG DDS-XTypes 7.4.3, version 1, as ROS 2 middlewares exchange it): four bytes tell the byte
order, then numbers lie at multiples of their size, counted from behind those four bytes. Strings
and sequences start with their length as a uint32; a string's includes its closing zero.
"""

import struct

import numpy as np

LITTLE_ENDIAN = b"\0\1\0\0"
_HEADER_SIZE = 4


class CdrError(ValueError):
    """Bytes that do not hold what was to be read."""


class CdrReader:
    """Reads field by field.

    Args:
        data: a serialised message.

    Raises:
        CdrError: there is no CDR header, or it announces another representation.
    """

    def __init__(self, data: bytes):
        if len(data) < _HEADER_SIZE or data[0] != 0 or data[1] > 1:
            raise CdrError(f"{len(data)} bytes that do not begin with a CDR header")
        self._order = "<" if data[1] else ">"
        self._data = memoryview(data)[_HEADER_SIZE:]
        self._offset = 0

    def number(self, kind: str) -> int | float:
        """The next number; `kind` is its letter in `struct`, such as ``I`` for uint32."""
        size = struct.calcsize(kind)
        self._offset += -self._offset % size
        return struct.unpack(self._order + kind, self._take(size))[0]

    def string(self) -> str:
        """The next string."""
        content = bytes(self._take(self.number("I")))
        return content.rstrip(b"\0").decode(errors="replace")

    def byte_sequence(self) -> memoryview:
        """The next uint8[]; a view, not a copy."""
        return self._take(self.number("I"))

    def _take(self, size: int) -> memoryview:
        end = self._offset + size
        if end > len(self._data):
            raise CdrError(
                f"a message of {len(self._data)} bytes ends before the {size} bytes at "
                f"{self._offset}"
            )
        taken = self._data[self._offset : end]
        self._offset = end
        return taken


class CdrWriter:
    """Collects fields; arrays are not copied before the end."""

    def __init__(self):
        self._parts: list[bytes | memoryview] = [LITTLE_ENDIAN]
        self._offset = 0

    def numbers(self, kinds: str, *values: float) -> None:
        """Numbers one after the other; `kinds` has a letter of `struct` for each."""
        for kind, value in zip(kinds, values, strict=True):
            self._align(struct.calcsize(kind))
            self._append(struct.pack("<" + kind, value))

    def string(self, text: str) -> None:
        """A string."""
        encoded = text.encode() + b"\0"
        self.numbers("I", len(encoded))
        self._append(encoded)

    def sequence(self, array: np.ndarray) -> None:
        """A sequence of numbers, or of structures that hold one row each of equal numbers.

        Args:
            array: (N,) or (N, fields), of the numbers' own type.
        """
        self.numbers("I", len(array))
        if array.size:
            self._align(array.itemsize)
            little_endian = array.dtype.newbyteorder("<")
            self._append(memoryview(np.ascontiguousarray(array, little_endian)).cast("B"))

    def finish(self) -> bytes:
        """The serialised message."""
        return b"".join(self._parts)

    def _align(self, size: int) -> None:
        padding = -self._offset % size
        if padding:
            self._append(bytes(padding))

    def _append(self, part: bytes | memoryview) -> None:
        self._parts.append(part)
        self._offset += len(part)
