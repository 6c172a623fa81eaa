"""What a person looks like: skin, hair and clothes, as numbers for the shaders."""

from dataclasses import dataclass, field

import numpy as np

from romp_core.render.people_shading import LOOKS

# sRGB colours that people's skin, hair and clothes really have; clothes get more below.
_SKIN = np.array(
    [[244, 213, 190], [232, 190, 160], [214, 165, 128], [190, 138, 98], [150, 104, 72],
     [114, 76, 52], [86, 58, 42], [62, 43, 34]]
)  # fmt: skip
_HAIR = np.array(
    [[24, 20, 18], [42, 30, 24], [74, 50, 34], [106, 72, 44], [158, 118, 70], [202, 168, 112],
     [136, 62, 34], [150, 148, 146], [214, 212, 208]]
)  # fmt: skip
_NEUTRAL = np.array(
    [[20, 20, 22], [38, 38, 42], [72, 72, 76], [128, 128, 130], [190, 190, 190], [236, 236, 232],
     [24, 32, 60], [44, 62, 100], [84, 110, 150], [120, 96, 70], [178, 156, 122], [222, 210, 186],
     [70, 74, 52], [96, 36, 40]]
)  # fmt: skip


def linear(srgb: np.ndarray) -> np.ndarray:
    """Linear colour of sRGB values 0..255, with the shaders' gamma of 2.2."""
    return (np.asarray(srgb, np.float64) / 255) ** 2.2


def _between(rng: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """A colour near or between two neighbours of a palette."""
    place = rng.uniform(0, len(palette) - 1)
    low = int(place)
    color = palette[low] + (place - low) * (palette[min(low + 1, len(palette) - 1)] - palette[low])
    return linear(np.clip(color * rng.normal(1, 0.05, 3), 4, 250))


def cloth_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear colour of a garment: neutrals, navy and denim often, bright hues sometimes."""
    if rng.random() < 0.55:
        color = _NEUTRAL[rng.integers(len(_NEUTRAL))] * rng.normal(1, 0.08, 3)
        return linear(np.clip(color, 6, 250))
    hue, saturation = rng.random(), rng.beta(1.6, 2.4)
    value = 0.15 + 0.8 * rng.beta(1.6, 1.6)
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return linear(255 * value * (1 - saturation + saturation * wheel))


def pattern(rng: np.random.Generator, plain_share: float) -> tuple[int, float]:
    """Number and density (repeats per metre) of a cloth pattern; see the shaders."""
    if rng.random() < plain_share:
        return 0, 1.0
    style = int(
        rng.choice([1, 2, 3, 4, 5, 6, 7, 8], p=[0.2, 0.1, 0.13, 0.15, 0.1, 0.1, 0.15, 0.07])
    )
    density = {6: rng.uniform(1, 4), 7: rng.uniform(3, 14), 8: rng.uniform(2, 8)}
    return style, density.get(style, np.exp(rng.uniform(np.log(6), np.log(40))))


@dataclass
class Outfit:
    """One person's looks.

    Attributes:
        looks: (len(LOOKS), 4) float32, for the shaders.
        pieces: names of the worn pieces of `DressedBody.piece_faces`.
        sole: metres between the skin of the foot and the ground.
    """

    looks: np.ndarray = field(default_factory=lambda: np.zeros((len(LOOKS), 4), np.float32))
    pieces: list[str] = field(default_factory=list)
    sole: float = 0.0

    def set(self, name: str, *values: float | np.ndarray) -> None:
        """Fill one entry from colours and numbers, four in all."""
        self.looks[LOOKS.index(name)] = np.concatenate([np.ravel(v) for v in values])


def nude(rng: np.random.Generator) -> Outfit:
    """Bare skin: the silhouette is exactly that of the body model."""
    outfit = Outfit()
    outfit.set("SKIN", _between(rng, _SKIN), 0)
    outfit.set("HEAD", 9, 0, 0.6, 0)
    outfit.set("TOP_CUT", -2, 2, 0, 0)
    outfit.set("BOTTOM_CUT", -2, -2, 0, 0)
    outfit.set("SHOES", 0, 0, 0, -2)
    outfit.set("SOCKS", 0, 0, 0, -2)
    return outfit


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Somebody dressed as people are, with all the variety that photographs have."""
    outfit = nude(rng)
    outfit.set("PHASE", rng.random(4))
    _dress_head(outfit, rng)
    _dress_top(outfit, rng)
    _dress_legs(outfit, rng)
    _dress_feet(outfit, rng)
    if rng.random() < 0.1:
        outfit.pieces.append("scarf")
    if rng.random() < 0.28:
        carried = ["backpack", "hand_bag", "phone", "ball", "stick", "board"]
        outfit.pieces.append(str(rng.choice(carried, p=[0.35, 0.15, 0.2, 0.1, 0.12, 0.08])))
        outfit.set("BAG", cloth_color(rng), 0)
    return outfit


def _dress_head(outfit: Outfit, rng: np.random.Generator) -> None:
    hair = _HAIR[rng.choice(len(_HAIR), p=[0.2, 0.2, 0.16, 0.12, 0.08, 0.06, 0.04, 0.07, 0.07])]
    color = linear(np.clip(hair * rng.normal(1, 0.08, 3), 4, 250))
    if rng.random() < 0.02:
        color = cloth_color(rng)
    style = rng.choice(["bald", "short", "medium", "long"], p=[0.06, 0.44, 0.25, 0.25])
    thickness = {"bald": 0, "short": rng.uniform(0.004, 0.015), "medium": rng.uniform(0.015, 0.045)}
    outfit.set("HAIR", color, thickness.get(style, rng.uniform(0.008, 0.02)))
    beard = rng.uniform(0.4, 1) if style != "long" and rng.random() < 0.25 else 0
    glasses = rng.choice([0, 1, 2], p=[0.8, 0.14, 0.06])
    hairline = rng.normal(0.02, 0.06) - (0.35 if style == "long" else 0) * rng.random()
    outfit.set("HEAD", 9 if style == "bald" else hairline, beard, rng.uniform(0.3, 0.95), glasses)
    if style == "long":
        outfit.pieces.append(str(rng.choice(["long_hair", "long_hair", "bun", "ponytail"])))
    if rng.random() < 0.16:
        outfit.pieces.append("hat")
        outfit.set("HAT", cloth_color(rng), rng.choice([1.0, 1.6, 1.6, 2.1]))
    if rng.random() < 0.04:
        outfit.set("MASK", linear(rng.choice([[240, 240, 245], [130, 180, 215], [25, 25, 25]])), 1)


def _dress_top(outfit: Outfit, rng: np.random.Generator) -> None:
    style, density = pattern(rng, 0.62)
    outfit.set("TOP_A", cloth_color(rng), style)
    outfit.set("TOP_B", cloth_color(rng), density)
    outfit.set("TOP_C", cloth_color(rng), rng.choice([0, 0, rng.uniform(0, np.pi)]))
    sleeves = [-0.35, rng.uniform(0.05, 0.4), rng.uniform(0.5, 0.9), rng.uniform(1.8, 2.1)]
    sleeve = rng.choice(sleeves, p=[0.1, 0.15, 0.25, 0.5])
    is_jacket = sleeve > 1 and rng.random() < 0.45
    hem = rng.uniform(-0.1, 0.2) if rng.random() < 0.93 else rng.uniform(0.3, 0.6)
    opening = rng.uniform(0.02, 0.09) if is_jacket and rng.random() < 0.6 else 0
    outfit.set("TOP_CUT", sleeve, hem, rng.beta(1.5, 3) * 0.35, opening)
    loose = rng.beta(1.3, 2.5) * 0.05
    thickness = rng.uniform(0.01, 0.035) if is_jacket else rng.uniform(0.003, 0.012)
    outfit.set("TOP_CLOTH", thickness, loose, rng.uniform(0.15, 0.55), rng.beta(1, 4))
    if rng.random() < 0.25:
        size = rng.uniform(0.04, 0.13)
        place = rng.choice([0.0, rng.uniform(-0.08, 0.08)]), rng.uniform(0.12, 0.32)
        outfit.set("PRINT", *place, size, rng.choice([1, 1, -1]))
    if is_jacket and rng.random() < 0.3:
        outfit.pieces.append("skirt")
        outfit.set("SKIRT", rng.uniform(0.25, 0.75), 1, 0, 0)
    outfit.set("LONG_HAIR", rng.uniform(0.4, 1), 0, 0, 0)


def _dress_legs(outfit: Outfit, rng: np.random.Generator) -> None:
    style, density = pattern(rng, 0.8)
    color = cloth_color(rng)
    if rng.random() < 0.35:  # denim
        color = linear(np.array([60, 82, 120]) * rng.uniform(0.4, 1.5))
    outfit.set("BOTTOM_A", color, style)
    outfit.set("BOTTOM_B", cloth_color(rng), density)
    length = rng.choice([rng.uniform(0.25, 0.6), rng.uniform(0.7, 1.3), rng.uniform(1.85, 2.15)],
                        p=[0.12, 0.18, 0.7])  # fmt: skip
    outfit.set("BOTTOM_CUT", length, rng.uniform(0.1, 0.3), 0, 0)
    outfit.set("BOTTOM_CLOTH", rng.uniform(0.002, 0.01), rng.beta(1.2, 2.5) * 0.05,
               rng.uniform(0.15, 0.5), rng.beta(1, 5))  # fmt: skip
    if "skirt" not in outfit.pieces and rng.random() < 0.16:
        outfit.pieces.append("skirt")
        outfit.set("SKIRT", rng.uniform(0.3, 1.0), 0, rng.choice([0, 1]) * rng.random(), 0)
        # Bare legs or tights below.
        outfit.looks[LOOKS.index("BOTTOM_CUT"), 0] = rng.choice([0.1, 0.1, 2.1])
        if rng.random() < 0.5:  # a dress
            outfit.looks[LOOKS.index("TOP_A")] = outfit.looks[LOOKS.index("BOTTOM_A")]
            outfit.looks[LOOKS.index("TOP_B")] = outfit.looks[LOOKS.index("BOTTOM_B")]


def _dress_feet(outfit: Outfit, rng: np.random.Generator) -> None:
    barefoot = rng.random() < 0.07
    height = -2 if barefoot else rng.choice([-0.25, rng.uniform(0.0, 0.15), rng.uniform(0.2, 0.7)],
                                            p=[0.6, 0.25, 0.15])  # fmt: skip
    outfit.set("SHOES", cloth_color(rng), height)
    outfit.set("SOCKS", cloth_color(rng), rng.choice([-2, 0.05, 0.2, 0.6]))
    if not barefoot:
        outfit.pieces.append("shoes")
        outfit.sole = 0.012
