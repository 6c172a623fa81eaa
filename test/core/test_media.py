import cv2
import numpy as np
import pytest

from romp_core.errors import ImageError
from romp_core.media import (
    ImageFiles,
    Video,
    VideoWriter,
    list_images,
    open_media,
    read_image,
    write_image,
)


def gradient(height=48, width=64, offset=0):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, offset)], -1).astype(np.uint8)


def write_video(path, frames=7, height=48, width=64, fps=12.5):
    with VideoWriter(path, fps) as writer:
        for index in range(frames):
            writer.write(np.full((height, width, 3), 30 * index, np.uint8))
    return path


def test_png_round_trip_is_exact_and_keeps_bgr(tmp_path):
    write_image(tmp_path / "a.png", gradient(offset=200))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), gradient(offset=200))


@pytest.mark.parametrize(
    "stored", [gradient()[..., 0], np.dstack([gradient(), gradient()[..., :1]])]
)
def test_grey_and_transparent_images_become_three_channels(tmp_path, stored):
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8


def test_path_beyond_ascii(tmp_path):
    write_image(tmp_path / "Käse 人.png", gradient())
    assert read_image(tmp_path / "Käse 人.png").shape == (48, 64, 3)


def test_videos_may_be_named_after_the_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(list(Video(write_video("2026-11-29T10:30:00.mp4")))) == 7


def test_folder_is_read_in_natural_order_and_ignores_other_files(tmp_path):
    for name in ("frame10.png", "frame2.JPG", "frame1.png", "a.png"):
        write_image(tmp_path / name, gradient())
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    names = ["a.png", "frame1.png", "frame2.JPG", "frame10.png"]
    assert [path.name for path in list_images(tmp_path)] == names
    assert [name for name, _ in open_media(tmp_path)] == names


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 20])
def test_unreadable_image_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.png"):
        read_image(path)
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(open_media(path))


def test_unreadable_image_in_a_folder_is_reported_and_left_out(tmp_path):
    write_image(tmp_path / "1.png", gradient())
    (tmp_path / "2.png").write_bytes(b"broken")
    write_image(tmp_path / "3.png", gradient())
    errors = []
    frames = open_media(tmp_path, on_unreadable=errors.append)
    assert len(frames) == 3
    assert [name for name, _ in frames] == ["1.png", "3.png"]
    assert len(errors) == 1
    assert "2.png" in str(errors[0])
    with pytest.raises(ImageError, match=r"2\.png"):
        list(ImageFiles(list_images(tmp_path)))


@pytest.mark.parametrize("call", [read_image, open_media, list_images, Video])
def test_missing_source_is_named(tmp_path, call):
    with pytest.raises(FileNotFoundError, match="absent"):
        call(tmp_path / "absent")


def test_what_is_neither_file_nor_folder_is_not_said_to_be_absent():
    with pytest.raises(ImageError, match="/dev/null is neither a file nor a folder"):
        open_media("/dev/null")


def test_folder_without_images_says_so(tmp_path):
    with pytest.raises(ImageError, match="holds no image"):
        open_media(tmp_path)


def test_unknown_image_format_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"a\.nothing"):
        write_image(tmp_path / "a.nothing", gradient())


@pytest.mark.parametrize(("height", "width"), [(48, 64), (57, 33), (120, 90)])
def test_video_round_trip(tmp_path, height, width):
    video = open_media(write_video(tmp_path / "clip.mp4", height=height, width=width))
    assert isinstance(video, Video)
    assert len(video) == 7
    assert video.fps == pytest.approx(12.5)
    frames = list(video)
    assert [name for name, _ in frames] == [f"{index:06d}" for index in range(7)]
    for index, (_, frame) in enumerate(frames):
        assert frame.shape == (height // 2 * 2, width // 2 * 2, 3)
        assert abs(frame.mean() - 30 * index) < 4
    assert len(list(video)) == 7, "a second iteration starts again"


@pytest.mark.parametrize("name", ["clip.mp4", "notes.txt"])
def test_file_that_is_no_video_is_named(tmp_path, name):
    (tmp_path / name).write_text("not a video\n" * 100)
    with pytest.raises(ImageError, match=name):
        open_media(tmp_path / name)


def test_video_refuses_a_frame_of_another_size(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(gradient())
        with pytest.raises(ImageError, match=r"\(50, 64, 3\)"):
            writer.write(gradient(height=50))


def test_video_writer_names_a_path_that_cannot_be_written_each_time(tmp_path):
    with VideoWriter(tmp_path / "nowhere" / "clip.mp4") as writer:
        for _ in range(2):
            with pytest.raises(ImageError, match="nowhere"):
                writer.write(gradient())
        (tmp_path / "nowhere").mkdir()
        writer.write(gradient())


def test_frame_too_small_for_a_video_does_not_set_its_size(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for _ in range(2):
            with pytest.raises(ImageError, match="sides of at least 2 pixels"):
                writer.write(gradient(1, 1))
        writer.write(gradient())
    assert [frame.shape for _, frame in open_media(tmp_path / "clip.mp4")] == [(48, 64, 3)]


def write_by_opencv(path, codec, frames=40):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (64, 48))
    for index in range(frames):
        writer.write(gradient(offset=index))
    writer.release()
    return path


@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv"])
def test_video_that_breaks_off_is_reported_after_its_last_frame(tmp_path, name):
    path = write_by_opencv(tmp_path / name, "MJPG")
    errors = []
    assert len(list(open_media(path, errors.append))) == 40
    assert errors == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    readable = len(list(open_media(path)))  # nobody asks: nothing is said
    assert 10 < readable < 30
    assert len(list(open_media(path, errors.append))) == readable
    assert len(errors) == 1
    assert f"{name} holds {readable} readable frames of the 40 that it claims" in str(errors[0])


@pytest.mark.parametrize(
    ("claimed", "fps", "said"),
    [(40, 10, False), (41, 10, False), (42, 10, True), (78, 20, False), (90, 20, True)],
)
def test_frames_that_files_only_estimate_are_not_missed(tmp_path, claimed, fps, said):
    """Not one frame in forty, nor those of a rate that some frames of the video do not have."""
    errors = []
    video = Video(write_by_opencv(tmp_path / "clip.avi", "MJPG"), errors.append)
    video.frame_count, video.fps = claimed, fps
    assert len(list(video)) == 40
    assert bool(errors) == said


@pytest.mark.parametrize("fps", [90000.0, float("nan"), 0.0, -1.0])
def test_video_writer_names_a_frame_rate_that_cannot_be(tmp_path, fps):
    with (
        VideoWriter(tmp_path / "clip.mp4", fps) as writer,
        pytest.raises(ImageError, match=rf"fps is {fps}; expected .* up to 65535"),
    ):
        writer.write(gradient())


@pytest.mark.parametrize("fps", [66.6667, 119.923, 1000.123])
def test_frame_rates_finer_than_mpeg4_counts_are_rounded(tmp_path, fps):
    """As averages over slow motion are."""
    assert Video(write_video(tmp_path / "clip.mp4", fps=fps)).fps == pytest.approx(fps, rel=1e-4)
