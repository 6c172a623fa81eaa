"""The camera of an image, out of the camera_info that goes with it. Needs no ROS."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from romp_core.errors import ConfigError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import EQUIDISTANT, CameraModel


class RegionFields(Protocol):
    """The fields of sensor_msgs/RegionOfInterest that count; a size of 0: the whole sensor."""

    x_offset: int
    y_offset: int
    height: int
    width: int


class CameraInfoFields(Protocol):
    """The fields of sensor_msgs/CameraInfo that tell how points become pixels."""

    height: int
    width: int
    distortion_model: str
    d: Sequence[float]
    k: Sequence[float]
    p: Sequence[float]
    binning_x: int
    binning_y: int
    roi: RegionFields


class _Fields(NamedTuple):
    """The same, to look up what was made of them: they hardly ever change between images."""

    height: int
    width: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int]  # x, y
    roi: tuple[int, int, int, int]  # x, y, width, height

    @classmethod
    def of(cls, info: CameraInfoFields) -> "_Fields":
        """Those of a message."""
        roi = info.roi
        return cls(
            *(info.height, info.width, info.distortion_model),
            *map(tuple, (info.d, info.k, info.p)),
            binning=(info.binning_x, info.binning_y),
            roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        )


@dataclass(frozen=True)
class Calibration:
    """What is known of an image's camera.

    Attributes:
        camera: its intrinsics and lens.
        is_known: false where the field of view is assumed.
        problem: what is wrong with camera_info, and what is used instead; empty: nothing.
    """

    camera: CameraModel
    is_known: bool = True
    problem: str = ""


def calibrate(
    info: CameraInfoFields | None,
    height: int,
    width: int,
    *,
    rectified: bool,
    horizontal_fov_deg: float,
) -> Calibration:
    """Camera of an image.

    Args:
        info: the camera's newest camera_info; None: none has come.
        height, width: of the image, pixels.
        rectified: whether the image is rectified: it then has the intrinsics in P and no
            distortion, else those in K, with D.
        horizontal_fov_deg: assumed where camera_info is missing, uncalibrated (K all zero, as
            ROS says it), for images of another size, or no camera's.
    """
    fields = info and _Fields.of(info)
    return _calibrate(fields, height, width, rectified, horizontal_fov_deg)


@lru_cache(maxsize=64)
def _calibrate(
    info: _Fields | None, height: int, width: int, rectified: bool, horizontal_fov_deg: float
) -> Calibration:
    problem = _problem(info, height, width)
    if not problem:
        try:
            matrix = _intrinsics(info, height, width, rectified)
            pinhole = CameraModel(matrix)
        except ConfigError as error:
            problem = f"camera_info: {error}"
    if problem:
        assumed = CameraModel(intrinsics_from_fov(height, width, horizontal_fov_deg))
        return Calibration(assumed, False, f"{problem}: horizontal_fov_deg is used")
    # Drivers without distortion often name no model; a fisheye's coefficients may all be zero.
    if rectified or not (np.any(info.d) or info.distortion_model == EQUIDISTANT):
        return Calibration(pinhole)
    try:
        camera = CameraModel(matrix, info.distortion_model, info.d)
    except ConfigError as error:
        return Calibration(pinhole, problem=f"camera_info: {error}: distortion is not used")
    if camera.has_inverse((height, width)):
        return Calibration(camera)
    return Calibration(
        camera,
        problem="camera_info: the distortion has no inverse at the picture's border: calibrate "
        "again with a model that fits the whole picture",
    )


def _problem(info: _Fields | None, height: int, width: int) -> str:
    """Why camera_info says nothing about an image; empty: it does."""
    if info is None:
        return "no camera_info has come"
    if not np.any(info.k):
        return "camera_info is uncalibrated (K is zero)"
    whole = info.height, info.width  # some drivers leave it out
    if whole != (0, 0) and (height, width) not in (whole, _sent_size(info)):
        return (
            f"camera_info is for {info.width}x{info.height} pixels, but the image has "
            f"{width}x{height}"
        )
    return ""


def _sent_size(info: _Fields) -> tuple[int, int]:
    """Height and width of images of a region of the sensor, of binned pixels, or of both."""
    _, _, width, height = info.roi
    x, y = np.maximum(info.binning, 1)
    return (height or info.height) // y, (width or info.width) // x


def _intrinsics(info: _Fields, height: int, width: int, rectified: bool) -> np.ndarray:
    """(3, 3) of images of a size; K and P are those of the whole sensor."""
    matrix = np.reshape(info.p, (3, 4))[:, :3] if rectified else np.reshape(info.k, (3, 3))
    if (info.height, info.width) == (height, width):
        return matrix
    sent = matrix.copy()  # as image_geometry has it
    sent[:2, 2] -= info.roi[:2]
    sent[:2] /= np.maximum(info.binning, 1)[:, None]
    return sent
