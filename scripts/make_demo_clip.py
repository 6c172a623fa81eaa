"""Renders the clip that `make demo` plays: two people walk, two stand and wave.

Only procedural parts, so that the clip is as free as the package: no recorded pose, no photograph.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS
from romp_core.data.synthetic.assemble import assemble
from romp_core.data.synthetic.cameras import Camera, rotation_from_pitch_roll
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.generator import SyntheticPeople
from romp_core.data.synthetic.lighting import random_light
from romp_core.data.synthetic.outfit import random_outfit
from romp_core.data.synthetic.people import Tailor
from romp_core.data.synthetic.poses import plant_feet
from romp_core.data.synthetic.sensor import ambient_occlusion
from romp_core.data.synthetic.surroundings import Backdrop
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.media import VideoWriter

CLIP = Path(__file__).resolve().parents[1] / "romp_core" / "assets" / "demo_clip.mp4"
HEIGHT, WIDTH, FPS, FRAMES = 480, 640, 15, 60
ROOM = 4.0, 3.2, 9.0  # half width, height, far wall, metres
STARTS = np.array([[1.45, 3.9], [-1.0, 6.3], [0.8, 5.6], [-1.65, 3.9]])  # +x is to the left
SPEEDS = np.array([0.0, 0.6, 0.6, 0.0])  # metres per second; who stands waves
CYCLE = 1.5  # seconds of two steps
SEED = 13371  # decides who looks how, and turns them towards the camera


def walk(phase: float) -> np.ndarray:
    """(24, 3) axis-angle of one moment of a stroll, `phase` in radians."""
    pose = np.zeros((24, 3), np.float32)
    for side, sign in (("left", 1), ("right", -1)):
        swing = sign * np.sin(phase)
        lifted = max(0.0, sign * np.cos(phase))
        pose[SMPL_JOINTS.index(f"{side}_hip")] = [-0.1 - 0.3 * swing, 0, 0.04 * sign]
        pose[SMPL_JOINTS.index(f"{side}_knee")] = [0.1 + 0.6 * lifted, 0, 0]
        hanging = Rotation.from_rotvec([0, 0, -1.25 * sign])
        arm = Rotation.from_rotvec([0.35 * swing, 0, 0]) * hanging
        pose[SMPL_JOINTS.index(f"{side}_shoulder")] = arm.as_rotvec()
        pose[SMPL_JOINTS.index(f"{side}_elbow")] = [0, -0.35 * sign, 0]
    return plant_feet(pose)


def wave(phase: float) -> np.ndarray:
    """(24, 3) axis-angle of one moment of waving with the right hand, `phase` in radians."""
    pose = walk(0.0)
    for joint in ("left_hip", "right_hip", "left_knee", "right_knee"):
        pose[SMPL_JOINTS.index(joint)] = 0
    pose[SMPL_JOINTS.index("right_shoulder")] = [0, 0, 0.1]
    pose[SMPL_JOINTS.index("right_elbow")] = [0, 0, -1.2 + 0.5 * np.sin(phase)]
    return plant_feet(pose)


def poses() -> Iterator[np.ndarray]:
    """Everybody's pose in frame 0, then in frame 1, and so on."""
    for frame in range(FRAMES):
        for person, speed in enumerate(SPEEDS):
            phase = 2 * np.pi * frame / (CYCLE * FPS) + 2.0 * person
            yield walk(phase) if speed else wave(phase)


class Strollers(SyntheticPeople):
    """The same people, in one room, frame by frame."""

    def __init__(self):
        super().__init__(SyntheticConfig(height=HEIGHT, width=WIDTH))
        moving = poses()
        self._tailor = Tailor(self.body, lambda _: next(moving))

    def frames(self) -> Iterator[np.ndarray]:
        """(HEIGHT, WIDTH, 3) uint8 BGR each."""
        intrinsics = intrinsics_from_fov(HEIGHT, WIDTH)
        camera = Camera(HEIGHT, WIDTH, intrinsics, 1.4, rotation_from_pitch_roll(0.12, 0.0))
        rng = np.random.default_rng(SEED)
        outfits = [random_outfit(rng) for _ in STARTS]
        backdrop = Backdrop("room", None, random_light(rng))
        spots = STARTS
        for _ in range(FRAMES):
            # The same draws in every frame: nobody changes shape, and no wall its paint.
            people = self._tailor.make(np.random.default_rng(SEED), camera, spots, outfits)
            rng = np.random.default_rng(SEED)
            scene = assemble(rng, camera, self.body, people, [], backdrop)
            rendering = self._render(replace(scene, room=ROOM), camera)
            image = ambient_occlusion(rendering.color, rendering.depth, 0.5)
            yield np.ascontiguousarray(np.rint(image[..., ::-1]).astype(np.uint8))
            ahead = np.stack([np.sin(people.headings), np.cos(people.headings)], 1)
            spots = spots + SPEEDS[:, None] / FPS * ahead


if __name__ == "__main__":
    with VideoWriter(CLIP, FPS) as video:
        for frame in Strollers().frames():
            video.write(frame)
    print(f"{CLIP}: {CLIP.stat().st_size / 1e6:.2f} MB")
