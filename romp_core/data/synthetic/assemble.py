"""Puts people, things and surroundings together into one scene for the renderer."""

import cv2
import numpy as np

from romp_core.data.synthetic import objects
from romp_core.data.synthetic.cameras import Camera
from romp_core.data.synthetic.garments import DressedBody
from romp_core.data.synthetic.people import People
from romp_core.data.synthetic.surroundings import Backdrop, room_looks, room_size
from romp_core.render.people_scene import Figure, Scene

_CONTACT_CELLS = 192
_OPEN_AIR_SHARE = 0.4


def assemble(
    rng: np.random.Generator,
    camera: Camera,
    body: DressedBody,
    people: People,
    things: list[objects.Thing],
    backdrop: Backdrop,
) -> Scene:
    """The scene, in the camera's optical frame."""
    yaw = rng.uniform(-np.pi, np.pi)
    c, s = np.cos(yaw), np.sin(yaw)
    # The panorama's x points right, the world's left; half of all panoramas are mirrored.
    mirror = rng.choice([-1.0, 1.0])
    panorama_from_world = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.diag([mirror, 1, 1])
    panorama_from_optical = panorama_from_world @ camera.world_from_optical
    contact, contact_box = contact_map(people, things, camera)
    vertices, figures = _geometry(body, people, things, camera)
    open_air = rng.random() < _OPEN_AIR_SHARE
    light = backdrop.light
    return Scene(
        vertices=vertices,
        figures=figures,
        irradiance=light.irradiance,
        panorama_from_optical=panorama_from_optical,
        world_from_optical=camera.world_from_optical,
        elevation=camera.elevation,
        key_direction=(panorama_from_optical.T @ light.key_direction).astype(np.float32),
        key_color=light.key_color,
        mode=backdrop.mode,
        backdrop=backdrop.image,
        room=room_size(rng, camera, people, open_air),
        room_looks=room_looks(rng, open_air),
        contact=contact,
        contact_box=contact_box,
        shadow_strength=rng.uniform(0.7, 1.0),
    )


def contact_map(
    people: People, things: list[objects.Thing], camera: Camera
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """How much of the sky the floor does not see around feet and furniture.

    Returns:
        Map (h, w) float32, 0..1, and its corner x, z and extent in x, z on the floor, metres.
    """
    blocks = [camera.to_world(people.vertices[:, ::3].reshape(-1, 3))]
    points = np.concatenate(blocks + [objects.surface_points(thing) for thing in things])
    if not len(points):
        return np.zeros((2, 2), np.float32), (0.0, 0.0, 1.0, 1.0)
    low = points[:, [0, 2]].min(0) - 0.5
    extent = points[:, [0, 2]].max(0) + 0.5 - low
    cells = (points[:, [0, 2]] - low) / extent * (_CONTACT_CELLS - 1)
    nearness = np.exp(-np.maximum(points[:, 1], 0) / 0.12)
    flat = cells.astype(int) @ [1, _CONTACT_CELLS]
    covered = np.bincount(flat, nearness, _CONTACT_CELLS**2).reshape(_CONTACT_CELLS, -1)
    covered = np.minimum(covered, 1.0).astype(np.float32)
    blur = 0.09 * _CONTACT_CELLS / extent
    soft = cv2.GaussianBlur(covered, (0, 0), max(blur[0], 0.4), sigmaY=max(blur[1], 0.4))
    return np.minimum(2.0 * soft, 1.0), (*low.tolist(), *extent.tolist())


def _geometry(
    body: DressedBody, people: People, things: list[objects.Thing], camera: Camera
) -> tuple[np.ndarray, list[Figure]]:
    """Vertices (N, 13) of people, then things, and what is drawn with them, nearest first."""
    count, number = len(people.outfits), len(body.static)
    block = np.empty((count, number, 13), np.float32)
    block[..., :3], block[..., 3:6], block[..., 6:] = people.vertices, people.normals, body.static
    vertices, figures = [block.reshape(-1, 13)], []
    for person in np.argsort(people.translation[:, 2]):
        outfit = people.outfits[person]
        worn = [("body", body.body_faces)]
        worn += [(body.piece_kinds[name], body.piece_faces[name]) for name in outfit.pieces]
        for kind, faces in worn:
            figures.append(Figure(kind, person + 1, outfit.looks, faces + person * number))
    start = count * number
    for thing in things:
        moving = [camera.to_optical(thing.vertices), thing.normals @ camera.world_from_optical]
        vertices.append(np.column_stack([*moving, objects.static_attributes(thing)]))
        figures.append(Figure("object", objects.OBJECT, thing.looks, thing.faces + start))
        start += len(thing.vertices)
    return np.concatenate(vertices).astype(np.float32), figures
