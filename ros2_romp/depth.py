"""Depth images: kept until the colour image of the same moment needs one. Needs no ROS."""

import threading

import numpy as np

from romp_core.errors import ImageError
from romp_core.place.depth import DepthImage
from ros2_romp.image_decoding import MAX_PIXELS, RawFields, ReceivedImage, image_rows, read_image
from ros2_romp.markers import Stamp

KEPT = 15
"""Depth images that wait, half a second of a fast camera: colour may come later than its depth."""

FARTHEST = 100.0
"""Metres: where half of a depth image is farther away, its numbers are no metres."""

_METRES_PER_UNIT = {"16UC1": 1e-3, "mono16": 1e-3, "32FC1": 1.0}  # REP 118


class DepthBuffer:
    """The last depth images of one camera, still serialised; any thread may call it.

    That of the moment awaited is kept however many come while the network works.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._images: list[ReceivedImage] = []
        self._awaited: Stamp | None = None

    def __bool__(self) -> bool:
        return bool(self._images)

    def put(self, message: bytes) -> None:
        """Keep a serialised sensor_msgs/Image.

        Raises:
            ImageError: the bytes are no such message.
        """
        image = read_image(message, compressed=False)
        with self._lock:
            self._images.append(image)
            if len(self._images) > KEPT:
                del self._images[1 if self._is_awaited(self._images[0]) else 0]

    def await_moment(self, stamp: Stamp) -> None:
        """Keep the depth image of this moment until another one is awaited."""
        with self._lock:
            self._awaited = stamp

    def _is_awaited(self, image: ReceivedImage) -> bool:
        return self._awaited is not None and image is _nearest(self._images, self._awaited)

    def at(self, stamp: Stamp, tolerance: float) -> DepthImage:
        """Depth of the moment of a colour image.

        Args:
            stamp: of the colour image.
            tolerance: seconds that the two may lie apart.

        Raises:
            ImageError: none is near enough in time, or the nearest is of another frame, or no
                depth, or has no distance that people may have.
        """
        with self._lock:
            images = list(self._images)
        if not images:
            raise ImageError("no depth image has come")
        nearest = _nearest(images, stamp)
        late = _seconds_between(nearest, stamp)
        if abs(late) > tolerance:
            raise ImageError(
                f"the nearest depth image is {abs(late):.3f} s {'newer' if late > 0 else 'older'} "
                f"than the image; expected at most max_depth_delay, {tolerance:g} s"
            )
        if nearest.frame_id != stamp.frame_id:
            raise ImageError(
                f"the depth image is of frame {nearest.frame_id!r}, the image of "
                f"{stamp.frame_id!r}; expected depth that is registered to the image"
            )
        metres = to_metres(nearest.fields)
        _check_distances(metres)
        return DepthImage(metres)


def to_metres(fields: RawFields) -> np.ndarray:
    """(H, W) float32 metres of a depth message, by REP 118; NaN or 0 where unknown.

    Raises:
        ImageError: another encoding than 16UC1, mono16 or 32FC1, or incomplete data.
    """
    unit = _METRES_PER_UNIT.get(fields.encoding)
    if unit is None:
        raise ImageError(
            f"depth has the encoding {fields.encoding!r}; expected 16UC1 (millimetres) or 32FC1 "
            "(metres)"
        )
    if not 0 < fields.height * fields.width <= MAX_PIXELS:
        raise ImageError(
            f"depth has {fields.width}x{fields.height} pixels; expected 1 to {MAX_PIXELS}"
        )
    kind = "f4" if unit == 1 else "u2"
    rows = image_rows(fields, np.dtype(kind).itemsize)
    values = rows.view((">" if fields.is_bigendian else "<") + kind)
    return values.astype(np.float32) * np.float32(unit)


def _check_distances(metres: np.ndarray) -> None:
    """Refuse (H, W) metres that cannot serve, whoever is in them."""
    known = _known(metres[::8, ::8])  # all of it would take milliseconds
    if not known.size and not _known(metres).size:
        raise ImageError(
            "the depth image knows no distance: each pixel is 0, NaN or the like; expected "
            "millimetres in 16UC1, metres in 32FC1"
        )
    if known.size and (half := np.median(known)) > FARTHEST:
        raise ImageError(
            f"half of the depth image is farther away than {half:.0f} m; expected metres in "
            "32FC1: millimetres go into 16UC1"
        )


def _known(metres: np.ndarray) -> np.ndarray:
    return metres[(metres > 0) & (metres < np.inf)]


def _nearest(images: list[ReceivedImage], stamp: Stamp) -> ReceivedImage:
    # Of equal stamps, which some drivers never set, the newest image.
    return min(reversed(images), key=lambda image: abs(_seconds_between(image, stamp)))


def _seconds_between(image: ReceivedImage, stamp: Stamp) -> float:
    seconds = image.seconds - stamp.seconds
    return seconds + (image.nanoseconds - stamp.nanoseconds) * 1e-9
