"""Procedural images: the noise and prints that shaders use, and backdrops without people."""

import cv2
import numpy as np


def fractal_noise(rng: np.random.Generator, size: int, channels: int, slope: float) -> np.ndarray:
    """Tileable noise whose amplitude falls with frequency.

    Args:
        rng: source of randomness.
        size: pixels per side.
        channels: independent channels.
        slope: exponent of the fall; 0 is white noise, 1 clouds, 2 smooth hills.

    Returns:
        (size, size, channels) float32 with mean 0.5 and standard deviation 0.2, in 0..1.
    """
    frequency = np.fft.fftfreq(size) * size
    radius = np.hypot(frequency[:, None], frequency[None, :])
    radius[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.normal(size=(channels, size, size))) * radius**-slope
    noise = np.fft.ifft2(spectrum).real
    noise *= 0.2 / noise.std(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(np.clip(noise + 0.5, 0, 1).transpose(1, 2, 0), np.float32)


def _scribble(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """One random mark on a picture, in place: text, a disc, a polygon, lines or a curve."""
    height, width = canvas.shape[:2]
    color = tuple(int(v) for v in rng.integers(0, 256, canvas.shape[2]))
    if canvas.shape[2] == 4:
        color = (*color[:3], 255)
    center = (int(rng.integers(width)), int(rng.integers(height)))
    extent = int(rng.uniform(0.08, 0.4) * min(height, width))
    thickness = int(rng.choice([-1, 2, 5]))
    kind = rng.integers(5)
    if kind == 0:
        text = "".join(chr(c) for c in rng.integers(65, 91, rng.integers(1, 6)))
        font, scale = int(rng.integers(0, 5)), extent / 22
        cv2.putText(canvas, text, center, font, scale, color, max(1, extent // 12), cv2.LINE_AA)
    elif kind == 1:
        axes = (extent, max(1, int(extent * rng.uniform(0.3, 1))))
        cv2.ellipse(
            canvas, center, axes, rng.uniform(0, 180), 0, 360, color, thickness, cv2.LINE_AA
        )
    elif kind == 2:
        points = center + rng.normal(0, extent, (rng.integers(3, 7), 2))
        cv2.fillPoly(canvas, [points.astype(np.int32)], color, cv2.LINE_AA)
    elif kind == 3:
        corner = (center[0] + extent, center[1] + int(extent * rng.uniform(0.3, 2)))
        cv2.rectangle(canvas, center, corner, color, thickness)
    else:
        points = center + np.cumsum(rng.normal(0, extent / 3, (12, 2)), 0)
        cv2.polylines(
            canvas, [points.astype(np.int32)], False, color, max(1, extent // 10), cv2.LINE_AA
        )


def print_atlas(rng: np.random.Generator, tiles: int = 4, size: int = 128) -> np.ndarray:
    """Sheet of prints as on T-shirts: (tiles * size, tiles * size, 4) uint8 RGBA."""
    rows = []
    for _ in range(tiles):
        row = []
        for _ in range(tiles):
            tile = np.zeros((size, size, 4), np.uint8)
            inner = np.zeros((size - 16, size - 16, 4), np.uint8)
            for _ in range(rng.integers(1, 6)):
                _scribble(inner, rng)
            tile[8:-8, 8:-8] = inner
            row.append(tile)
        rows.append(np.hstack(row))
    return np.vstack(rows)


def procedural_picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A backdrop: colour gradients and clouds with marks all over.

    Returns:
        (height, width, 3) uint8.
    """
    corners = rng.uniform(20, 235, (2, 2, 1)) + rng.normal(0, 25, (2, 2, 3))
    corners = np.clip(corners, 0, 255).astype(np.float32)
    canvas = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    clouds = fractal_noise(rng, 128, 3, rng.uniform(0.6, 1.8)) - 0.5
    clouds += rng.uniform(0, 3) * clouds.mean(2, keepdims=True)
    clouds = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = np.clip(canvas + rng.uniform(20, 120) * clouds, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(0, 40)):
        _scribble(canvas, rng)
    return canvas
