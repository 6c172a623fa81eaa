import hashlib
import signal

import bag_files
import cv2
import numpy as np
import pytest
from bag_files import STAMPS, STORAGES, write_bag
from processes import finish, next_line
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from romp_core.media import VideoWriter

CALIBRATION = """
image_width: 8
image_height: 6
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [7.5, 0, 3.5, 0, 7.25, 2.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [7.5, 0, 3.5, 0, 0, 7.25, 2.5, 0, 0, 0, 1, 0]}
"""


class Listener:
    """What the test's own process hears of a player."""

    def __init__(self, node, spin_until, image_type=Image, image_topic="image", info="camera_info"):
        self.images = []
        self.infos = []
        self.spin_until = spin_until
        qos = QoSProfile(depth=1000)
        node.create_subscription(image_type, image_topic, self.images.append, qos)
        node.create_subscription(CameraInfo, info, self.infos.append, qos)

    def hear_out(self, process):
        """Everything that comes until the player ends and a while after, for stragglers."""
        self.spin_until(lambda: process.poll() is not None)
        quiet = iter(range(10))
        heard = None

        def is_quiet():
            nonlocal quiet, heard
            if heard != (now := (len(self.images), len(self.infos))):
                quiet, heard = iter(range(10)), now
            return next(quiet, None) is None

        self.spin_until(is_quiet)

    @property
    def stamps(self):
        return [stamp_of(message) for message in self.images]


def stamp_of(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


def pixels_of(message):
    shape = message.height, message.width, 3
    return np.frombuffer(message.data, np.uint8).reshape(shape)


def decoded(message):
    return cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def play(start_process):
    """Start the player with these arguments; it waits for the test to listen."""

    def start(*arguments):
        return start_process(
            "-m", "ros2_romp.image_player", "--wait-for-subscriber", *map(str, arguments)
        )

    return start


def assert_camera_infos_belong(listener, frame_id):
    """Every image has one camera_info with its header."""
    assert [stamp_of(info) for info in listener.infos] == listener.stamps
    assert {m.header.frame_id for m in listener.images + listener.infos} == {frame_id}


def noise_images(folder, count, height=6, width=8):
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return images


def test_photos_arrive_once_each_with_equal_pixels(shared, tmp_path, node, spin_until, play):
    photos = sorted((shared / "samples").rglob("*.jpg"))
    if not photos:
        pytest.skip(f"{shared / 'samples'} holds no photo")
    (tmp_path / "photos").mkdir()
    for number, photo in enumerate(photos):
        (tmp_path / "photos" / f"{number}.jpg").symlink_to(photo)
    listener = Listener(node, spin_until)
    process = play(tmp_path / "photos", "--rate", 50)
    listener.hear_out(process)
    assert f"sent {len(photos)} frames" in finish(process)
    assert len(listener.images) == len(photos)
    for photo, message, info in zip(photos, listener.images, listener.infos, strict=True):
        expected = cv2.imread(str(photo), cv2.IMREAD_COLOR)
        assert (message.height, message.width, message.encoding) == (*expected.shape[:2], "bgr8")
        np.testing.assert_array_equal(pixels_of(message), expected)
        assert (info.height, info.width) == expected.shape[:2]
        assert not info.k.any(), "nobody knows this camera"
    assert_camera_infos_belong(listener, "camera")
    assert listener.stamps == sorted(set(listener.stamps)), "the current time goes forward"


@pytest.mark.parametrize("storage", STORAGES)
def test_bag_arrives_bit_for_bit(tmp_path, node, spin_until, play, storage):
    count = 100
    messages, written = [], []
    for number in range(count):
        stamp = 1_700_000_000 - 3 * number, (1 + number * 123_456_789) % 1_000_000_000
        written.append(bag_files.image(stamp, number, "mono16", 2))
        info = bag_files.camera_info(stamp, focal=500.0 + number)
        messages.append(("/front/image_raw", written[-1], number / 200))
        messages.append(("/front/camera_info", info, number / 200))
    path = write_bag(tmp_path / "bag", messages, storage)
    listener = Listener(node, spin_until)
    process = play(path, "--keep-stamps")
    listener.hear_out(process)
    finish(process)
    assert [info.k[0] for info in listener.infos] == [500 + number for number in range(count)]
    for sent, message in zip(written, listener.images, strict=True):
        assert stamp_of(message) == stamp_of(sent)
        assert (message.height, message.width, message.step) == (6, 8, 16)
        assert message.encoding == "mono16"
        assert bytes(message.data) == sent.data.tobytes()
    assert_camera_infos_belong(listener, "front_optical")


def test_bag_gets_current_stamps_and_another_frame_on_request(tmp_path, node, spin_until, play):
    messages = [("/image", bag_files.image(stamp), 0) for stamp in STAMPS]
    listener = Listener(node, spin_until)
    before = node.get_clock().now().seconds_nanoseconds()
    process = play(write_bag(tmp_path / "bag", messages), "--frame-id", "rear", "--rate", 100)
    listener.hear_out(process)
    finish(process)
    assert len(listener.images) == len(STAMPS)
    assert before < listener.stamps[0]
    assert listener.stamps == sorted(set(listener.stamps))
    assert_camera_infos_belong(listener, "rear")


@pytest.fixture
def compressed_bag(tmp_path):
    """Bag of JPEG images, and their bytes."""
    rng = np.random.default_rng(1)
    images = [
        cv2.imencode(".jpg", rng.integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
        for _ in STAMPS
    ]
    messages = [
        ("/front/image_raw/compressed", bag_files.compressed_image(stamp, jpeg), number / 100)
        for number, (stamp, jpeg) in enumerate(zip(STAMPS, images, strict=True))
    ]
    return write_bag(tmp_path / "bag", messages), images


def test_compressed_bag_stays_as_it_is(compressed_bag, node, spin_until, play):
    path, jpegs = compressed_bag
    listener = Listener(node, spin_until, CompressedImage, "image/compressed")
    process = play(path, "--compressed", "--keep-stamps")
    listener.hear_out(process)
    finish(process)
    assert [bytes(message.data) for message in listener.images] == jpegs
    assert listener.stamps == STAMPS
    assert_camera_infos_belong(listener, "front_optical")
    assert {(info.height, info.width) for info in listener.infos} == {(48, 64)}


def test_compressed_bag_can_be_played_raw(compressed_bag, node, spin_until, play):
    path, jpegs = compressed_bag
    listener = Listener(node, spin_until)
    process = play(path, "--keep-stamps")
    listener.hear_out(process)
    finish(process)
    assert listener.stamps == STAMPS
    for message, jpeg in zip(listener.images, jpegs, strict=True):
        expected = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(pixels_of(message), expected)
    assert_camera_infos_belong(listener, "front_optical")


def test_raw_bag_can_be_played_compressed(tmp_path, node, spin_until, play):
    picture = bag_files.image((3, 4), encoding="mono8", channels=1, height=48, width=64)
    picture.data[:] = np.repeat(np.arange(48, dtype=np.uint8) * 5, 64)
    path = write_bag(tmp_path / "bag", [("/image", picture, 0)])
    listener = Listener(node, spin_until, CompressedImage, "image/compressed")
    process = play(path, "--compressed", "--keep-stamps")
    listener.hear_out(process)
    finish(process)
    (message,) = listener.images
    expected = np.repeat(picture.data.reshape(48, 64, 1), 3, axis=2)
    assert np.abs(decoded(message).astype(int) - expected).max() <= 4
    assert (message.format, listener.stamps) == ("jpeg", [(3, 4)])


def test_depth_image_cannot_be_compressed_and_says_so(tmp_path, play, node, spin_until):
    depth = bag_files.image((3, 4), encoding="32FC1", channels=4)
    listener = Listener(node, spin_until, CompressedImage, "image/compressed")
    process = play(write_bag(tmp_path / "bag", [("/depth", depth, 0)]), "--compressed")
    listener.hear_out(process)
    assert "32FC1" in finish(process, expected=2)


def test_video_arrives_frame_by_frame_with_its_positions(tmp_path, node, spin_until, play):
    count = 50
    with VideoWriter(tmp_path / "clip.mp4", fps=50) as writer:
        for number in range(count):
            writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
    listener = Listener(node, spin_until)
    process = play(tmp_path / "clip.mp4", "--keep-stamps", "--frame-id", "film")
    listener.hear_out(process)
    finish(process)
    assert listener.stamps == [(0, 20_000_000 * number) for number in range(count)]
    for number, message in enumerate(listener.images):
        assert abs(pixels_of(message).mean() - 5 * number) < 4
    assert_camera_infos_belong(listener, "film")
    assert not any(info.k.any() for info in listener.infos), "nobody knows this camera"


def test_images_as_jpeg(tmp_path, node, spin_until, play):
    (tmp_path / "images").mkdir()
    gradient = np.repeat(np.arange(48, dtype=np.uint8)[:, None, None] * 5, 64, 1).repeat(3, 2)
    cv2.imwrite(str(tmp_path / "images" / "0.png"), gradient)
    listener = Listener(node, spin_until, CompressedImage, "image/compressed")
    process = play(tmp_path / "images", "--compressed", "--horizontal-fov-deg", 90)
    listener.hear_out(process)
    finish(process)
    (message,) = listener.images
    assert message.format == "jpeg"
    assert listener.infos[0].k[0] == pytest.approx(32)
    assert np.abs(decoded(message).astype(int) - gradient).max() <= 4
    assert_camera_infos_belong(listener, "camera")


def test_subscriber_gets_every_frame_of_a_player_that_is_faster(tmp_path, node, spin_until, play):
    images = noise_images(tmp_path / "images", 60, height=480, width=640)
    listener = Listener(node, spin_until)
    process = play(tmp_path / "images", "--rate", 10_000)
    listener.hear_out(process)
    finish(process)
    received = [hashlib.sha256(message.data).digest() for message in listener.images]
    assert received == [hashlib.sha256(image).digest() for image in images]
    assert_camera_infos_belong(listener, "camera")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_loop_goes_on_until_a_signal_and_ends_cleanly(tmp_path, node, spin_until, play, number):
    images = noise_images(tmp_path / "images", 3)
    listener = Listener(node, spin_until)
    process = play(tmp_path / "images", "--loop", "--rate", 100)
    spin_until(lambda: len(listener.images) > 10)
    process.send_signal(number)
    listener.hear_out(process)
    assert f"sent {len(listener.images)} frames" in finish(process)
    for index, message in enumerate(listener.images):
        np.testing.assert_array_equal(pixels_of(message), images[index % 3])
    assert_camera_infos_belong(listener, "camera")


def test_signal_ends_the_wait_for_a_subscriber(tmp_path, play):
    noise_images(tmp_path / "images", 1)
    process = play(tmp_path / "images")
    assert "waiting" in next_line(process)
    process.send_signal(signal.SIGINT)
    assert "sent 0 frames" in finish(process)


@pytest.mark.parametrize(
    ("options", "image_type", "topic"),
    [
        ((), Image, "/rear/image_raw"),
        (("--compressed",), CompressedImage, "/rear/image_raw/compressed"),
    ],
)
def test_topics_can_be_remapped_and_have_a_namespace(
    tmp_path, node, spin_until, play, options, image_type, topic
):
    noise_images(tmp_path / "images", 2)
    listener = Listener(node, spin_until, image_type, topic, "/rear/camera_info")
    ros_arguments = ["--ros-args", "-r", "image:=image_raw", "-r", "__ns:=/rear"]
    process = play(tmp_path / "images", *options, *ros_arguments)
    listener.hear_out(process)
    finish(process)
    assert len(listener.images) == 2
    assert_camera_infos_belong(listener, "camera")


def test_damaged_image_in_a_folder_is_named_and_counted(tmp_path, node, spin_until, play):
    images = noise_images(tmp_path / "images", 3)
    (tmp_path / "images" / "1.png").write_bytes(b"broken")
    listener = Listener(node, spin_until)
    process = play(tmp_path / "images")
    listener.hear_out(process)
    output = finish(process)
    assert "1.png" in output
    assert "left out 1" in output
    for message, image in zip(listener.images, images[::2], strict=True):
        np.testing.assert_array_equal(pixels_of(message), image)


def test_given_calibration_is_published(tmp_path, node, spin_until, play):
    noise_images(tmp_path / "images", 1)
    (tmp_path / "front.yaml").write_text(CALIBRATION)
    listener = Listener(node, spin_until)
    process = play(tmp_path / "images", "--camera-info", tmp_path / "front.yaml")
    listener.hear_out(process)
    finish(process)
    (info,) = listener.infos
    assert list(info.k) == [7.5, 0, 3.5, 0, 7.25, 2.5, 0, 0, 1]
    assert list(info.d) == [0.1, -0.2, 0, 0, 0]
    assert_camera_infos_belong(listener, "camera")


def make_bad_inputs(folder):
    """Files that cannot be played, and one that can."""
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("not an image\n" * 50)
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    (folder / "all_broken").mkdir()
    (folder / "all_broken" / "a.png").write_bytes(b"broken")
    (folder / "broken.mcap").write_bytes(b"broken")
    (folder / "other.yaml").write_text("a: 1\n")
    (folder / "large.yaml").write_text(CALIBRATION.replace("8", "16"))
    (folder / "short.yaml").write_text(CALIBRATION.replace("7.25, 2.5", "7.25"))
    write_bag(folder / "bag", [("/image", bag_files.image((1, 0)), 0)])
    write_bag(folder / "chatter", [("/chatter", bag_files.text("hello"), 0)])
    cv2.imwrite(str(folder / "good.png"), np.zeros((6, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent"], "absent does not exist"),
        (["/dev/video97"], "video97 cannot be opened"),
        (["empty"], "holds no image"),
        (["notes.txt"], "neither an image nor a video"),
        (["broken.jpg"], "cannot be decoded"),
        (["broken.mp4"], "cannot be opened as a video"),
        (["broken.mcap"], "cannot be read as a rosbag2"),
        (["chatter"], "no image topic"),
        (["bag", "--topic", "/front"], "no image topic /front; choose one of /image"),
        (["good.png", "--topic", "/front"], "not a rosbag2"),
        (["good.png", "--keep-stamps"], "no stamps to keep"),
        (["good.png", "--camera-info", "absent.yaml"], "absent.yaml does not exist"),
        (["good.png", "--camera-info", "other.yaml"], "'image_height' is missing"),
        (["good.png", "--camera-info", "short.yaml"], "camera_matrix has 8 numbers, not 9"),
        (["good.png", "--camera-info", "large.yaml"], "16x6 pixels"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, start_process, arguments, sentence):
    make_bad_inputs(tmp_path)
    process = start_process("-m", "ros2_romp.image_player", *arguments)
    (line,) = finish(process, expected=2).splitlines()
    assert sentence in line


def test_folder_of_damaged_images_names_them_and_exits_with_2(tmp_path, start_process):
    make_bad_inputs(tmp_path)
    process = start_process("-m", "ros2_romp.image_player", "all_broken", "--loop")
    first, last = finish(process, expected=2).splitlines()
    assert "a.png" in first
    assert "none of its frames" in last


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png", "--absent"],
        ["a.png", "--rate", "0"],
        ["a.png", "--horizontal-fov-deg", "180"],
        ["a.png", "--ros-args", "-r", "image"],
    ],
)
def test_wrong_options_exit_with_2(start_process, arguments):
    process = start_process("-m", "ros2_romp.image_player", *arguments)
    assert "usage: image_player" in finish(process, expected=2)


def test_help_shows_the_options(start_process):
    output = finish(start_process("-m", "ros2_romp.image_player", "--help"))
    assert "--keep-stamps" in output
    assert "--ros-args" in output
