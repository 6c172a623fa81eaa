"""Endless annotated pictures of synthetic people."""

import cv2
import numpy as np

from romp_core.body import read_body
from romp_core.body.model import OPEN_BODY
from romp_core.data.sample import DenseMaps, Sample
from romp_core.data.synthetic import annotate, objects
from romp_core.data.synthetic.backgrounds import Panoramas, Pictures, draw_procedural
from romp_core.data.synthetic.cameras import Camera, place_people, random_camera
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.garments import DressedBody
from romp_core.data.synthetic.lighting import Light, light_from_radiance, random_light
from romp_core.data.synthetic.outfit import cloth_color, nude, random_outfit
from romp_core.data.synthetic.people import People, Tailor
from romp_core.data.synthetic.poses import PoseSampler, load_poses
from romp_core.data.synthetic.sensor import ambient_occlusion, photograph
from romp_core.data.synthetic.textures import fractal_noise, print_atlas
from romp_core.render.people_scene import Figure, Rendering, Scene, SceneRenderer
from romp_core.render.people_shading import LOOKS

_TEXTURE_SEED = 5
_CONTACT_CELLS = 192


class SyntheticPeople:
    """Map-style data set: `dataset[i]` is the same `Sample` whenever and wherever it is made.

    Safe in worker processes: the OpenGL context is made by the first picture of each process.

    Args:
        config: what the pictures show.
        seed: another seed gives other pictures.

    Raises:
        DataError: the poses, panoramas or pictures that the configuration names are not there.
        BodyFileError, FileNotFoundError: the body cannot be read.
        RendererError: at the first picture, when no off-screen context can be had.
    """

    def __init__(self, config: SyntheticConfig, seed: int = 1):
        self.config, self.seed = config, seed
        recorded = load_poses(config.poses, config.held_out) if config.poses else None
        self._panoramas = Panoramas(config.panoramas, config.held_out) if config.panoramas else None
        self._pictures = Pictures(config.pictures) if config.pictures else None
        self.body = DressedBody(read_body(OPEN_BODY if config.body == "open" else config.body))
        self._tailor = Tailor(self.body, PoseSampler(recorded))
        self._renderer: SceneRenderer | None = None

    def __len__(self) -> int:
        return self.config.length

    def __getstate__(self) -> dict:
        # An OpenGL context cannot travel to another process.
        return {**self.__dict__, "_renderer": None}

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"picture {index} of {len(self)}")
        rng = np.random.default_rng([self.seed, index])
        config = self.config
        surroundings = self._surroundings(rng)
        camera, spots = self._set_up(rng, walled=surroundings[0] == "panorama")
        dress = random_outfit if config.clothes else nude
        people = self._tailor.make(rng, camera, spots, [dress(rng) for _ in spots])
        things = self._furnish(rng, camera, people, surroundings[0])
        scene = self._scene(rng, camera, people, things, *surroundings)
        rendering = self._render(scene, camera)
        image = ambient_occlusion(rendering.color, rendering.depth, rng.uniform(0.2, 0.9))
        image = np.ascontiguousarray(image[..., ::-1])
        image = photograph(image, rng) if config.sensor else np.rint(image).astype(np.uint8)
        return self._annotated(index, image, camera, people, rendering)

    def _set_up(self, rng: np.random.Generator, walled: bool) -> tuple[Camera, np.ndarray]:
        """Camera, and spots (K, 2) for people."""
        config = self.config
        count = self._people_count(rng)
        low, high = (0.35, 1.6) if rng.random() < 0.7 else (0.14, 0.5)
        if count > 4:
            low, high = 0.15, 0.9
        share = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        camera, distance = random_camera(rng, config.height, config.width, share, walled)
        if count == 0:
            return camera, np.zeros((0, 2))
        reach = 1.5 * distance if walled else 30.0
        return camera, place_people(rng, camera, distance, count, config.crowded, reach)

    def _people_count(self, rng: np.random.Generator) -> int:
        if self.config.crowded:
            return 2 * int(rng.integers(1, max(2, self.config.max_people // 2 + 1)))
        groups = [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (9, 20)]
        low, high = groups[rng.choice(6, p=[0.03, 0.3, 0.22, 0.23, 0.15, 0.07])]
        return min(int(rng.integers(low, high + 1)), self.config.max_people)

    def _furnish(
        self, rng: np.random.Generator, camera: Camera, people: People, mode: str
    ) -> list[objects.Thing]:
        """Seats under people who sit, things in front of people, and things behind them."""
        things = []
        world = self._to_world(people.joints, camera)
        for joints, heading in zip(world, people.headings, strict=True):
            pelvis, ankles = joints[0], joints[[7, 8]]
            forward = (ankles - pelvis) @ [np.sin(heading), 0, np.cos(heading)]
            if 0.25 < pelvis[1] < 0.75 and forward.mean() > 0.13:
                seat_at = pelvis[[0, 2]] + 0.03 * np.array([np.sin(heading), np.cos(heading)])
                things.append(objects.seat(rng, max(0.1, pelvis[1] - 0.12), seat_at, heading))
        if len(world) and rng.random() < self.config.occluder_share:
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

    @staticmethod
    def _to_world(points: np.ndarray, camera: Camera) -> np.ndarray:
        return points @ camera.world_from_optical.T + [0, camera.elevation, 0]

    def _scene(
        self,
        rng: np.random.Generator,
        camera: Camera,
        people: People,
        things: list[objects.Thing],
        mode: str,
        backdrop: np.ndarray | None,
        light: Light,
    ) -> Scene:
        yaw = rng.uniform(-np.pi, np.pi)
        c, s = np.cos(yaw), np.sin(yaw)
        # The panorama's x points right, the world's left; half of all panoramas are mirrored.
        mirror = rng.choice([-1.0, 1.0])
        panorama_from_world = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.diag([mirror, 1, 1])
        panorama_from_optical = panorama_from_world @ camera.world_from_optical
        contact, box = self._contact(people, things, camera)
        vertices, figures = self._geometry(people, things, camera)
        open_air = rng.random() < 0.4
        return Scene(
            vertices,
            figures,
            light.irradiance,
            panorama_from_optical,
            camera.world_from_optical,
            camera.elevation,
            (panorama_from_optical.T @ light.key_direction).astype(np.float32),
            light.key_color,
            mode,
            backdrop,
            self._room_size(rng, camera, people, open_air),
            self._room_looks(rng, open_air),
            contact,
            box,
            rng.uniform(0.7, 1.0),
        )

    def _surroundings(self, rng: np.random.Generator) -> tuple[str, np.ndarray | None, Light]:
        choices = ["room", "procedural"]
        weights = [0.3, 0.08]
        if self._panoramas is not None:
            choices, weights = [*choices, "panorama"], [*weights, 1.0]
        if self._pictures is not None:
            choices, weights = [*choices, "picture"], [*weights, 1.0]
        kind = rng.choice(choices, p=np.array(weights) / sum(weights))
        if kind == "panorama":
            backdrop, radiance = self._panoramas.draw(rng)
            return "panorama", backdrop, light_from_radiance(radiance, rng, rng.uniform(0, 1))
        height, width = self.config.height, self.config.width
        if kind == "picture":
            return "picture", self._pictures.draw(rng, height, width), random_light(rng)
        if kind == "procedural":
            return "picture", draw_procedural(rng, height, width), random_light(rng)
        return "room", None, random_light(rng)

    @staticmethod
    def _room_size(
        rng: np.random.Generator, camera: Camera, people: People, open_air: bool
    ) -> tuple[float, float, float]:
        """Half width, height and far wall, in metres, of a room or courtyard around everybody."""
        roomy = 4.0 if open_air else 1.0
        half_width = np.abs(people.translation[:, 0]).max(initial=1.5) + roomy * rng.uniform(0.6, 3)
        height = max(camera.elevation + 0.4, rng.uniform(2.3, 4.5) * (1 + open_air))
        far = people.translation[:, 2].max(initial=3.0) + 1.0 + roomy * rng.uniform(0.5, 5)
        return half_width, height, far

    @staticmethod
    def _room_looks(rng: np.random.Generator, open_air: bool) -> np.ndarray:
        columns = np.zeros((len(LOOKS), 4), np.float32)
        styles = [0, 1, 3, 7, 8, 9]
        shares = {
            "TOP": [0.5, 0.08, 0.02, 0.05, 0.1, 0.25],
            "BOTTOM": [0.35, 0.05, 0.2, 0.05, 0.05, 0.3],
        }
        for name, share in shares.items():
            base = 0.5 * cloth_color(rng) + 0.1 + 0.5 * rng.random()
            columns[LOOKS.index(f"{name}_A")] = [*base, rng.choice(styles, p=share)]
            columns[LOOKS.index(f"{name}_B")] = [
                *(base * rng.uniform(0.5, 1.2)),
                rng.uniform(0.8, 6),
            ]
        columns[LOOKS.index("TOP_C")] = [*(base * rng.uniform(0.6, 1.2, 3)), 0]
        columns[LOOKS.index("SKIN"), 3] = open_air
        columns[LOOKS.index("PHASE")] = rng.random(4)
        return columns

    def _contact(
        self, people: People, things: list[objects.Thing], camera: Camera
    ) -> tuple[np.ndarray, tuple[float, float, float, float]]:
        """How much of the sky the floor does not see, as a map of the floor around everybody."""
        blocks = [self._to_world(people.vertices[:, ::3].reshape(-1, 3), camera)]
        blocks += [self._dense_points(thing) for thing in things]
        points = np.concatenate(blocks)
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
        soft = np.minimum(2.0 * soft, 1.0)
        return soft, (*low.tolist(), *extent.tolist())

    @staticmethod
    def _dense_points(thing: objects.Thing) -> np.ndarray:
        """Points on the sides of a thing's boxes, dense enough to shade the floor."""
        quads = thing.vertices.reshape(-1, 4, 3)
        u, v = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 12))
        corners = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v]).reshape(4, -1)
        return np.einsum("qcx,cn->qnx", quads, corners).reshape(-1, 3)

    def _geometry(
        self, people: People, things: list[objects.Thing], camera: Camera
    ) -> tuple[np.ndarray, list[Figure]]:
        """Vertices (N, 13) of people, then things, and what is drawn with them."""
        body, count = self.body, len(people.outfits)
        number = len(body.static)
        block = np.empty((count, number, 13), np.float32)
        block[..., :3], block[..., 3:6] = people.vertices, people.normals
        block[..., 6:] = body.static
        vertices, figures = [block.reshape(-1, 13)], []
        for row in np.argsort(people.translation[:, 2]):
            outfit, start = people.outfits[row], row * number
            worn = [("body", body.body_faces)]
            worn += [(body.piece_kinds[name], body.piece_faces[name]) for name in outfit.pieces]
            figures += [
                Figure(kind, row + 1, outfit.columns, faces + start) for kind, faces in worn
            ]
        start = count * number
        for thing in things:
            moving = [camera.to_optical(thing.vertices), thing.normals @ camera.world_from_optical]
            vertices.append(np.column_stack([*moving, objects.static_attributes(thing)]))
            figures.append(Figure("object", objects.OBJECT, thing.looks, thing.faces + start))
            start += len(thing.vertices)
        return np.concatenate(vertices).astype(np.float32), figures

    def _render(self, scene: Scene, camera: Camera) -> Rendering:
        if self._renderer is None:
            rng = np.random.default_rng(_TEXTURE_SEED)
            marks = self.body.landmarks
            eye = 0.5 * (marks["left_eye"] + [-1, 1, 1] * marks["right_eye"])
            face = {
                "head_center": tuple(self.body.head_center),
                "head_radius": self.body.head_radius,
                "eyes": tuple(eye),
                "mouth_height": float(marks["nose"][1] - 0.65 * (eye[1] - marks["nose"][1])),
            }
            self._renderer = SceneRenderer(
                self.config.height,
                self.config.width,
                self.config.supersampling,
                fractal_noise(rng, 256, 4, 1.0),
                print_atlas(rng),
                face,
            )
        return self._renderer(scene, camera.intrinsics)

    def _annotated(
        self,
        index: int,
        image: np.ndarray,
        camera: Camera,
        people: People,
        rendering: Rendering,
    ) -> Sample:
        config, K = self.config, camera.intrinsics
        skin = slice(0, self.body.body_vertex_count)
        skins = people.vertices[:, skin]
        share = annotate.visible_share(skins, people.normals[:, skin], K, rendering.rows)
        outlines = annotate.boxes(skins, K, config.height, config.width)
        dense = None
        if config.dense:
            modelled = rendering.rows > 0
            depth = np.where(modelled, rendering.depth, np.inf).astype(np.float32)
            dense = DenseMaps(depth, rendering.parts, rendering.normals)
        sample = Sample(
            image=image,
            source=f"synthetic people, seed {self.seed}, picture {index}",
            keypoints_2d=annotate.keypoints(people.joints, K, rendering.depth, rendering.rows),
            boxes=outlines,
            pose=people.pose,
            betas=people.betas,
            translation=people.translation,
            joints_3d=people.joints,
            intrinsics=K,
            body_id=self.body.body_id,
            ignored_boxes=outlines[(share > 0) & (share < config.minimum_visible)],
            dense=dense,
        )
        return sample.select(share >= max(config.minimum_visible, 1e-6))
