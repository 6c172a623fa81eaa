"""The same picture in every encoding that ROS cameras use, as the fields of an image message."""

from types import SimpleNamespace

import cv2
import numpy as np

BAYER_ORDERS = {
    "rggb": (2, 1, 1, 0),
    "bggr": (0, 1, 1, 2),
    "gbrg": (1, 0, 2, 1),
    "grbg": (1, 2, 0, 1),
}
"""Channel of BGR at the four pixels of a block, row by row."""


def bayer(bgr: np.ndarray, order: str) -> np.ndarray:
    mosaic = np.empty(bgr.shape[:2], np.uint8)
    for place, channel in enumerate(BAYER_ORDERS[order]):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = bgr[row::2, column::2, channel]
    return mosaic


def planes(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Brightness (H, W) and the two colour planes (H / 2, W / 2)."""
    height, width = bgr.shape[:2]
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    size = height * width
    u, v = i420[size:].reshape(2, height // 2, width // 2)
    return i420[:size].reshape(height, width), u, v


def yuv_planar(bgr: np.ndarray, u_first: bool) -> np.ndarray:
    y, u, v = planes(bgr)
    pairs = np.dstack([u, v] if u_first else [v, u]).reshape(len(u), -1)
    return np.vstack([y, pairs])


def yuv_packed(bgr: np.ndarray, color_first: bool) -> np.ndarray:
    y, u, v = planes(bgr)
    color = np.empty_like(y)
    color[:, 0::2], color[:, 1::2] = u.repeat(2, 0), v.repeat(2, 0)
    return np.dstack([color, y] if color_first else [y, color])


def wide(pixels: np.ndarray) -> np.ndarray:
    """16 bits per channel."""
    return pixels.astype(np.uint16) * 257


def in_all_encodings(bgr: np.ndarray) -> dict[str, np.ndarray]:
    """Pixel arrays by encoding; `bgr` is (H, W, 3) uint8 with even sides."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    bgra = np.dstack([bgr, np.full_like(grey, 255)])
    rgba = bgra[..., [2, 1, 0, 3]]
    arrays = {
        "bgr8": bgr,
        "8UC3": bgr,
        "rgb8": bgr[..., ::-1],
        "bgra8": bgra,
        "rgba8": rgba,
        "8UC4": bgra,
        "mono8": grey,
        "8UC1": grey,
        "mono16": wide(grey),
        "bgr16": wide(bgr),
        "rgb16": wide(bgr[..., ::-1]),
        "yuv422": yuv_packed(bgr, True),
        "uyvy": yuv_packed(bgr, True),
        "yuv422_yuy2": yuv_packed(bgr, False),
        "yuyv": yuv_packed(bgr, False),
        "nv12": yuv_planar(bgr, True),
        "nv21": yuv_planar(bgr, False),
    }
    for order in BAYER_ORDERS:
        arrays[f"bayer_{order}8"] = bayer(bgr, order)
        arrays[f"bayer_{order}16"] = wide(bayer(bgr, order))
    return arrays


def fields(
    encoding: str,
    array: np.ndarray,
    height: int,
    width: int,
    padding: int = 0,
    big_endian: bool = False,
) -> SimpleNamespace:
    """What a sensor_msgs/Image would hold, with so many bytes of padding behind each row."""
    if big_endian:
        array = array.byteswap()
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big_endian,
        step=rows.shape[1],
        data=rows.tobytes(),
    )
