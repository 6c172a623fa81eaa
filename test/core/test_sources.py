import itertools
import sqlite3

import bag_files
import cv2
import numpy as np
import pytest
from bag_files import STAMPS, STORAGES, STORE, write_bag

from romp_core.errors import DataError, ImageError
from romp_core.media import VideoWriter
from ros2_romp.bag_source import BagSource, camera_info_topic, read_stamp
from ros2_romp.sources import Frame, WebcamSource, open_source, timed_frames


def write_image(path, value=0):
    cv2.imwrite(str(path), np.full((4, 6, 3), value, np.uint8))


def decode(message, kind):
    return STORE.deserialize_cdr(message, f"sensor_msgs/msg/{kind}")


class Frames:
    """A source of given times."""

    name = "frames"
    has_stamps = False
    live = False

    def __init__(self, times, period=None):
        self.times = times
        self.period = period
        self.length = len(times)

    def __iter__(self):
        return (Frame(np.zeros((1, 1, 3), np.uint8), time) for time in self.times)


def due_times(*arguments, count=100, **options):
    return [due for due, _ in itertools.islice(timed_frames(*arguments, **options), count)]


def test_frames_without_timing_come_at_ten_per_second_or_the_chosen_rate():
    assert due_times(Frames([None] * 3)) == pytest.approx([0, 0.1, 0.2])
    assert due_times(Frames([None] * 3), rate=4) == pytest.approx([0, 0.25, 0.5])


def test_own_timing_is_kept_unless_a_rate_is_chosen():
    source = Frames([0, 0.5, 0.6], period=0.3)
    assert due_times(source) == [0, 0.5, 0.6]
    assert due_times(source, rate=2) == [0, 0.5, 1]


def test_loop_goes_on_one_period_after_the_last_frame():
    source = Frames([0, 0.5], period=0.25)
    assert due_times(source, loop=True, count=5) == [0, 0.5, 0.75, 1.25, 1.5]
    assert due_times(source, rate=1, loop=True, count=5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("loop", [False, True])
def test_source_without_a_frame_is_an_error_and_no_endless_loop(loop):
    with pytest.raises(DataError, match="none of its frames"):
        next(timed_frames(Frames([]), loop=loop))


def test_image_is_a_source_of_one_frame(tmp_path):
    write_image(tmp_path / "a.png", 7)
    source = open_source(str(tmp_path / "a.png"))
    (frame,) = source
    assert source.length == 1
    assert (frame.image == 7).all()
    assert frame.time is None
    assert frame.stamp is None


@pytest.mark.parametrize(
    "stored",
    [
        np.full((4, 6), 0x1234, np.uint16),
        np.full((4, 6), 0x12, np.uint8),
        np.dstack([np.full((4, 6, 3), 0x12, np.uint8), np.zeros((4, 6), np.uint8)]),
        np.full((4, 6, 3), 0x1234, np.uint16),
    ],
    ids=["grey16", "grey8", "transparent", "colour16"],
)
def test_every_depth_and_channel_count_becomes_bgr8(tmp_path, stored):
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    (frame,) = open_source(str(tmp_path / "a.png"))
    assert frame.image.dtype == np.uint8
    np.testing.assert_array_equal(frame.image, np.full((4, 6, 3), 0x12))


def test_folder_leaves_out_damaged_images_and_names_them(tmp_path):
    for number in (1, 2, 10):
        write_image(tmp_path / f"{number}.png", number)
    (tmp_path / "3.png").write_bytes(b"broken")
    errors = []
    frames = list(open_source(str(tmp_path), on_unreadable=errors.append))
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 10]
    assert len(errors) == 1
    assert "3.png" in str(errors[0])


def test_video_has_its_own_times_and_positions_as_stamps(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", fps=12.5) as writer:
        for number in range(30):
            writer.write(np.full((16, 32, 3), 8 * number, np.uint8))
    source = open_source(str(tmp_path / "clip.mp4"))
    frames = list(source)
    assert source.length == len(frames) == 30
    assert [frame.time for frame in frames] == pytest.approx([0.08 * n for n in range(30)])
    assert frames[0].stamp == (0, 0)
    assert frames[14].stamp == (1, 120_000_000)
    assert abs(frames[14].image.mean() - 8 * 14) < 4


class FakeCapture:
    """Camera of 30 frames per second that is unplugged after three seconds."""

    def __init__(self, clock):
        self.clock = clock
        self.frames = 0
        self.settings = {}

    def isOpened(self):
        return True

    def set(self, key, value):
        self.settings[key] = value

    def read(self):
        self.frames += 1
        jitter = (-1) ** self.frames * 0.004
        self.clock[0] = 100 + self.frames / 30 + jitter
        return self.frames <= 90, np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize("name", ["3", "/dev/video3", "{}/front_camera"])
@pytest.mark.parametrize(("rate", "expected"), [(None, 90), (30, 90), (10, 30), (1, 3)])
def test_webcam_thins_its_frames_to_the_rate_and_tells_when_it_stops(
    monkeypatch, tmp_path, name, rate, expected
):
    clock = [100.0]
    capture = FakeCapture(clock)
    monkeypatch.setattr("ros2_romp.sources.cv2.VideoCapture", {3: capture}.get)
    monkeypatch.setattr("ros2_romp.sources.time.monotonic", lambda: clock[0])
    (tmp_path / "front_camera").symlink_to("/dev/video3")  # as in /dev/v4l/by-id
    source = open_source(name.format(tmp_path), rate=rate)
    assert isinstance(source, WebcamSource)
    assert source.live
    assert capture.settings.get(cv2.CAP_PROP_FPS) == rate
    times = []
    with pytest.raises(DataError, match="video3 stopped"):
        times.extend(due for due, _ in timed_frames(source, rate))  # extend keeps what came
    assert len(times) == pytest.approx(expected, abs=1)


def test_folder_with_a_number_for_a_name_is_no_webcam(tmp_path, monkeypatch):
    (tmp_path / "97").mkdir()
    write_image(tmp_path / "97" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert open_source("97").length == 1


def test_absent_webcam_is_named():
    with pytest.raises(DataError, match="/dev/video97 cannot be opened"):
        open_source("97")


def bag_with_images(path, storage, encoding="rgb8", channels=3):
    messages = [("/chatter", bag_files.text("hello"), 0)]
    for number, stamp in enumerate(STAMPS):
        picture = bag_files.image(stamp, number, encoding, channels)
        info = bag_files.camera_info(stamp, focal=500.0 + number)
        # A driver's camera_info may come first, last, or after a while.
        pair = [("/front/image_raw", picture, number / 10)]
        pair.insert(number % 2, ("/front/camera_info", info, number / 10 + 0.01 * (number % 2)))
        messages += pair
    return write_bag(path, messages, storage)


@pytest.mark.parametrize("single_file", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
def test_bag_gives_each_message_with_its_own_camera_info(tmp_path, storage, single_file):
    path = bag_with_images(tmp_path / "bag", storage, "mono16", 2)
    if single_file:
        (path / "metadata.yaml").unlink()
    source = open_source(str(path))
    frames = list(source)
    assert (source.topic, source.length) == ("/front/image_raw", len(STAMPS))
    assert [frame.stamp for frame in frames] == STAMPS
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for number, (frame, stamp) in enumerate(zip(frames, STAMPS, strict=True)):
        written = bag_files.image(stamp, number, "mono16", 2)
        assert frame.image.message == STORE.serialize_cdr(written, written.__msgtype__)
        info = decode(frame.image.camera_info, "CameraInfo")
        assert (info.header.stamp.sec, info.header.stamp.nanosec) == stamp
        assert info.k[0] == 500.0 + number
    assert len(list(source)) == len(STAMPS), "a second iteration starts again"


def test_images_before_the_first_camera_info_get_it_too(tmp_path):
    messages = [("/image", bag_files.image((n, 0), n), n) for n in range(3)]
    messages.insert(2, ("/camera_info", bag_files.camera_info((9, 9), focal=77.0), 1.5))
    for frame in BagSource(write_bag(tmp_path / "bag", messages)):
        assert decode(frame.image.camera_info, "CameraInfo").k[0] == 77.0


def test_camera_info_of_another_camera_is_not_used(tmp_path):
    messages = [
        ("/front/image", bag_files.image((1, 0)), 0),
        ("/rear/camera_info", bag_files.camera_info((1, 0)), 0),
    ]
    (frame,) = BagSource(write_bag(tmp_path / "bag", messages))
    assert frame.image.camera_info is None


def test_topic_is_the_first_one_or_the_chosen_one(tmp_path):
    depth = bag_files.compressed_image((1, 0), b"depth")
    path = write_bag(
        tmp_path / "bag",
        [
            ("/depth/compressedDepth", depth, 0),
            ("/front/image", bag_files.image((1, 0)), 0),
            ("/rear/image/compressed", bag_files.compressed_image((2, 0), b"jpeg"), 0),
        ],
    )
    assert BagSource(path).topic == "/front/image"
    (frame,) = open_source(str(path), topic="rear/image/compressed")
    assert frame.stamp == (2, 0)
    with pytest.raises(DataError, match="/front/image, /rear/image/compressed"):
        open_source(str(path), topic="/image")


@pytest.mark.parametrize(
    ("image", "info"),
    [
        ("/front/image_raw", "/front/camera_info"),
        ("/front/image_raw/compressed", "/front/camera_info"),
        ("/image", "/camera_info"),
        ("/image/compressed", "/camera_info"),
    ],
)
def test_camera_info_lies_beside_the_image(image, info):
    assert camera_info_topic(image) == info


def test_stamp_is_read_in_both_byte_orders():
    assert read_stamp(b"\0\1\0\0" + b"\1\0\0\0" + b"\2\0\0\0") == (1, 2)
    assert read_stamp(b"\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\2") == (1, 2)
    assert read_stamp(b"\0\1\0\0" + b"\xff\xff\xff\xff" + b"\2\0\0\0") == (-1, 2)


def test_bag_of_one_image_can_be_looped(tmp_path):
    source = BagSource(write_bag(tmp_path / "bag", [("/image", bag_files.image((1, 0)), 0)]))
    assert due_times(source, loop=True, count=3) == pytest.approx([0, 0.1, 0.2])


def test_bag_without_an_image_topic_says_what_it_holds(tmp_path):
    path = write_bag(tmp_path / "bag", [("/chatter", bag_files.text("hello"), 0)])
    with pytest.raises(DataError, match=r"no image topic.*/chatter \(std_msgs/msg/String\)"):
        open_source(str(path))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.95])
def test_bag_that_was_cut_short_is_a_named_error(tmp_path, storage, kept):
    path = bag_with_images(tmp_path / "bag", storage)
    (file,) = (file for file in path.iterdir() if file.suffix != ".yaml")
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match="reindex"):
        list(timed_frames(open_source(str(path))))


def test_recording_without_metadata_in_several_files_asks_for_a_reindex(tmp_path):
    for name in ("a.mcap", "b.mcap"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="reindex"):
        open_source(str(tmp_path))


def test_other_database_is_no_bag(tmp_path):
    with sqlite3.connect(tmp_path / "a.db3") as database:
        database.execute("CREATE TABLE messages (id INTEGER)")
    with pytest.raises(DataError, match=r"a\.db3 cannot be read as a rosbag2"):
        open_source(str(tmp_path / "a.db3"))


def test_topic_makes_sense_for_bags_only(tmp_path):
    write_image(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a rosbag2"):
        open_source(str(tmp_path / "a.png"), topic="/image")


def test_source_may_be_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 8, 3), np.uint8))
    assert open_source("~/a.png").length == 1


def test_absent_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        open_source(str(tmp_path / "absent"))


@pytest.mark.parametrize("link", [False, True])
def test_device_that_is_no_camera_is_not_said_to_be_absent(tmp_path, link):
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(ImageError, match="null is neither a file nor a folder"):
        open_source(str(tmp_path / "null") if link else "/dev/null")


def test_folder_without_images_is_named(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        open_source(str(tmp_path))
