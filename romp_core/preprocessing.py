"""From images to what the network reads: checked, padded to a square, resized."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from romp_core.errors import ImageError
from romp_core.geometry.cameras import Letterbox
from romp_core.kept import Kept

_CUBIC = -0.75  # OpenCV's coefficient of cubic interpolation, which the published code uses
_KEPT_SIZES = 8


def check_image(image: np.ndarray) -> None:
    """Refuse what is not an image.

    Args:
        image: anything.

    Raises:
        ImageError: not a non-empty (H, W, 3) uint8 array; the message says what it is.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"image is a {type(image).__name__}; expected a NumPy array (H, W, 3), uint8, BGR"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(
            f"image has shape {image.shape} and dtype {image.dtype}; expected (H, W, 3), "
            "not empty, uint8, in BGR order"
        )


class HostLetterbox:
    """Squares as the network reads them, by OpenCV: on a CPU twenty times faster than torch.

    An image is padded with zeros to a centred square and resized by cubic interpolation without
    antialiasing, as the published networks were trained. Buffers are kept and used again.

    Args:
        size: side S of the squares.
    """

    def __init__(self, size: int):
        self._size = size
        self._squares = np.empty((0, size, size, 3), np.uint8)
        self._padded: Kept[np.ndarray] = Kept(_KEPT_SIZES)

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """Squares of images.

        Args:
            images: (H, W, 3) uint8 BGR each, sizes may differ, any strides.

        Returns:
            (B, S, S, 3) uint8 RGB; the next call overwrites them.
        """
        if len(self._squares) < len(images):
            self._squares = np.empty((len(images), self._size, self._size, 3), np.uint8)
        squares = self._squares[: len(images)]
        for image, square in zip(images, squares, strict=True):
            padded = self._pad(image)
            cv2.resize(padded, square.shape[:2], dst=square, interpolation=cv2.INTER_CUBIC)
            cv2.cvtColor(square, cv2.COLOR_BGR2RGB, dst=square)
        return torch.from_numpy(squares)

    def _pad(self, image: np.ndarray) -> np.ndarray:
        box = Letterbox(*image.shape[:2])
        padded = self._padded.get(
            (box.height, box.width), lambda: np.zeros((box.side, box.side, 3), np.uint8)
        )
        padded[box.top : box.top + box.height, box.left : box.left + box.width] = image
        return padded


class DeviceLetterbox:
    """The same in torch for images of one size: four taps per row, then per column.

    The padding is never made: taps that fall outside of the image weigh nothing.

    Args:
        height, width: of the images, pixels.
        size: side S of the squares.
        device: where the images are.
    """

    def __init__(self, height: int, width: int, size: int, device: torch.device):
        box = Letterbox(height, width)
        self._rows, self._row_weights = (
            taps.to(device) for taps in _taps(box.side, box.top, height, size)
        )
        self._columns, self._column_weights = (
            taps.to(device) for taps in _taps(box.side, box.left, width, size)
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        """(S, S, 3) uint8 RGB of an image (H, W, 3) uint8 BGR."""
        resized = (pixels[self._rows].float() * self._row_weights[..., None, None]).sum(1)
        resized = (resized[:, self._columns] * self._column_weights[..., None]).sum(2)
        return resized.round().clamp(0, 255).to(torch.uint8).flip(-1)


def unpadded(sizes: Sequence[tuple[int, int]], size: int, step: int) -> tuple[slice, slice]:
    """The middle of squares, without most of the padding that all of some images have.

    Args:
        sizes: heights and widths of the images.
        size: side S of the squares, a multiple of twice the step.
        step: at each end a multiple of it is left out.

    Returns:
        Rows and columns, each as many at either end left out.
    """
    boxes = [Letterbox(*one) for one in sizes]

    def middle(paddings: list[int]) -> slice:
        skipped = min(paddings) // step * step
        return slice(skipped, size - skipped)

    rows = middle([box.top * size // box.side for box in boxes])
    return rows, middle([box.left * size // box.side for box in boxes])


def frame_rows(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """(B, 5) where images of these heights and widths lie in their padded squares.

    Half the square's side, x and y of the image's origin, and the image's last pixel, in pixels.
    """
    boxes = [Letterbox(*size) for size in sizes]
    return torch.tensor(
        [
            [box.side / 2, box.left + 0.5, box.top + 0.5, box.width - 1.0, box.height - 1.0]
            for box in boxes
        ]
    )


def _taps(side: int, padding: int, length: int, size: int) -> tuple[Tensor, Tensor]:
    """Source indices (size, 4) and weights (size, 4) of cubic interpolation along one axis."""
    position = (torch.arange(size, dtype=torch.float64) + 0.5) * (side / size) - 0.5
    first = position.floor()
    taps = first[:, None] + torch.arange(-1, 3)
    distance = (position[:, None] - taps).abs()
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance.square() + 1
    far = ((distance - 5) * distance + 8) * distance * _CUBIC - 4 * _CUBIC
    weights = torch.where(distance <= 1, near, far)
    source = taps.clamp(0, side - 1) - padding
    weights = torch.where((source >= 0) & (source < length), weights, 0)
    return source.clamp(0, length - 1).long(), weights.float()
