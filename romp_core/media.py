"""Frames from images, folders of images and videos, and videos from frames.

Images are ``(H, W, 3)`` uint8 arrays in BGR order everywhere, OpenCV's own form.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from romp_core.errors import ImageError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".jp2", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
DEFAULT_FPS = 30.0
HIGHEST_FPS = 65535.0
"""Of what `VideoWriter` writes: MPEG-4 counts its time in 65,535 parts of a second at most."""

_WHOLE = 0.98
"""Share of the frames that it claims, at which a video counts as whole: some files estimate."""


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sorting key that puts ``frame2`` before ``frame10``."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def is_image_file(path: str | Path) -> bool:
    """Whether the file's name ends like an image's."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def list_images(folder: str | Path) -> list[Path]:
    """Image files directly in a folder, in natural order.

    Raises:
        FileNotFoundError: the folder does not exist.
        ImageError: there is no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    paths = [path for path in folder.iterdir() if is_image_file(path) and path.is_file()]
    if not paths:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{folder} holds no image; expected files that end in one of {kinds}")
    return sorted(paths, key=natural_key)


def read_image(path: str | Path, *, upright: bool = True) -> np.ndarray:
    """Image file as an ``(H, W, 3)`` uint8 BGR array.

    Args:
        path: of the file.
        upright: turn it by its EXIF orientation; false gives the pixels as they are stored.

    Raises:
        FileNotFoundError: the file does not exist.
        ImageError: the file is not an image that OpenCV can decode.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"image {path} does not exist")
    # Decoding from memory also reads paths that OpenCV's own file access cannot.
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    flags = cv2.IMREAD_COLOR if upright else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(encoded, flags) if encoded.size else None
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(
            f"{path} cannot be decoded as an image ({encoded.size} bytes): "
            "it is damaged, or not an image"
        )
    return image


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an ``(H, W, 3)`` uint8 BGR array in the format that the file's name ends in.

    Raises:
        ImageError: OpenCV cannot write this format.
    """
    path = Path(path)
    try:
        written, encoded = cv2.imencode(path.suffix, image)
    except cv2.error:
        written = False
    if not written:
        raise ImageError(f"{path}: an image of shape {image.shape} cannot be written in this form")
    path.write_bytes(encoded.tobytes())


class ImageFiles:
    """Image files as a sequence of ``(file name, (H, W, 3) uint8 BGR)``, read one at a time.

    Args:
        paths: the files, in order.
        on_unreadable: called with the error of a file that cannot be decoded, which is then
            left out; without it the error is raised.
    """

    def __init__(
        self,
        paths: Iterable[str | Path],
        on_unreadable: Callable[[ImageError], None] | None = None,
    ):
        self.paths = [Path(path) for path in paths]
        self.on_unreadable = on_unreadable

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for path in self.paths:
            try:
                image = read_image(path)
            except ImageError as error:
                if self.on_unreadable is None:
                    raise
                self.on_unreadable(error)
            else:
                yield path.name, image


class Video:
    """Video file as a sequence of ``(frame number as 000000, (H, W, 3) uint8 BGR)``.

    Every iteration starts at the first frame.

    Args:
        path: of the file.
        on_unreadable: called with an error after the last frame where clearly fewer could be read
            than the file claims; without it that is passed over.

    Attributes:
        fps: frames per second; 30 where the file does not say.
        frame_count: number of frames that the file claims, in some forms an estimate; 0 where it
            does not say.

    Raises:
        FileNotFoundError: the file does not exist.
        ImageError: the file is not a video that OpenCV can open, or none of its frames can be read.
    """

    def __init__(
        self,
        path: str | Path,
        on_unreadable: Callable[[ImageError], None] | None = None,
    ):
        self.path = Path(path)
        self.on_unreadable = on_unreadable
        capture = self._open()
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and fps > 0 else DEFAULT_FPS
        self.frame_count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()

    def _open(self) -> cv2.VideoCapture:
        if not self.path.is_file():
            raise FileNotFoundError(f"video {self.path} does not exist")
        # FFmpeg would play a text file: as a terminal that scrolls through it.
        with self.path.open("rb") as file:
            is_text = b"\0" not in file.read(4096)
        # To FFmpeg, `10:30.mp4` is a protocol.
        path = str(self.path.absolute())
        capture = cv2.VideoCapture() if is_text else cv2.VideoCapture(path)
        if not capture.isOpened():
            raise ImageError(
                f"{self.path} cannot be opened as a video: it is damaged, or neither an image "
                "nor a video that OpenCV reads"
            )
        return capture

    def __len__(self) -> int:
        return self.frame_count

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        capture = self._open()
        number, seconds = 0, 0.0
        try:
            while True:
                read, frame = capture.read()
                if not read:
                    break
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                yield f"{number:06d}", frame
                number += 1
        finally:
            capture.release()
        if number == 0:
            raise ImageError(f"{self.path} holds no frame that can be decoded")
        # Where frames last unequally long, their number is estimated by the shortest.
        reached = max(number, seconds * self.fps + 1)
        cut_off = reached < _WHOLE * self.frame_count and number < self.frame_count - 1
        if cut_off and self.on_unreadable is not None:
            self.on_unreadable(
                ImageError(
                    f"{self.path} holds {number} readable frames of the {self.frame_count} that it "
                    "claims; expected all: get or write it again if it is damaged or cut off (one "
                    "trimmed without being encoded anew, or whose sound lasts longer, has no more)"
                )
            )


def open_media(
    source: str | Path, on_unreadable: Callable[[ImageError], None] | None = None
) -> ImageFiles | Video:
    """Frames of an image file, of a folder of images, or of a video.

    Args:
        source: path; a folder means the images directly in it, in natural order.
        on_unreadable: as in `ImageFiles` and `Video`; a damaged single image raises.

    Raises:
        FileNotFoundError: nothing is at that path.
        ImageError: no image is in the folder, the file can be read neither way, or it is a device
            or the like.
    """
    source = Path(source)
    if source.is_dir():
        return ImageFiles(list_images(source), on_unreadable)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; expected an image, a folder or a video")
    if not source.is_file():
        raise ImageError(
            f"{source} is neither a file nor a folder; expected an image, a folder or a video"
        )
    return ImageFiles([source]) if is_image_file(source) else Video(source, on_unreadable)


class VideoWriter:
    """MPEG-4 video (.mp4), frame by frame; a context manager that closes the file.

    The first frame sets the size. The codec stores even sizes: of an odd height or width the last
    row or column is left out.

    Args:
        path: file to write.
        fps: frames per second, above 0 and up to `HIGHEST_FPS`.
    """

    def __init__(self, path: str | Path, fps: float = DEFAULT_FPS):
        self.path = Path(path)
        self.fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._shape: tuple[int, ...] = ()

    def write(self, frame: np.ndarray) -> None:
        """Append an ``(H, W, 3)`` uint8 BGR frame.

        Raises:
            ImageError: the frame differs in shape from the first one, the frame rate is none, or
                OpenCV cannot encode.
        """
        if self._writer is None:
            self._open(frame)
        if frame.shape != self._shape:
            raise ImageError(
                f"{self.path}: frame of shape {frame.shape} in a video of {self._shape}"
            )
        self._writer.write(frame)

    def _open(self, frame: np.ndarray) -> None:
        if not 0 < self.fps <= HIGHEST_FPS:
            raise ImageError(
                f"{self.path}: fps is {self.fps}; expected frames per second above 0, up to "
                f"{HIGHEST_FPS:g}"
            )
        height, width = frame.shape[:2]
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        path = str(self.path.absolute())  # see `Video._open`
        writer = cv2.VideoWriter(path, codec, _storable_fps(self.fps), (width, height))
        if not writer.isOpened():
            raise ImageError(
                f"{self.path}: OpenCV cannot write a {width}x{height} MPEG-4 video of "
                f"{self.fps:g} frames per second; expected sides of at least 2 pixels and a folder "
                "that can be written to"
            )
        self._writer, self._shape = writer, frame.shape

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _storable_fps(fps: float) -> float:
    """The frame rate with only as many decimals as MPEG-4 can hold, three at most."""
    return next(
        rounded
        for decimals in (3, 2, 1, 0)
        if (rounded := round(fps, decimals)) * 10**decimals <= HIGHEST_FPS
    )
