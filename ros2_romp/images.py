"""Arrays as image messages; the way back is `ros2_romp.image_decoding`."""

from array import array

import cv2
import numpy as np
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


def _bytes(data: np.ndarray) -> array:
    """The one form that message fields take without a look at every single byte."""
    copied = array("B")
    copied.frombytes(data)
    return copied
