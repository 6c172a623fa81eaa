"""Image messages, as they should be and as they should not."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from image_messages import fields, in_all_encodings

from romp_core.errors import ImageError
from ros2_romp.image_decoding import MAX_PIXELS, CompressedFields, read_image, to_bgr

HEIGHT, WIDTH = 48, 64


def smooth_picture() -> np.ndarray:
    """Colours that change slowly, so that encodings with fewer colours lose little."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([60 + 2 * columns, 220 - 2 * rows, 40 + rows + columns], -1).astype(np.uint8)


PICTURE = smooth_picture()
GREY = cv2.cvtColor(cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
ENCODED = in_all_encodings(PICTURE)
# Levels out of 255: the mosaic's border is guessed, YUV has a colour for four or two pixels.
TOLERANCES = {"bayer": 6, "yuv": 6, "uyvy": 6, "yuyv": 6, "nv": 6}


def tolerance(encoding: str) -> int:
    found = [value for start, value in TOLERANCES.items() if encoding.startswith(start)]
    return found[0] if found else 0


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODED)
def test_every_encoding_gives_the_same_picture(encoding, padding):
    pixels = to_bgr(fields(encoding, ENCODED[encoding], HEIGHT, WIDTH, padding))
    expected = GREY if encoding.startswith("mono") or encoding == "8UC1" else PICTURE
    assert (pixels.shape, pixels.dtype) == (expected.shape, np.uint8)
    assert np.abs(pixels.astype(int) - expected).max() <= tolerance(encoding)


@pytest.mark.parametrize("encoding", [name for name in ENCODED if name.endswith("16")])
def test_big_endian_is_the_same_picture(encoding):
    little = fields(encoding, ENCODED[encoding], HEIGHT, WIDTH)
    big = fields(encoding, ENCODED[encoding], HEIGHT, WIDTH, padding=2, big_endian=True)
    np.testing.assert_array_equal(to_bgr(big), to_bgr(little))


@pytest.mark.parametrize(("suffix", "largest"), [(".png", 0), (".jpg", 8)])
def test_compressed_images(suffix, largest):
    _, encoded = cv2.imencode(suffix, PICTURE)
    pixels = to_bgr(CompressedFields(suffix[1:], memoryview(encoded.tobytes())))
    assert np.abs(pixels.astype(int) - PICTURE).max() <= largest


def test_sixteen_bit_png_has_its_upper_bits():
    _, encoded = cv2.imencode(".png", PICTURE.astype(np.uint16) * 257)
    np.testing.assert_array_equal(to_bgr(CompressedFields("png", memoryview(encoded))), PICTURE)


def good(**changed) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(fields("bgr8", PICTURE, HEIGHT, WIDTH)), **changed})


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (good(encoding=""), "encoding is ''"),
        (good(encoding="32FC1"), "encoding is '32FC1'; expected one of mono8"),
        (good(encoding="16UC1"), "encoding is '16UC1'"),
        (good(encoding="bgr8; jpeg"), "encoding is"),
        (good(height=0), "64x0 pixels; expected 1"),
        (good(width=0), "0x48 pixels; expected 1"),
        (good(height=2**32 - 1, width=2**32 - 1), f"expected 1 to {MAX_PIXELS}"),
        (good(height=2 * HEIGHT), "found 9216"),
        (good(data=good().data[:-1]), "take 9216 bytes; found 9215"),
        (good(data=b""), "found 0"),
        (good(step=191), "takes 192 bytes, but step is 191"),
        (good(step=0), "step is 0"),
        (good(step=2**32 - 1), "found 9216"),
        (good(encoding="nv12", step=WIDTH, width=WIDTH - 1), "cannot be converted"),
        (CompressedFields("jpeg", memoryview(b"")), "compressed image of 0 bytes"),
        (CompressedFields("jpeg", memoryview(b"\xff\xd8\xff rest")), "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(image, reason):
    with pytest.raises(ImageError, match=reason):
        to_bgr(image)


def test_damaged_messages_raise_nothing_but_image_errors():
    """10,000 random, cut and altered serialised images."""
    generator = np.random.default_rng(0)
    message = serialized_image()
    accepted = 0
    for number in range(10_000):
        damaged = damage(message, generator, number)
        try:
            pixels = to_bgr(read_image(damaged, compressed=number % 7 == 0).fields)
            accepted += 1
            assert pixels.dtype == np.uint8
            assert 0 < pixels.size <= 3 * MAX_PIXELS
        except ImageError:
            pass
    assert 0 < accepted < 5_000


def serialized_image() -> bytes:
    from ros2_romp.cdr import CdrWriter

    image = good()
    writer = CdrWriter()
    writer.numbers("iI", 5, 6)
    writer.string("camera_optical")
    writer.numbers("II", image.height, image.width)
    writer.string(image.encoding)
    writer.numbers("BI", 0, image.step)
    writer.sequence(np.frombuffer(image.data, np.uint8))
    return writer.finish()


def damage(message: bytes, generator: np.random.Generator, kind: int) -> bytes:
    if kind % 3 == 0:
        return generator.bytes(int(generator.integers(0, 300)))
    if kind % 3 == 1:
        return message[: int(generator.integers(0, len(message)))]
    altered = bytearray(message)
    for place in generator.integers(0, 80, 3):
        altered[place] = int(generator.integers(0, 256))
    return bytes(altered)


def test_header_and_fields_are_those_of_the_message():
    image = read_image(serialized_image(), compressed=False)
    assert (image.seconds, image.nanoseconds, image.frame_id) == (5, 6, "camera_optical")
    np.testing.assert_array_equal(to_bgr(image.fields), PICTURE)
