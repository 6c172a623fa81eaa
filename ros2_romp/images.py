"""Image messages to arrays and back."""

from array import array

import cv2
import numpy as np
from rosbags.image import ImageError as ConversionError
from rosbags.image import image_to_cvimage
from rosbags.image.image import to_cvtype
from sensor_msgs.msg import CompressedImage, Image

from romp_core.errors import ImageError


def to_image(pixels: np.ndarray) -> Image:
    """(H, W, 3) uint8 BGR as a ``bgr8`` message without a header."""
    height, width = pixels.shape[:2]
    data = _bytes(np.ascontiguousarray(pixels))
    return Image(height=height, width=width, step=3 * width, encoding="bgr8", data=data)


def to_jpeg(pixels: np.ndarray) -> CompressedImage:
    """(H, W, 3) uint8 BGR as a ``jpeg`` message without a header.

    Raises:
        ImageError: more than 65,500 rows or columns, which JPEG cannot hold.
    """
    written, encoded = cv2.imencode(".jpg", pixels)
    if not written:
        height, width = pixels.shape[:2]
        raise ImageError(f"an image of {width}x{height} pixels does not fit into a JPEG")
    return CompressedImage(format="jpeg", data=_bytes(encoded))


def to_bgr(message: Image | CompressedImage) -> np.ndarray:
    """Pixels of a message as an (H, W, 3) uint8 BGR array.

    16-bit encodings keep their upper 8 bits, grey becomes three equal channels.

    Raises:
        ImageError: the encoding has no colours (depth, for instance), or the data is damaged.
    """
    if isinstance(message, CompressedImage):
        return _decode(message)
    try:
        return image_to_cvimage(_without_padding(message), "bgr8")
    except (ConversionError, TypeError, ValueError, cv2.error) as error:
        raise ImageError(
            f"an image of {message.width}x{message.height} pixels, encoding {message.encoding!r} "
            f"and {len(message.data)} bytes cannot be converted to bgr8: {error}"
        ) from error


def _decode(message: CompressedImage) -> np.ndarray:
    encoded = np.frombuffer(message.data, np.uint8)
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError(
            f"a compressed image of {encoded.size} bytes and format {message.format!r} cannot be "
            "decoded: it is damaged, or of a format that OpenCV does not read"
        )
    return pixels


def _without_padding(message: Image) -> Image:
    """The message itself, or a copy whose rows follow each other without gaps."""
    _, _, dtype, channels = to_cvtype(message.encoding)
    row = message.width * channels * np.dtype(dtype).itemsize
    if message.step <= row:
        return message
    rows = np.frombuffer(message.data, np.uint8).reshape(-1, message.step)[:, :row]
    return Image(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=message.is_bigendian,
        step=row,
        data=_bytes(np.ascontiguousarray(rows)),
    )


def _bytes(data: np.ndarray) -> array:
    """The one form that message fields take without a look at every single byte."""
    copied = array("B")
    copied.frombytes(data)
    return copied
