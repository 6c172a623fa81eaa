"""sensor_msgs/CameraInfo from a field of view or from a calibration file."""

import math
import os
from pathlib import Path

import yaml
from sensor_msgs.msg import CameraInfo

from romp_core.errors import DataError


def pinhole(height: int, width: int, horizontal_fov_deg: float) -> CameraInfo:
    """A camera with square pixels and no distortion that looks through the image centre.

    The K of `romp_core.geometry.cameras.intrinsics_from_fov`, in the float64 of the message and
    without the seconds that importing torch takes.

    Args:
        height, width: image size in pixels.
        horizontal_fov_deg: degrees, more than 0 and less than 180.
    """
    focal = width / (2 * math.tan(math.radians(horizontal_fov_deg) / 2))
    x, y = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def uncalibrated(height: int, width: int) -> CameraInfo:
    """A camera of which nothing but its image size in pixels is known: K is zero.

    So sensor_msgs/CameraInfo says it; whoever listens makes his own assumption.
    """
    return CameraInfo(height=height, width=width)


def read_calibration(path: str | Path) -> CameraInfo:
    """Calibration file in the YAML form that camera_calibration writes, without a header.

    Raises:
        FileNotFoundError: the file does not exist.
        DataError: it is not such a file.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise FileNotFoundError(f"calibration file {path} does not exist")
    hint = "expected the YAML file that `ros2 run camera_calibration cameracalibrator` writes"
    try:
        content = yaml.safe_load(path.read_text())
        return CameraInfo(
            height=int(content["image_height"]),
            width=int(content["image_width"]),
            distortion_model=str(content["distortion_model"]),
            d=_numbers(content, "distortion_coefficients"),
            k=_numbers(content, "camera_matrix", 9),
            r=_numbers(content, "rectification_matrix", 9),
            p=_numbers(content, "projection_matrix", 12),
        )
    except KeyError as error:
        raise DataError(
            f"{path} is not a camera calibration: {error} is missing; {hint}"
        ) from error
    except (yaml.YAMLError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a camera calibration: {reason}; {hint}") from error


def _numbers(content: dict, key: str, count: int | None = None) -> list[float]:
    numbers = [float(number) for number in content[key]["data"]]
    if count is not None and len(numbers) != count:
        raise ValueError(f"{key} has {len(numbers)} numbers, not {count}")
    return numbers
