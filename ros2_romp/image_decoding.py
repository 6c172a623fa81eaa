"""Image messages as pixels, whatever is in them: every field is checked before it is used.

Colours are converted by cv_bridge where ROS has one that works, and by rosbags-image elsewhere.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from romp_core.errors import ImageError
from ros2_romp.cdr import CdrError, CdrReader

MAX_PIXELS = 1 << 27
"""134 million: beyond any camera, but few enough to be held in memory."""

_CHANNELS = {"mono8": 1, "bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono16": 1}
_CHANNELS |= {"bgr16": 3, "rgb16": 3, "bgra16": 4, "rgba16": 4}
_CHANNELS |= {f"bayer_{order}{bits}": 1 for order in ("rggb", "bggr", "gbrg", "grbg")
              for bits in (8, 16)}  # fmt: skip
_CHANNELS |= {"yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2}

_UNNAMED = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
"""OpenCV's own names say nothing about colours: taken to be in OpenCV's order."""

_SYNONYMS = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}
"""Newer names, under older ones that every cv_bridge knows."""

_PLANAR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
"""A full plane of brightness, then half as many rows of colour."""

_ENCODINGS = (*_CHANNELS, *_UNNAMED, *_PLANAR)


class ImageFields(Protocol):
    """The fields of sensor_msgs/Image that say what its bytes mean."""

    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: bytes


@dataclass(frozen=True)
class ReceivedImage:
    """A serialised image message, read without a copy.

    Attributes:
        seconds, nanoseconds, frame_id: of its header.
        fields: `RawFields` or `CompressedFields`.
    """

    seconds: int
    nanoseconds: int
    frame_id: str
    fields: "RawFields | CompressedFields"


@dataclass(frozen=True)
class RawFields:
    """sensor_msgs/Image behind its header."""

    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: memoryview


@dataclass(frozen=True)
class CompressedFields:
    """sensor_msgs/CompressedImage behind its header."""

    format: str
    data: memoryview


def working_cv_bridge() -> tuple[type, type[Exception]] | None:
    """`CvBridge` and its error; None where there is none that converts an image.

    Those of released ROS 2 are built for NumPy 1. Under NumPy 2 they can be imported, but a
    conversion raises ImportError or ends the process.
    """
    if int(np.__version__.split(".")[0]) >= 2:
        return None
    try:
        from cv_bridge import CvBridge, CvBridgeError

        pixel = RawFields(1, 1, "rgb8", False, 3, memoryview(b"\1\2\3"))
        if CvBridge().imgmsg_to_cv2(pixel, "bgr8").tolist() == [[[3, 2, 1]]]:
            return CvBridge, CvBridgeError
    except Exception:  # whatever its binary parts come up with
        pass
    return None


CvBridge, ConversionError = working_cv_bridge() or (None, None)
if CvBridge is None:
    from rosbags.image import ImageError as ConversionError
    from rosbags.image import image_to_cvimage


def read_image(message: bytes, *, compressed: bool) -> ReceivedImage:
    """Fields of a serialised sensor_msgs/Image or CompressedImage.

    Raises:
        ImageError: the bytes are no such message.
    """
    try:
        reader = CdrReader(message)
        header = reader.number("i"), reader.number("I"), reader.string()
        if compressed:
            return ReceivedImage(*header, CompressedFields(reader.string(), reader.byte_sequence()))
        size = reader.number("I"), reader.number("I")
        encoding, is_bigendian = reader.string(), bool(reader.number("B"))
        step, data = reader.number("I"), reader.byte_sequence()
        return ReceivedImage(*header, RawFields(*size, encoding, is_bigendian, step, data))
    except CdrError as error:
        raise ImageError(f"not an image message: {error}") from error


def to_bgr(image: ImageFields | CompressedFields) -> np.ndarray:
    """Pixels of an image message of either kind as (H, W, 3) uint8 BGR.

    16-bit encodings keep their upper 8 bits, grey becomes three equal channels.

    Raises:
        ImageError: an encoding or format without colours, or data that is damaged or incomplete.
    """
    return _decode(image) if hasattr(image, "format") else _convert(image)


def _convert(image: ImageFields) -> np.ndarray:
    encoding = _UNNAMED.get(image.encoding, image.encoding)
    if encoding not in _CHANNELS and encoding not in _PLANAR:
        raise ImageError(
            f"the encoding is {image.encoding!r}; expected one of {', '.join(_ENCODINGS)}"
        )
    if not 0 < image.height * image.width <= MAX_PIXELS:
        raise ImageError(
            f"the image has {image.width}x{image.height} pixels; expected 1 to {MAX_PIXELS}"
        )
    try:
        if encoding in _PLANAR:
            return cv2.cvtColor(image_rows(image, 1, 1.5), _PLANAR[encoding])
        return _tight_to_bgr(_Tight.of(image, encoding))
    except (cv2.error, ConversionError) as error:  # for example, half a pair of columns
        raise ImageError(
            f"{image.width}x{image.height} pixels of {image.encoding} cannot be converted to "
            f"bgr8: {getattr(error, 'err', error)}"
        ) from error


def _decode(image: CompressedFields) -> np.ndarray:
    encoded = np.frombuffer(image.data, np.uint8)
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError(
            f"a compressed image of {encoded.size} bytes and format {image.format[:40]!r} cannot "
            "be decoded: it is damaged, or of a format that OpenCV does not read"
        )
    return pixels


@dataclass(frozen=True)
class _Tight:
    """An image without padding, in this machine's byte order, with the fields of a message."""

    height: int
    width: int
    encoding: str
    step: int
    data: np.ndarray
    is_bigendian: bool = not np.little_endian

    @classmethod
    def of(cls, image: ImageFields, encoding: str) -> "_Tight":
        depth = 2 if encoding.endswith("16") else 1
        rows = image_rows(image, _CHANNELS[encoding] * depth)
        if depth == 2:
            rows = rows.view(">u2" if image.is_bigendian else "<u2").astype(np.uint16)
        name = _SYNONYMS.get(encoding, encoding)
        return cls(image.height, image.width, name, rows[0].nbytes, rows.reshape(-1))


def image_rows(image: ImageFields, pixel_bytes: int, height_factor: float = 1.0) -> np.ndarray:
    """(H * height_factor, W * pixel_bytes) uint8, contiguous, without what pads the rows.

    Raises:
        ImageError: rows longer than the step, or less data than the rows take.
    """
    length = image.width * pixel_bytes
    if image.step < length:
        raise ImageError(
            f"a row of {image.width} pixels of {image.encoding} takes {length} bytes, but step is "
            f"{image.step}"
        )
    count = int(image.height * height_factor)
    data = np.frombuffer(image.data, np.uint8)
    if data.size < (count - 1) * image.step + length:
        raise ImageError(
            f"{image.width}x{image.height} pixels of {image.encoding} with step {image.step} take "
            f"{count * image.step} bytes; found {data.size}"
        )
    if image.step == length:  # as nearly all drivers send it
        return data[: count * length].reshape(count, length)
    rows = np.lib.stride_tricks.as_strided(data, (count, length), (image.step, 1), writeable=False)
    return np.ascontiguousarray(rows)


def _tight_to_bgr(image: _Tight) -> np.ndarray:
    if image.encoding == "bgr8":
        return image.data.reshape(image.height, image.width, 3)
    if CvBridge is not None:
        return CvBridge().imgmsg_to_cv2(image, "bgr8")
    return image_to_cvimage(image, "bgr8")
