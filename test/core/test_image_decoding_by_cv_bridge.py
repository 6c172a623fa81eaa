"""The way that images go where ROS has cv_bridge, which no package index has for these tests.

The stand-in has the signature of `CvBridge.imgmsg_to_cv2`, reads the message's fields as that does
(an array over the message's own bytes, in rows of `step`), and knows colours by OpenCV.
"""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from image_messages import fields, in_all_encodings

from romp_core.errors import ImageError
from ros2_romp import image_decoding

HEIGHT, WIDTH = 48, 64
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
PICTURE = np.stack([60 + 2 * COLUMNS, 220 - 2 * ROWS, 40 + ROWS + COLUMNS], -1).astype(np.uint8)
ENCODED = in_all_encodings(PICTURE)


class CvBridgeError(TypeError):
    """As cv_bridge raises it."""


CHANNELS = {
    "mono8": (np.uint8, 1), "rgb8": (np.uint8, 3), "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4), "mono16": (np.uint16, 1), "rgb16": (np.uint16, 3),
    "bgr16": (np.uint16, 3), "yuv422": (np.uint8, 2), "yuv422_yuy2": (np.uint8, 2),
    "bayer_rggb8": (np.uint8, 1),
}  # fmt: skip
CODES = {
    "mono8": cv2.COLOR_GRAY2BGR, "mono16": cv2.COLOR_GRAY2BGR, "rgb8": cv2.COLOR_RGB2BGR,
    "rgb16": cv2.COLOR_RGB2BGR, "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR,
    "yuv422": cv2.COLOR_YUV2BGR_UYVY, "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
}  # fmt: skip


class CvBridge:
    """As far as images are read."""

    def imgmsg_to_cv2(self, img_msg, desired_encoding="passthrough"):
        if img_msg.encoding not in CHANNELS:
            raise CvBridgeError(f"Unrecognized image encoding [{img_msg.encoding}]")
        kind, channels = CHANNELS[img_msg.encoding]
        kind = np.dtype(kind).newbyteorder(">" if img_msg.is_bigendian else "<")
        columns = img_msg.step // kind.itemsize // channels
        shape = (img_msg.height, columns, channels)[: 2 + (channels > 1)]
        pixels = np.ndarray(shape, kind, buffer=img_msg.data)[:, : img_msg.width]
        if img_msg.is_bigendian == (sys.byteorder == "little"):
            pixels = pixels.astype(kind.newbyteorder())
        if img_msg.encoding in CODES:
            pixels = cv2.cvtColor(np.ascontiguousarray(pixels), CODES[img_msg.encoding])
        return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


@pytest.fixture(autouse=True)
def cv_bridge(monkeypatch):
    monkeypatch.setattr(image_decoding, "CvBridge", CvBridge)
    monkeypatch.setattr(image_decoding, "ConversionError", CvBridgeError)


# The synonyms are not known to every cv_bridge: they reach it under the names that are.
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", [*CHANNELS, "uyvy", "yuyv", "8UC1", "8UC4"])
def test_every_encoding_gives_the_same_picture(encoding, padding, big_endian):
    wide = ENCODED[encoding].itemsize > 1
    message = fields(
        encoding, ENCODED[encoding], HEIGHT, WIDTH, padding=padding, big_endian=big_endian and wide
    )
    found = image_decoding.to_bgr(message)
    expected = PICTURE
    if encoding.startswith("mono") or encoding == "8UC1":
        expected = cv2.cvtColor(cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    tolerance = 6 if encoding.startswith(("yu", "uyvy", "bayer")) else 0
    assert np.abs(found.astype(int) - expected).max() <= tolerance


def broken(*args):
    raise ImportError("numpy.core.multiarray failed to import")


@pytest.mark.parametrize(
    ("numpy", "convert", "is_taken"),
    [
        ("1.26.4", CvBridge.imgmsg_to_cv2, True),
        ("1.26.4", broken, False),
        ("1.26.4", lambda self, image, encoding: np.zeros((1, 1, 3), np.uint8), False),
        # Builds for NumPy 1 may end the process then: what they do is not even looked at.
        ("2.0.0", CvBridge.imgmsg_to_cv2, False),
        ("10.1.0", CvBridge.imgmsg_to_cv2, False),
    ],
)
def test_cv_bridge_is_taken_where_it_converts_an_image(monkeypatch, numpy, convert, is_taken):
    bridge = type("CvBridge", (), {"imgmsg_to_cv2": convert})
    module = SimpleNamespace(CvBridge=bridge, CvBridgeError=CvBridgeError)
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    monkeypatch.setattr(np, "__version__", numpy)
    found = image_decoding.working_cv_bridge()
    assert found == ((bridge, CvBridgeError) if is_taken else None)


def test_elsewhere_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    monkeypatch.setattr(np, "__version__", "1.26.4")
    assert image_decoding.working_cv_bridge() is None


def test_what_cv_bridge_does_not_know_is_refused():
    message = fields("bayer_gbrg16", ENCODED["bayer_gbrg16"], HEIGHT, WIDTH)
    with pytest.raises(ImageError, match=r"bayer_gbrg16 cannot be converted.*Unrecognized"):
        image_decoding.to_bgr(message)
