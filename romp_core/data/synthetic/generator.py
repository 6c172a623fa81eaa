"""Endless annotated pictures of synthetic people."""

import numpy as np

from romp_core.body import read_body
from romp_core.body.model import OPEN_BODY
from romp_core.data.sample import DenseMaps, Sample
from romp_core.data.synthetic import annotate
from romp_core.data.synthetic.assemble import assemble
from romp_core.data.synthetic.cameras import Camera, place_people, random_camera
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.garments import DressedBody
from romp_core.data.synthetic.outfit import nude, random_outfit
from romp_core.data.synthetic.people import People, Tailor
from romp_core.data.synthetic.poses import PoseSampler, load_poses
from romp_core.data.synthetic.sensor import ambient_occlusion, photograph
from romp_core.data.synthetic.surroundings import Backdrops, furnish
from romp_core.data.synthetic.textures import fractal_noise, print_atlas
from romp_core.render.people_scene import Rendering, Scene, SceneRenderer

_TEXTURE_SEED = 5
_SHARES = (0.9, 1.7), (0.25, 0.9), (0.13, 0.4)
"""Height of a standing person as a share of the picture's: close-ups, usual, from afar."""


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
        self._backdrops = Backdrops(config)
        self.body = DressedBody(read_body(OPEN_BODY if config.body == "open" else config.body))
        sampler = PoseSampler.varied if config.varied else PoseSampler
        self._tailor = Tailor(self.body, sampler(recorded))
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
        backdrop = self._backdrops.draw(rng)
        camera, spots = self._set_up(rng, walled=backdrop.mode == "panorama")
        dress = random_outfit if config.clothes else nude
        people = self._tailor.make(rng, camera, spots, [dress(rng) for _ in spots])
        things = furnish(rng, camera, people, backdrop.mode, config.occluder_share)
        scene = assemble(rng, camera, self.body, people, things, backdrop)
        rendering = self._render(scene, camera)
        image = ambient_occlusion(rendering.color, rendering.depth, rng.uniform(0.2, 0.9))
        image = np.ascontiguousarray(image[..., ::-1])
        image = photograph(image, rng) if config.sensor else np.rint(image).astype(np.uint8)
        return self._annotated(index, image, camera, people, rendering)

    def _set_up(self, rng: np.random.Generator, walled: bool) -> tuple[Camera, np.ndarray]:
        """Camera, and spots (K, 2) for people."""
        config = self.config
        count = self._people_count(rng)
        framing = rng.choice(3, p=[0.2, 0.6, 0.2] if count <= 4 else [0.0, 0.5, 0.5])
        share = float(np.exp(rng.uniform(*np.log(_SHARES[framing]))))
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
