"""Pictures of a sequence, for a network to look at."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from romp_core.data.synthetic.assemble import assemble
from romp_core.data.synthetic.cameras import Camera, rotation_from_pitch_roll
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.generator import SyntheticPeople
from romp_core.data.synthetic.outfit import random_outfit
from romp_core.data.synthetic.people import People, vertex_normals
from romp_core.data.synthetic.sensor import ambient_occlusion
from romp_core.data.synthetic.sequences import Sequence


class Film(SyntheticPeople):
    """A sequence in one place, everybody in the same clothes throughout.

    Args:
        sequence: what happens.
        seed: of clothes, place and light.
        panoramas: folder of panoramas, of which those held out are used; None: a room.

    Raises:
        DataError: the panoramas are not there.
        RendererError: at the first picture, when no off-screen context can be had.
    """

    def __init__(self, sequence: Sequence, seed: int, panoramas: Path | None = None):
        height, width = sequence.size
        super().__init__(
            SyntheticConfig(height=height, width=width, panoramas=panoramas, held_out=True), seed
        )
        self._sequence = sequence

    def frames(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 BGR, one per stamp."""
        sequence, config = self._sequence, self.config
        rng = np.random.default_rng(self.seed)
        camera = Camera(
            config.height,
            config.width,
            sequence.intrinsics,
            sequence.config.camera_height,
            rotation_from_pitch_roll(0.0, 0.0),
        )
        outfits = [random_outfit(rng) for _ in range(sequence.visible.shape[1])]
        backdrop = self._backdrops.draw(rng)
        for people in sequence.everybody:
            dressed = self._dressed(people.pose, people.betas, people.translation, camera)
            dressed.outfits = outfits
            scene = assemble(
                np.random.default_rng(self.seed), camera, self.body, dressed, [], backdrop
            )
            rendering = self._render(scene, camera)
            image = ambient_occlusion(rendering.color, rendering.depth, 0.5)
            yield np.ascontiguousarray(np.rint(image[..., ::-1]).astype(np.uint8))

    def _dressed(
        self, pose: np.ndarray, betas: np.ndarray, translation: np.ndarray, camera: Camera
    ) -> People:
        """People (K) as the renderer wants them; outfits are still to be given."""
        with torch.inference_mode():
            output = self.body.model(torch.from_numpy(pose), torch.from_numpy(betas))
        vertices = output.vertices.numpy() + translation[:, None]
        normals = vertex_normals(vertices, self._tailor.faces, self._tailor.incidence)
        joints = output.joints.numpy() + translation[:, None]
        turn = Rotation.from_matrix(camera.world_from_optical) * Rotation.from_rotvec(pose[:, :3])
        ahead = turn.apply([0, 0, 1])
        headings = np.arctan2(ahead[:, 0], ahead[:, 2])
        return People(pose, betas, translation, vertices, normals, joints, [], headings)
