"""A miniature 3DPW in the official form, of people whose poses are known."""

import pickle
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from romp_core.body import BodyModel
from romp_core.body.files import write_body
from romp_core.media import write_image

HEIGHT, WIDTH = 90, 160
K = np.array([[140.0, 0, 79.5], [0, 140, 44.5], [0, 0, 1]])
SEQUENCES = {  # split, name, frames, first frame with a valid camera
    "train": ("courtyard_dancing_00", 62, 57),
    "validation": ("courtyard_box_00", 3, 0),
    "test": ("downtown_walking_00", 4, 0),
}


def write_bodies(folder, neutral):
    """Bodies of three different shapes with one topology, under SMPL's names."""
    folder.mkdir()
    write_body(neutral, folder / "SMPL_NEUTRAL.npz")
    for name, scale in (("SMPL_MALE", 1.1), ("SMPL_FEMALE", 0.9)):
        write_body(replace(neutral, v_template=neutral.v_template * scale), folder / f"{name}.npz")
    return {
        "m": BodyModel(replace(neutral, v_template=neutral.v_template * 1.1)),
        "f": BodyModel(replace(neutral, v_template=neutral.v_template * 0.9)),
    }


def write_three_dpw(root, bodies, seed=0):
    """All three splits; returns {sequence: true poses, translations in the camera's frame}."""
    truth = {}
    for number, (split, (name, frames, first)) in enumerate(SEQUENCES.items()):
        rng = np.random.default_rng([seed, number])
        people = [_person(rng, bodies[gender], gender, frames, spot) for gender, spot in
                  (("m", -0.6), ("f", 0.6))]  # fmt: skip
        cameras = np.tile(np.eye(4), (frames, 1, 1))
        cameras[:, :3, :3] = Rotation.random(frames, rng).as_matrix()
        cameras[:, :3, 3] = rng.normal(0, 2, (frames, 3))
        valid = (np.arange(frames) >= first).astype(np.int32)
        world = [_into_world(person, bodies, cameras) for person in people]
        content = {
            "sequence": name,
            "genders": [person["gender"] for person in people],
            "betas": [person["betas"] for person in people],
            "poses": [pose for pose, _ in world],
            "trans": [translation for _, translation in world],
            "poses2d": [np.ones((frames, 3, 18)) for _ in people],
            "campose_valid": [valid for _ in people],
            "cam_poses": cameras,
            "cam_intrinsics": K,
            "img_frame_ids": np.arange(frames),
        }
        file = root / "sequenceFiles" / split / f"{name}.pkl"
        file.parent.mkdir(parents=True)
        file.write_bytes(pickle.dumps(content, protocol=2))
        images = root / "imageFiles" / name
        images.mkdir(parents=True)
        for frame in range(first, frames):
            noise = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            write_image(images / f"image_{frame:05}.jpg", noise)
        truth[name] = people
    return truth


def _person(rng, body, gender, frames, spot):
    pose = rng.normal(0, 0.3, (frames, 72))
    place = np.array([spot, 0, 2]) + rng.normal(0, 0.05, (frames, 3))
    return {"gender": gender, "betas": rng.normal(0, 1, 10), "pose": pose, "translation": place}


def _into_world(person, bodies, cameras):
    """Poses and translations in the world of people that are known in the camera's frame."""
    rotation, offset = cameras[:, :3, :3], cameras[:, :3, 3]
    pose = person["pose"].copy()
    turned = Rotation.from_matrix(rotation).inv() * Rotation.from_rotvec(pose[:, :3])
    pose[:, :3] = turned.as_rotvec()
    betas = torch.from_numpy(person["betas"][None]).float()
    root = bodies[person["gender"]](torch.zeros(1, 72), betas).joints[0, 0].numpy()
    there = person["translation"] + root - offset
    return pose, np.einsum("nji,nj->ni", rotation, there) - root
