"""The camera matrix of an image, out of the camera_info that goes with it. Needs no ROS."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from romp_core.geometry.cameras import checked_intrinsics


class CameraInfoFields(Protocol):
    """The fields of sensor_msgs/CameraInfo that tell how points become pixels."""

    height: int
    width: int
    k: Sequence[float]


class CalibrationError(ValueError):
    """A camera_info that cannot serve for an image."""


def camera_matrix(info: CameraInfoFields | None, height: int, width: int) -> np.ndarray:
    """Intrinsics for an image.

    Args:
        info: the camera's newest camera_info; None: none has come.
        height, width: of the image, pixels.

    Returns:
        (3, 3) float32 K, pixels.

    Raises:
        CalibrationError: there is none, it is uncalibrated (K all zero, as ROS says it), for
            images of another size, or no camera's. The text says what to do.
    """
    if info is None:
        raise CalibrationError("no camera_info has come: horizontal_fov_deg is used")
    if not np.any(info.k):
        raise CalibrationError(
            "camera_info is uncalibrated (K is zero): horizontal_fov_deg is used"
        )
    # Some drivers leave the size out.
    if (info.height, info.width) not in ((height, width), (0, 0)):
        raise CalibrationError(
            f"camera_info is for {info.width}x{info.height} pixels, but the image has "
            f"{width}x{height}: horizontal_fov_deg is used until the two agree"
        )
    try:
        return checked_intrinsics(np.reshape(info.k, (3, 3)))
    except ValueError as error:
        raise CalibrationError(f"camera_info: {error}: horizontal_fov_deg is used") from error
