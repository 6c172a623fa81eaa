"""Light on synthetic people: diffuse light by spherical harmonics, and one key light."""

from dataclasses import dataclass

import numpy as np

# Y_lm of the order 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2, and the factors by which a
# Lambertian surface convolves each band, over pi (Ramamoorthi and Hanrahan, 2001, Eq. 9).
_BASIS = np.array([0.282095] + [0.488603] * 3 + [1.092548, 1.092548, 0.315392, 1.092548, 0.546274])
_COSINE_LOBE = np.array([1.0] + [2 / 3] * 3 + [0.25] * 5)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Light:
    """The light of one picture, in the panorama's frame: x right, y up, z to its middle.

    Attributes:
        irradiance: (9, 3) RGB coefficients of a diffuse white surface's radiance, to be
            multiplied with 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2 of its normal.
        key_direction: (3,) unit vector towards the key light.
        key_color: (3,) RGB radiance that the key light adds to a white surface facing it.
    """

    irradiance: np.ndarray
    key_direction: np.ndarray
    key_color: np.ndarray


def light_from_radiance(
    radiance_sh: np.ndarray, rng: np.random.Generator, hardness: float
) -> Light:
    """Light that fits a panorama, brought to a brightness at which people can be seen.

    Tone-mapped panoramas do not tell how bright they were, and studio lamps in a dark room
    would leave people black: the mean level is drawn anew, the colour and the directions stay.

    Args:
        radiance_sh: (9, 3) RGB spherical harmonics of the incoming radiance.
        rng: source of randomness.
        hardness: 0 for light from everywhere, 1 for a sun or lamp that casts deep shadows.

    Returns:
        The light; the mean over all directions of a white surface's radiance is 0.65 to 1.2.
    """
    irradiance = radiance_sh * (_BASIS * _COSINE_LOBE)[:, None]
    luminance = irradiance @ _LUMINANCE
    irradiance = 0.7 * irradiance + 0.3 * luminance[:, None]  # people see less coloured light
    direction = luminance[[3, 1, 2]]
    direction = direction / max(np.linalg.norm(direction), 1e-6)
    # Light from below is a bright floor, not a lamp.
    direction = np.array([direction[0], max(direction[1], 0.35), direction[2]])
    direction /= np.linalg.norm(direction)
    level = rng.uniform(0.65, 1.2) / max(luminance[0], 1e-6)
    irradiance = irradiance * level
    # Bands one and two of a small bright source reach far below zero on the other side.
    excess = np.abs(luminance[1:]).sum() / luminance[0]
    irradiance[1:] *= min(1.0, 1.6 / max(excess, 1e-6))
    key = hardness * (0.6 + 0.9 * rng.random()) * irradiance[0]
    return Light(
        ((1 - 0.45 * hardness) * irradiance).astype(np.float32),
        direction.astype(np.float32),
        key.astype(np.float32),
    )


def random_light(rng: np.random.Generator) -> Light:
    """Light for pictures whose real light is unknown: mostly from above, slightly coloured."""
    tint = np.array([1.0, 1.0, 1.0]) + rng.normal(0, 0.08) * np.array([1.0, 0.1, -1.0])
    radiance = np.zeros((9, 3))
    radiance[0] = tint
    main = rng.normal(0, 1, 3) + [0, 1.2, 0]
    main *= rng.uniform(0.1, 0.75) / np.linalg.norm(main)
    radiance[[3, 1, 2]] = main[:, None] * (tint + rng.normal(0, 0.05, 3))
    radiance[4:] = rng.normal(0, 0.1, (5, 1)) * tint
    return light_from_radiance(radiance, rng, rng.uniform(0, 0.9))
