"""From a clean rendering to a photograph: what lens, sensor and file format do to it.

Nothing here moves a pixel, so annotations stay exact.
"""

import cv2
import numpy as np

_TAPS = ((0, 3), (2, 2), (3, 0), (2, -2), (0, -3), (-2, -2), (-3, 0), (-2, 2))


def ambient_occlusion(image: np.ndarray, depth: np.ndarray, strength: float) -> np.ndarray:
    """Darken creases: pixels whose neighbours lie a little nearer to the camera see less sky.

    Args:
        image: (H, W, 3) float32.
        depth: (H, W) float32 metres.
        strength: 0 for none, 1 for a cloudy day.

    Returns:
        (H, W, 3) float32.
    """
    crease = np.zeros_like(depth)
    spacing = max(1, depth.shape[0] // 200)
    for y, x in _TAPS:
        nearer = depth - np.roll(depth, (y * spacing, x * spacing), (0, 1))
        # What lies much nearer is another thing in front, and hides little of the sky.
        crease += np.clip(nearer * 12, 0, 1) * (nearer < 0.35)
    crease = cv2.blur(crease / len(_TAPS), (3, 3))
    return image * (1 - 0.6 * strength * crease)[..., None]


def _motion_blur(image: np.ndarray, rng: np.random.Generator, length: float) -> np.ndarray:
    side = int(2 * np.ceil(length / 2) + 1)
    kernel = np.zeros((side, side), np.float32)
    angle, middle = rng.uniform(0, np.pi), side // 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    start, end = (tuple(int(v) for v in np.round(middle + s * reach)) for s in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def _defocus(image: np.ndarray, radius: float) -> np.ndarray:
    if radius < 1.2:
        return cv2.GaussianBlur(image, (0, 0), max(0.3, 0.7 * radius))
    side = 2 * int(np.ceil(radius)) + 1
    disc = np.hypot(*(np.mgrid[:side, :side] - side // 2)) <= radius
    return cv2.filter2D(image, -1, disc / np.float32(disc.sum()), borderType=cv2.BORDER_REFLECT)


def _tone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, white balance, contrast, saturation; a guard against pictures in the dark."""
    gain = 2 ** rng.normal(0.1, 0.3)
    balance = np.exp(rng.normal(0, 0.05, 3))
    image = image * (gain * balance).astype(np.float32)
    contrast = np.exp(rng.normal(0, 0.15))
    image = (image - 110) * contrast + 110 + rng.normal(0, 6)
    gray = image @ np.array([0.114, 0.587, 0.299], np.float32)
    saturation = np.clip(rng.normal(1, 0.25), 0, 1.8) if rng.random() > 0.06 else 0.0
    image = gray[..., None] + saturation * (image - gray[..., None])
    median = float(np.median(gray))
    if median < 60:  # else nobody would be seen
        image = image * np.float32(min(60 / max(median, 1.0), 3.0))
    return image


def photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture that a real camera might have stored.

    Args:
        image: (H, W, 3) float32 BGR, 0..255, gamma-encoded.
        rng: source of randomness.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    height, width = image.shape[:2]
    unit = max(height, width) / 256
    if rng.random() < 0.2:
        image = _motion_blur(image, rng, unit * rng.uniform(1.5, 7))
    if rng.random() < 0.4:
        image = _defocus(image, unit * rng.gamma(1.5, 0.5))
    if rng.random() < 0.15:  # a small sensor, or a crop enlarged
        share = rng.uniform(0.35, 0.8)
        small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.3:
        image = image + rng.uniform(0.2, 1.0) * (image - cv2.GaussianBlur(image, (0, 0), unit))
    image = _tone(image, rng)
    if rng.random() < 0.3:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        image = (
            image * (1 - rng.uniform(0, 0.35) * (x * x + y * y) / 2).astype(np.float32)[..., None]
        )
    if rng.random() < 0.7:
        noise = rng.standard_normal(image.shape, np.float32)
        shot = np.sqrt(np.clip(image, 0, 255) / 255)
        image = image + noise * (rng.gamma(1.5, 1.5) + rng.gamma(1.5, 2.0) * shot)
    stored = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.uniform(25, 95))
        _, code = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
        stored = cv2.imdecode(code, cv2.IMREAD_COLOR)
    return stored
