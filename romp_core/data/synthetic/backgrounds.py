"""Backgrounds from files: panoramas with their light, and folders of pictures."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from romp_core.errors import DataError

HELD_OUT_PANORAMAS = (
    "autoshop_01", "chinese_garden", "hilly_terrain_01", "leadenhall_market",
    "modern_buildings_2", "peppermint_powerplant", "rainforest_trail", "st_fagans_interior",
)  # fmt: skip
"""Poly Haven panoramas that no training picture shows; evaluation pictures show only them."""

_PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_CACHED = 64
_MOST_PIECES = 8
_PIECE = 0.06, 0.5
"""Smallest and largest side of a piece of another panorama, as shares of the panorama's height."""

_MIRRORED_LIGHT = np.array([1, 1, 1, -1, -1, 1, 1, -1, 1.0])[:, None]
"""Signs of 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2 where x points the other way."""


class _ImageCache:
    """The images used last, as RGB uint8."""

    def __init__(self):
        self._images: OrderedDict[Path, np.ndarray] = OrderedDict()

    def __call__(self, path: Path) -> np.ndarray:
        if path not in self._images:
            image = _readable(cv2.imread(str(path)), path)
            if len(self._images) == _CACHED:
                self._images.popitem(last=False)
            self._images[path] = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        self._images.move_to_end(path)
        return self._images[path]


def _edges(path: Path) -> float:
    """How much there is to see: mean absolute difference between neighbouring pixels."""
    gray = _readable(cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_4), path)
    gray = gray.astype(np.float32)
    return float(sum(np.abs(np.diff(gray, axis=axis)).mean() for axis in (0, 1)))


def _readable(image: np.ndarray | None, path: Path) -> np.ndarray:
    if image is None:
        raise DataError(f"{path} is not a readable picture")
    return image


def _crop(image: np.ndarray, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Any (height, width, 3) of an image, sometimes mirrored."""
    top = rng.integers(image.shape[0] - height + 1)
    left = rng.integers(image.shape[1] - width + 1)
    crop = image[top : top + height, left : left + width]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def _paste_piece(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> None:
    """Put a rectangle of another panorama into one, mostly around the horizon where people are."""
    scale = rng.uniform(0.5, 2.0)
    height, width = (max(2, int(image.shape[0] * rng.uniform(*_PIECE))) for _ in range(2))
    piece = _crop(
        other,
        rng,
        min(max(1, int(height / scale)), other.shape[0]),
        min(max(1, int(width / scale)), other.shape[1]),
    )
    middle = np.clip(rng.normal(0.55, 0.15), 0, 1)
    down = int(np.clip(image.shape[0] * middle - height / 2, 0, image.shape[0] - height))
    right = rng.integers(image.shape[1] - width + 1)
    image[down : down + height, right : right + width] = cv2.resize(piece, (width, height))


def _read_lighting(file: Path) -> dict:
    try:
        lighting = json.loads(file.read_text())
    except ValueError as error:
        raise DataError(f"{file} is not readable JSON: {error}; write it anew") from error
    if not isinstance(lighting, dict):
        raise DataError(
            f"{file} holds a {type(lighting).__name__}; expected {{name: {{'sh9_rgb': 9 x 3}}}}"
        )
    return lighting


def _light_of(item: dict, name: str, file: Path) -> np.ndarray:
    """(9, 3) spherical harmonics of one panorama's entry."""
    try:
        light = np.array(item["sh9_rgb"], float)
    except (KeyError, TypeError, ValueError):
        light = np.empty(0)
    if light.shape != (9, 3) or not np.isfinite(light).all():
        raise DataError(
            f"{file} has no 'sh9_rgb' of 9 x 3 finite numbers for {name}: expected "
            "{name: {'sh9_rgb': 9 x 3}}"
        )
    return light


@dataclass
class Panoramas:
    """Equirectangular pictures and the light in them.

    Args:
        folder: holds NAME.jpg or .png (2:1) and `lighting.json`: per NAME `sh9_rgb`, the
            radiance's first nine real spherical harmonics (9, 3).
        held_out: take the panoramas set aside for evaluation; else all others.
        varied: mirror them, and put pieces of others into them, so that few panoramas make many
            backgrounds; those with much to see are drawn more often.

    Raises:
        DataError: the folder or its lighting is missing or incomplete.
    """

    folder: Path
    held_out: bool = False
    varied: bool = False

    def __post_init__(self):
        folder = Path(self.folder)
        if not folder.is_dir():
            raise DataError(
                f"no panorama folder at {folder}: give a folder of 2:1 pictures with a "
                "lighting.json, or no folder for procedural backgrounds"
            )
        lighting_file = folder / "lighting.json"
        if not lighting_file.is_file():
            raise DataError(
                f"{folder} has no lighting.json: expected {{name: {{'sh9_rgb': 9 x 3}}}}"
            )
        lighting = _read_lighting(lighting_file)
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _PICTURE_SUFFIXES)
        files = [path for path in files if (path.stem in HELD_OUT_PANORAMAS) == self.held_out]
        missing = [path.name for path in files if path.stem not in lighting]
        if missing or not files:
            what = f"no light for {', '.join(missing)}" if missing else "no panoramas"
            raise DataError(f"{folder} has {what} (held_out={self.held_out})")
        self._files = files
        self._light = {
            path.stem: _light_of(lighting[path.stem], path.stem, lighting_file) for path in files
        }
        self._read = _ImageCache()
        self._shares = None
        if self.varied:
            busy = np.array([1 + _edges(path) for path in files])
            self._shares = busy / busy.sum()

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A panorama (H, W, 3) uint8 RGB, and its light (9, 3)."""
        if not self.varied:
            path = self._files[rng.integers(len(self._files))]
            return self._read(path), self._light[path.stem]
        path = self._files[rng.choice(len(self._files), p=self._shares)]
        image, light = self._read(path).copy(), self._light[path.stem]
        for _ in range(rng.integers(_MOST_PIECES + 1)):
            other = self._read(self._files[rng.choice(len(self._files), p=self._shares)])
            _paste_piece(image, other, rng)
        if rng.random() < 0.5:
            return image, light
        return np.ascontiguousarray(image[:, ::-1]), light * _MIRRORED_LIGHT


@dataclass
class Pictures:
    """Any folder of pictures, searched through; no people should be in them.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """

    folder: Path

    def __post_init__(self):
        folder = Path(self.folder)
        self._files = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in _PICTURE_SUFFIXES
        )
        if not self._files:
            raise DataError(f"no pictures under {folder}: expected .jpg, .png, .bmp or .webp files")
        self._read = _ImageCache()

    def draw(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A random crop (height, width, 3) uint8 RGB, sometimes mirrored."""
        image = self._read(self._files[rng.integers(len(self._files))])
        zoom = rng.uniform(0.5, 1.0) * min(image.shape[0] / height, image.shape[1] / width)
        crop_height, crop_width = max(1, int(zoom * height)), max(1, int(zoom * width))
        crop = _crop(image, rng, crop_height, crop_width)
        return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
