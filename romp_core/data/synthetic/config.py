"""Options of the synthetic generator, and the presets used for training and evaluation."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from romp_core.errors import ConfigError


@dataclass(frozen=True)
class SyntheticConfig:
    """What the pictures show.

    Attributes:
        height, width: picture in pixels.
        length: number of different pictures; index i and i + length are not the same set.
        poses: an .npz of poses or a folder of .bvh files; None for procedural poses only.
        panoramas: folder of panoramas with `lighting.json`; None for none.
        pictures: folder of pictures without people as further backgrounds; None for none.
        held_out: use the poses and panoramas that are set aside for evaluation, and only them.
        varied: mix poses and panoramas beyond what was recorded, so that more is learnt from few.
        body: "open", or a file in SMPL's form.
        max_people: most people in a picture.
        crowded: people come in pairs, one hiding about half of the other.
        clothes: False leaves people bare, so that outlines are those of the body model.
        occluder_share: share of pictures with furniture or other things in front of people.
        sensor: imitate lens, sensor and JPEG; False leaves the clean rendering.
        dense: also give depth, body parts and normals per pixel.
        supersampling: samples per pixel and axis.
        minimum_visible: people of whom less than this share of the skin facing the camera is
            seen are not annotated; their boxes are given as ignored.

    Raises:
        ConfigError: a value out of range.
    """

    height: int = 256
    width: int = 256
    length: int = 1_000_000
    poses: Path | None = None
    panoramas: Path | None = None
    pictures: Path | None = None
    held_out: bool = False
    varied: bool = False
    body: str = "open"
    max_people: int = 20
    crowded: bool = False
    clothes: bool = True
    occluder_share: float = 0.3
    sensor: bool = True
    dense: bool = False
    supersampling: int = 2
    minimum_visible: float = 0.1

    def __post_init__(self):
        positive = ("height", "width", "length", "max_people", "supersampling")
        for name in positive:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("occluder_share", "minimum_visible"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to 1")


Preset = Literal["train", "crowd", "held_out", "held_out_crowd"]

_SEEDS: dict[Preset, int] = {
    "train": 1,
    "crowd": 2,
    "held_out": 20_211_010,
    "held_out_crowd": 20_211_011,
}


def preset(name: Preset, base: SyntheticConfig) -> tuple[SyntheticConfig, int]:
    """A named set of pictures.

    Args:
        name: "train": everything but what is held out, varied. "held_out": the 1,000 evaluation
            pictures: shapes of their own seed, held-out poses, and panoramas never trained on.
            "crowd" and "held_out_crowd": the same of pairs of people overlapping by half.
        base: size, folders and everything else.

    Returns:
        The configuration and its seed.
    """
    if name.startswith("held_out"):
        base = replace(base, held_out=True, varied=False, length=1000)
    else:
        base = replace(base, varied=True)
    if name.endswith("crowd"):
        base = replace(base, crowded=True, max_people=8)
    return base, _SEEDS[name]
