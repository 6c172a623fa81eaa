"""Where people are: the backdrop with its light, rooms and courtyards, and furniture."""

from dataclasses import dataclass

import numpy as np

from romp_core.data.synthetic import objects
from romp_core.data.synthetic.backgrounds import Panoramas, Pictures
from romp_core.data.synthetic.cameras import Camera
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.lighting import Light, light_from_radiance, random_light
from romp_core.data.synthetic.outfit import cloth_color
from romp_core.data.synthetic.people import People
from romp_core.data.synthetic.textures import procedural_picture
from romp_core.render.people_shading import LOOKS

_WEIGHTS = {"room": 0.3, "procedural": 0.08, "panorama": 1.0, "picture": 1.0}
"""How often each kind of backdrop is taken, among those that there are."""

# Patterns of walls and floors, and how often each has them; see `people_shading.PATTERNS`.
_WALL_AND_FLOOR = (0, 1, 3, 7, 8, 9)
_SURFACES = {
    "TOP": [0.5, 0.08, 0.02, 0.05, 0.1, 0.25],
    "BOTTOM": [0.35, 0.05, 0.2, 0.05, 0.05, 0.3],
}


@dataclass(frozen=True)
class Backdrop:
    """What is behind everybody.

    Attributes:
        mode: "panorama", "picture" or "room", as the renderer knows them.
        image: (h, w, 3) uint8 RGB panorama or picture; None for a room.
        light: the light that fits.
    """

    mode: str
    image: np.ndarray | None
    light: Light


class Backdrops:
    """Draws backdrops of all the kinds that a configuration gives.

    Raises:
        DataError: the panoramas or pictures that it names are not there.
    """

    def __init__(self, config: SyntheticConfig):
        self._size = config.height, config.width
        self.panoramas = None
        if config.panoramas:
            self.panoramas = Panoramas(config.panoramas, config.held_out, config.varied)
        self._pictures = Pictures(config.pictures) if config.pictures else None
        given = {"panorama": self.panoramas, "picture": self._pictures}
        self._kinds = [kind for kind in _WEIGHTS if given.get(kind, True) is not None]

    def draw(self, rng: np.random.Generator) -> Backdrop:
        """Any backdrop."""
        weights = np.array([_WEIGHTS[kind] for kind in self._kinds])
        kind = rng.choice(self._kinds, p=weights / weights.sum())
        if kind == "panorama":
            image, radiance = self.panoramas.draw(rng)
            return Backdrop(kind, image, light_from_radiance(radiance, rng, rng.uniform(0, 1)))
        if kind == "picture":
            return Backdrop(kind, self._pictures.draw(rng, *self._size), random_light(rng))
        if kind == "procedural":
            return Backdrop("picture", procedural_picture(rng, *self._size), random_light(rng))
        return Backdrop("room", None, random_light(rng))


def room_size(
    rng: np.random.Generator, camera: Camera, people: People, open_air: bool
) -> tuple[float, float, float]:
    """Half width, height and far wall, in metres, of a room or courtyard around everybody."""
    roomy = 4.0 if open_air else 1.0
    half_width = np.abs(people.translation[:, 0]).max(initial=1.5) + roomy * rng.uniform(0.6, 3)
    height = max(camera.elevation + 0.4, rng.uniform(2.3, 4.5) * (1 + open_air))
    far = people.translation[:, 2].max(initial=3.0) + 1.0 + roomy * rng.uniform(0.5, 5)
    return half_width, height, far


def room_looks(rng: np.random.Generator, open_air: bool) -> np.ndarray:
    """(len(LOOKS), 4) float32 surfaces of a room: TOP its walls, BOTTOM its floor."""
    looks = np.zeros((len(LOOKS), 4), np.float32)
    for name, share in _SURFACES.items():
        base = 0.5 * cloth_color(rng) + 0.1 + 0.5 * rng.random()
        looks[LOOKS.index(f"{name}_A")] = [*base, rng.choice(_WALL_AND_FLOOR, p=share)]
        second = base * rng.uniform(0.5, 1.2)
        looks[LOOKS.index(f"{name}_B")] = [*second, rng.uniform(0.8, 6)]
    looks[LOOKS.index("TOP_C")] = [*(base * rng.uniform(0.6, 1.2, 3)), 0]
    looks[LOOKS.index("SKIN"), 3] = open_air
    looks[LOOKS.index("PHASE")] = rng.random(4)
    return looks


def furnish(
    rng: np.random.Generator, camera: Camera, people: People, mode: str, occluder_share: float
) -> list[objects.Thing]:
    """Seats under people who sit, things in front of people, and things behind them."""
    world = camera.to_world(people.joints)
    things = _seats(rng, world, people.headings)
    if len(world) and rng.random() < occluder_share:
        for _ in range(rng.integers(1, 4)):
            target = world[rng.integers(len(world)), 0]
            toward = rng.uniform(0.35, 0.9)
            spot = target[[0, 2]] * toward + rng.normal(0, 0.35, 2) * [1, 0.2]
            if spot[1] > 0.8:
                things.append(objects.obstacle(rng, spot))
    if rng.random() < (0.8 if mode == "room" else 0.3):
        behind = people.joints[..., 2].max(initial=2.0)
        for _ in range(rng.integers(1, 6)):
            depth = behind + rng.uniform(0.6, 4)
            things.append(objects.obstacle(rng, np.array([rng.normal(0, 0.5) * depth, depth])))
    return things


def _seats(
    rng: np.random.Generator, world: np.ndarray, headings: np.ndarray
) -> list[objects.Thing]:
    """A seat for everybody whose feet are well in front of a low pelvis.

    `world` are the joints (K, 71, 3) in the world frame.
    """
    seats = []
    for joints, heading in zip(world, headings, strict=True):
        pelvis, ankles = joints[0], joints[[7, 8]]
        facing = np.array([np.sin(heading), 0, np.cos(heading)])
        if 0.25 < pelvis[1] < 0.75 and ((ankles - pelvis) @ facing).mean() > 0.13:
            spot = (pelvis + 0.03 * facing)[[0, 2]]
            seats.append(objects.seat(rng, max(0.1, pelvis[1] - 0.12), spot, heading))
    return seats
