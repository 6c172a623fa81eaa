import cv2
import numpy as np
import pytest

from romp_core import media
from romp_core.body.files import write_body
from romp_core.checkpoints import write_checkpoint
from romp_core.cli import main
from romp_core.commands import predict as command
from romp_core.commands.predict import predict
from romp_core.errors import ConfigError, ImageError, RendererError
from romp_core.model import load
from romp_core.people import People


@pytest.fixture(scope="module")
def model(tmp_path_factory, light_network, small_body_data):
    """Options that name random weights and a made-up body."""
    folder = tmp_path_factory.mktemp("model")
    weights, body = folder / "weights.safetensors", folder / "body.npz"
    write_checkpoint(weights, light_network, root_align=True, body=small_body_data.name)
    write_body(small_body_data, body)
    fast = {"device": "cpu", "runtime": "torch", "max_people": 3}  # the runtime that starts fast
    return {"weights": str(weights), "body": str(body), **fast}


def picture(seed, height=90, width=140):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height))


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for number in (1, 2, 10):
        media.write_image(source / f"{number}.png", picture(number))
    return source


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_image_gives_overlay_and_people(model, folder, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    predict(folder / "2.png", out, **model)
    assert names(out) == ["2.npz", "2.overlay.jpg"]
    people = People.load(out / "2.npz")
    assert len(people) == 3
    overlay = media.read_image(out / "2.overlay.jpg")
    assert overlay.shape == (90, 140, 3)
    assert np.abs(overlay.astype(int) - picture(2)).max() > 60
    assert "1 frames, 3 people" in capsys.readouterr().out


def test_people_equal_what_the_library_predicts(model, folder, tmp_path):
    camera = (150.0, 155.0, 60.0, 40.0)
    predict(folder / "2.png", tmp_path / "out", intrinsics=camera, **model)
    romp = load(**model)
    K = np.array([[150, 0, 60], [0, 155, 40], [0, 0, 1]])
    expected = romp.predict(picture(2), K)
    found = People.load(tmp_path / "out" / "2.npz")
    np.testing.assert_array_equal(found.translation, expected.translation)
    np.testing.assert_array_equal(found.vertices, expected.vertices)


def test_field_of_view_reaches_prediction_and_drawing(model, folder, tmp_path, monkeypatch):
    drawn_with = []
    draw = command.Renderer.draw_people

    def recorded(self, image, people, faces, K, **options):
        drawn_with.append(K)
        return draw(self, image, people, faces, K, **options)

    monkeypatch.setattr(command.Renderer, "draw_people", recorded)
    predict(folder / "2.png", tmp_path / "wide", horizontal_fov_deg=90.0, **model)
    predict(folder / "2.png", tmp_path / "narrow", horizontal_fov_deg=30.0, **model)
    assert drawn_with[0][0, 0] == pytest.approx(70)
    assert drawn_with[1][0, 0] == pytest.approx(70 / np.tan(np.radians(15)))
    wide, narrow = (People.load(tmp_path / out / "2.npz") for out in ("wide", "narrow"))
    assert (narrow.translation[:, 2] > 2 * wide.translation[:, 2]).all()


def test_folder_leaves_damaged_images_out_and_names_them(model, folder, tmp_path, capsys):
    (folder / "3.jpg").write_bytes(b"damaged")
    predict(folder, tmp_path / "out", **model)
    stems = ("1", "10", "2")
    expected = sorted(f"{stem}.{end}" for stem in stems for end in ("npz", "overlay.jpg"))
    assert names(tmp_path / "out") == expected
    printed = capsys.readouterr()
    assert "3 frames, 9 people" in printed.out
    assert "1 left out" in printed.out
    assert "3.jpg" in printed.err


def test_folder_of_damaged_images_only_is_an_error(model, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match="none of the 1 images"):
        predict(tmp_path / "photos", tmp_path / "out", **model)


def test_images_that_share_a_stem_do_not_overwrite_each_other(model, folder, tmp_path):
    media.write_image(folder / "2.jpg", picture(5))
    predict(folder, tmp_path / "out", overlay=False, **model)
    assert names(tmp_path / "out") == ["1.npz", "10.npz", "2.jpg.npz", "2.png.npz"]


def test_file_names_that_look_like_kept_endings_do_not_collide_with_them(model, tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for number, name in enumerate(("a.png", "a.jpg", "a.png.png")):
        media.write_image(source / name, picture(number))
    predict(source, tmp_path / "out", overlay=False, **model)
    assert names(tmp_path / "out") == ["a.jpg.npz", "a.png.npz", "a.png.png.npz"]


@pytest.fixture
def clip(tmp_path):
    with media.VideoWriter(tmp_path / "clip.mp4", 12) as writer:
        for number in range(4):
            writer.write(picture(number))
    return tmp_path / "clip.mp4"


def test_video_gives_a_video_and_people_per_frame(model, clip, tmp_path):
    predict(clip, tmp_path / "out", **model)
    people = [f"clip/{number:06d}.npz" for number in range(4)]
    assert names(tmp_path / "out") == ["clip.overlay.mp4", *people]
    overlay = media.Video(tmp_path / "out" / "clip.overlay.mp4")
    assert len(list(overlay)) == 4
    assert overlay.fps == pytest.approx(12)


def test_nobody_leaves_the_picture_as_it_is(model, folder, tmp_path):
    predict(folder / "2.png", tmp_path / "out", **model | {"threshold": 1e9})
    assert len(People.load(tmp_path / "out" / "2.npz")) == 0
    overlay = media.read_image(tmp_path / "out" / "2.overlay.jpg")
    assert np.abs(overlay.astype(int) - picture(2)).mean() < 4


def test_overlay_off_needs_no_opengl(model, folder, tmp_path, monkeypatch):
    def fail():
        raise RendererError("no context")

    monkeypatch.setattr(command, "Renderer", fail)
    predict(folder / "1.png", tmp_path / "out", overlay=False, **model)
    assert names(tmp_path / "out") == ["1.npz"]
    with pytest.raises(RendererError):
        predict(folder / "1.png", tmp_path / "out", **model)


def test_npz_off_writes_pictures_only(model, folder, tmp_path):
    predict(folder / "1.png", tmp_path / "out", npz=False, order="body", alpha=0.5, **model)
    assert names(tmp_path / "out") == ["1.overlay.jpg"]


def test_nothing_to_write_and_writing_among_the_images_are_refused(model, folder):
    with pytest.raises(ConfigError, match="nothing would be written"):
        predict(folder, overlay=False, npz=False, **model)
    with pytest.raises(ConfigError, match="source folder"):
        predict(folder, folder, **model)
    assert names(folder) == ["1.png", "10.png", "2.png"]


def test_missing_source_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        predict(tmp_path / "absent", tmp_path / "out", **model)


def test_command_line(model, folder, tmp_path, capsys):
    words = ["predict", str(folder / "1.png"), "--out", str(tmp_path / "out")]
    words += [f"--{name}={value}" for name, value in model.items()]
    assert main([*words, "--intrinsics=[150, 150, 70, 45]", "--npz=false", "--order=body"]) == 0
    assert names(tmp_path / "out") == ["1.overlay.jpg"]
    # Before anything is read.
    assert main([*words, "--alpha=3", "--weights=absent.pth"]) == 2
    assert "alpha is 3.0; expected 0 to 1" in capsys.readouterr().err


def test_of_a_video_that_breaks_off_the_missing_frames_are_counted(model, tmp_path, capsys):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 12, (140, 90))
    for number in range(8):
        writer.write(picture(number))
    writer.release()
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    words = ["predict", str(clip), "--out", str(tmp_path / "out"), "--overlay=false"]
    assert main([*words, *(f"--{name}={value}" for name, value in model.items())]) == 2
    printed = capsys.readouterr()
    read = len(names(tmp_path / "out"))
    assert 1 < read < 7
    assert f"{read} frames" in printed.out
    assert f"{8 - read} left out" in printed.out
    assert printed.err.count(f"clip.avi holds {read} readable frames of the 8") == 1


def test_numbers_of_a_longer_video_do_not_stay(model, clip, tmp_path):
    folder = tmp_path / "out" / "clip"
    folder.mkdir(parents=True)
    for name in ("000002.npz", "000007.npz", "notes.npz"):
        (folder / name).write_bytes(b"old")
    predict(clip, tmp_path / "out", npz=False, **model)
    assert len(names(folder)) == 3
    predict(clip, tmp_path / "out", overlay=False, **model)
    assert names(folder) == [*(f"{number:06d}.npz" for number in range(4)), "notes.npz"]
    assert len(People.load(folder / "000002.npz")) == 3


@pytest.fixture
def limited(monkeypatch):
    """A renderer that draws nothing as wide as 150 pixels."""
    draw = command.Renderer.draw_people

    def limited(self, image, *arguments, **options):
        if image.shape[1] >= 150:
            raise RendererError("150 pixels are too many")
        return draw(self, image, *arguments, **options)

    monkeypatch.setattr(command.Renderer, "draw_people", limited)


def test_image_that_cannot_be_drawn_is_named_and_the_others_go_on(
    model, folder, tmp_path, limited, capsys
):
    media.write_image(folder / "2.png", picture(2, width=150))
    predict(folder, tmp_path / "out", **model)
    expected = ["1.npz", "1.overlay.jpg", "10.npz", "10.overlay.jpg", "2.npz"]
    assert names(tmp_path / "out") == expected
    printed = capsys.readouterr()
    assert "3 frames, 9 people" in printed.out
    assert "0 left out, 1 not drawn" in printed.out
    assert "not drawn: 2.png: 150 pixels are too many" in printed.err
    with pytest.raises(RendererError, match=r"2\.png: 150 pixels"):
        predict(folder / "2.png", tmp_path / "alone", **model)
    assert names(tmp_path / "alone") == ["2.npz"]


def test_video_that_cannot_be_drawn_keeps_its_numbers(model, tmp_path, limited):
    with media.VideoWriter(tmp_path / "wide.mp4") as writer:
        for number in range(3):
            writer.write(picture(number, width=150))
    with pytest.raises(RendererError, match=r"wide\.mp4: 150 pixels"):
        predict(tmp_path / "wide.mp4", tmp_path / "out", **model)
    assert names(tmp_path / "out") == [f"wide/{number:06d}.npz" for number in range(3)]
