"""Where the frames of `image_player` come from: images, folders, videos, webcams; and when.

Nothing here needs ROS. Recordings (rosbag2) are in `ros2_romp.bag_source`.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np

from romp_core.errors import DataError, ImageError
from romp_core.media import ImageFiles, Video, open_media

DEFAULT_RATE = 10.0
"""Frames per second of a source that has no timing of its own."""

BAG_SUFFIXES = (".mcap", ".db3")

Stamp = tuple[int, int]
"""Seconds and nanoseconds, as in builtin_interfaces/Time."""


@dataclass(frozen=True)
class RecordedImage:
    """An image message as a recording holds it.

    Attributes:
        message_type: ``sensor_msgs/msg/Image`` or ``sensor_msgs/msg/CompressedImage``.
        message: the serialised message (CDR with its encapsulation header).
        camera_info: the serialised sensor_msgs/CameraInfo that belongs to it, if there is one.
    """

    message_type: str
    message: bytes
    camera_info: bytes | None


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8 BGR, or a message of a recording.
        time: seconds since the first frame; None where the source has no timing.
        stamp: when the picture was taken as far as the source knows; None where it does not.
    """

    image: np.ndarray | RecordedImage
    time: float | None = None
    stamp: Stamp | None = None


class Source(Protocol):
    """Frames that can be iterated over, from the first one on, any number of times.

    Attributes:
        name: what to call it in messages.
        length: number of frames, as far as known beforehand; None for an endless source.
        period: mean seconds from one frame to the next; None where the source has no timing.
        has_stamps: whether its frames carry stamps.
        live: whether frames come when they come, so that waiting for a receiver would age them.
    """

    name: str
    length: int | None
    period: float | None
    has_stamps: bool
    live: bool

    def __iter__(self) -> Iterator[Frame]: ...


class ImageSource:
    """Image files without any timing."""

    period = None
    has_stamps = False
    live = False

    def __init__(self, name: str, images: ImageFiles):
        self.name = name
        self.images = images
        self.length = len(images)

    def __iter__(self) -> Iterator[Frame]:
        for _, image in self.images:
            yield Frame(image)


class VideoSource:
    """A video at its own frame rate; a frame's stamp is its position in the video."""

    has_stamps = True
    live = False

    def __init__(self, name: str, video: Video):
        self.name = name
        self.video = video
        self.length = len(video)
        self.period = 1 / video.fps

    def __iter__(self) -> Iterator[Frame]:
        for number, (_, image) in enumerate(self.video):
            nanoseconds = round(number * 1e9 / self.video.fps)
            yield Frame(image, number * self.period, divmod(nanoseconds, 1_000_000_000))


class WebcamSource:
    """A camera of this machine.

    Args:
        device: number N of /dev/videoN.
        rate: frames per second to ask the camera for; frames that come sooner are left out.
            None: the camera's own rate.

    Raises:
        DataError: the camera cannot be opened, or stops to deliver.
    """

    length = None
    period = None
    has_stamps = False
    live = True
    JITTER: ClassVar[float] = 0.25
    """Share of a period by which a frame may come early and still be taken."""

    def __init__(self, device: int, rate: float | None = None):
        self.name = f"camera /dev/video{device}"
        self.rate = rate
        self.capture = cv2.VideoCapture(device)
        if not self.capture.isOpened():
            raise DataError(
                f"{self.name} cannot be opened: check that it is plugged in (ls /dev/video*), that "
                "you may read it (group video), and that no other program holds it"
            )
        # The newest picture, not the oldest one that the driver has kept.
        self.capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if rate:
            self.capture.set(cv2.CAP_PROP_FPS, rate)

    def __iter__(self) -> Iterator[Frame]:
        period = 1 / self.rate if self.rate else 0.0
        start = time.monotonic()
        due = 0.0
        while True:
            read, image = self.capture.read()
            if not read:
                raise DataError(f"{self.name} stopped delivering frames: is it still plugged in?")
            elapsed = time.monotonic() - start
            if elapsed >= due - self.JITTER * period:
                due = max(due + period, elapsed)
                yield Frame(image, elapsed)


def open_source(
    source: str,
    *,
    topic: str = "",
    rate: float | None = None,
    on_unreadable: Callable[[ImageError], None] | None = None,
) -> Source:
    """Open what the user named.

    Args:
        source: an image, a folder of images, a video, a rosbag2 (folder, .mcap or .db3), or a
            webcam as N, /dev/videoN or a link to that, such as those in /dev/v4l/by-id.
        topic: image topic of a bag; empty: its first one.
        rate: frames per second to ask a webcam for.
        on_unreadable: called with the error of each damaged image of a folder, which is left out.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ImageError: it is no image, video or folder of images.
        DataError: the camera or the bag cannot be opened, or the bag has no such image topic.
    """
    path = Path(os.path.expanduser(source))
    bag = find_bag(path)
    if bag is not None:
        # Who plays a video does not need the library that reads bags.
        from ros2_romp.bag_source import BagSource

        return BagSource(bag, topic)
    if topic:
        raise DataError(f"a topic ({topic}) was chosen, but {source} is not a rosbag2")
    device = re.fullmatch(r"(?:/dev/video)?(\d+)", source)
    # Names that stay the same, such as those in /dev/v4l/by-id, are links.
    device = device or re.fullmatch(r"/dev/video(\d+)", os.path.realpath(source))
    if device and not (path.is_file() or path.is_dir()):
        return WebcamSource(int(device[1]), rate)
    if not path.exists():
        raise FileNotFoundError(
            f"{source} does not exist; expected an image, a folder of images, a video, a rosbag2, "
            "or a webcam as its number or /dev/videoN"
        )
    media = open_media(path, on_unreadable)
    if isinstance(media, Video):
        return VideoSource(source, media)
    return ImageSource(source, media)


def find_bag(path: Path) -> Path | None:
    """The folder or file to open as a rosbag2; None where `path` is something else.

    Raises:
        DataError: a folder with several bag files and no metadata.yaml that joins them.
    """
    if path.is_file():
        return path if path.suffix in BAG_SUFFIXES else None
    if not path.is_dir():
        return None
    if (path / "metadata.yaml").is_file():
        return path
    # A recorder that was killed leaves its file without the metadata.
    files = [file for file in path.iterdir() if file.suffix in BAG_SUFFIXES]
    if len(files) > 1:
        raise DataError(
            f"{path} holds {len(files)} bag files but no metadata.yaml: run `ros2 bag reindex "
            f"{path}`, or name one of the files"
        )
    return files[0] if files else None


def timed_frames(
    source: Source, rate: float | None = None, loop: bool = False
) -> Iterator[tuple[float, Frame]]:
    """Frames of a source, and when each one is due in seconds from the start.

    Args:
        source: what to play.
        rate: frames per second; None: the source's own timing, `DEFAULT_RATE` if it has none.
            A live source keeps its own time, which its rate already shapes.
        loop: start again after the last frame, without end.

    Raises:
        DataError: the source gave no frame at all.
    """
    own_timing = source.live or (rate is None and source.period is not None)
    period = source.period if own_timing else 1 / (rate or DEFAULT_RATE)
    start = 0.0
    while True:
        number = -1
        due = start
        for number, frame in enumerate(source):
            due = start + (frame.time if own_timing else number * period)
            yield due, frame
        if number < 0:
            raise DataError(f"{source.name}: none of its frames could be read")
        if not loop:
            return
        start = due + period
