"""Frames of a rosbag2, each with the camera_info that was recorded with it. Needs no ROS."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from romp_core.errors import DataError, RompError
from ros2_romp.cdr import CdrReader
from ros2_romp.sources import DEFAULT_RATE, Frame, RecordedImage, Stamp

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

CAMERA_INFOS_KEPT = 16
"""How far apart, in messages, an image and its camera_info may have been recorded."""


class BagSource:
    """One image topic of a rosbag2 (sqlite3 or mcap), in the order and timing of its recording.

    Args:
        path: the bag's folder, or one .mcap or .db3 file.
        topic: its image topic, raw or compressed; empty: the first one.

    Attributes:
        topic: name of the image topic.
        camera_info_topic: the topic beside it that holds its camera_info, if the bag has one.

    Raises:
        DataError: the bag cannot be read, or holds no such image topic.
    """

    has_stamps = True
    live = False

    def __init__(self, path: Path, topic: str = ""):
        self.path = path
        with self._reader() as reader:
            image = _choose_image(path, reader.connections, topic)
            self.topic = image.topic
            beside = camera_info_topic(image.topic)
            recorded = {connection.topic: connection.msgtype for connection in reader.connections}
            self.camera_info_topic = beside if recorded.get(beside) == CAMERA_INFO else None
            self.length = reader.topics[image.topic].msgcount
            self.period = (
                reader.duration * 1e-9 / self.length if self.length > 1 else 1 / DEFAULT_RATE
            )
        self.name = f"{path} {self.topic}"

    def __iter__(self) -> Iterator[Frame]:
        with self._reader() as reader:
            start = None
            for message_type, time, message, camera_info in self._images(reader):
                start = time if start is None else start
                yield Frame(
                    RecordedImage(message_type, message, camera_info),
                    (time - start) * 1e-9,
                    read_stamp(message),
                )

    def _images(self, reader: Reader) -> Iterator[tuple[str, int, bytes, bytes | None]]:
        """Type, time of recording in ns, message and camera_info of each image.

        A camera_info may have been recorded shortly before its image or after it, so each image
        waits for the next one before it goes out.
        """
        infos = deque(self._first_camera_info(reader), CAMERA_INFOS_KEPT)
        waiting = None
        for connection, time, data in reader.messages(self._connections(reader)):
            if connection.topic == self.camera_info_topic:
                infos.append(bytes(data))
                continue
            if waiting:
                yield *waiting, _matching(infos, waiting[-1])
            waiting = connection.msgtype, time, bytes(data)
        if waiting:
            yield *waiting, _matching(infos, waiting[-1])

    def _connections(self, reader: Reader) -> list[Connection]:
        topics = (self.topic, self.camera_info_topic)
        return [connection for connection in reader.connections if connection.topic in topics]

    def _first_camera_info(self, reader: Reader) -> Iterator[bytes]:
        """The calibration for images that were recorded before the first camera_info."""
        if self.camera_info_topic:
            connections = reader.topics[self.camera_info_topic].connections
            for _, _, data in reader.messages(connections):
                yield bytes(data)
                return

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        try:
            with Reader(self.path) as reader:
                yield reader
        except RompError:
            raise
        # On a file that ends in the middle of a record rosbags raises whatever it stumbles over:
        # its own errors, sqlite's, struct's, assertions.
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise DataError(
                f"{self.path} cannot be read as a rosbag2 ({reason}): if its recording was cut "
                "short, `ros2 bag reindex` may repair it"
            ) from error


def camera_info_topic(image_topic: str) -> str:
    """Name beside the image's, as drivers publish it: /front/camera_info for /front/image_raw.

    The suffix that a compressed transport adds to the image's name does not count.
    """
    camera, _, _ = image_topic.removesuffix("/compressed").rpartition("/")
    return f"{camera}/camera_info"


def read_stamp(message: bytes) -> Stamp:
    """Stamp of a serialised message that begins with a std_msgs/Header.

    Raises:
        CdrError: the message is too short, or none.
    """
    reader = CdrReader(message)
    return reader.number("i"), reader.number("I")


def _matching(infos: Iterable[bytes], image: bytes) -> bytes | None:
    """The camera_info of the image's stamp; the newest one where none has it."""
    stamp = read_stamp(image)
    newest = None
    for info in infos:
        if read_stamp(info) == stamp:
            return info
        newest = info
    return newest


def _image_topics(connections: Iterable[Connection]) -> list[str]:
    """Names of the image topics; those of depth images in a transport of their own do not count."""
    return list(
        dict.fromkeys(
            connection.topic
            for connection in connections
            if connection.msgtype in (RAW, COMPRESSED)
            and not connection.topic.endswith("/compressedDepth")
        )
    )


def _choose_image(path: Path, connections: list[Connection], topic: str) -> Connection:
    names = _image_topics(connections)
    if not names:
        found = ", ".join(f"{c.topic} ({c.msgtype})" for c in connections) or "no topic at all"
        raise DataError(
            f"{path} holds no image topic; expected {RAW} or {COMPRESSED}, found {found}"
        )
    chosen = f"/{topic.lstrip('/')}" if topic else names[0]
    if chosen not in names:
        raise DataError(f"{path} has no image topic {chosen}; choose one of {', '.join(names)}")
    return next(connection for connection in connections if connection.topic == chosen)
