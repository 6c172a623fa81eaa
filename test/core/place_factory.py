"""Open bodies in poses that stand, sit and lean, in front of cameras that know where they are."""

import numpy as np
import torch

from romp_core import BodyModel, People
from romp_core.geometry.lens import CameraModel

_UPRIGHT = np.pi  # turns a body about x: its y up becomes the optical frame's y down
_LEAN = {"left_hip": 1, "right_hip": 2, "spine1": 3, "left_shoulder": 16, "right_shoulder": 17}


def random_poses(count: int, seed: int = 0, lean: float = 0.35) -> np.ndarray:
    """(count, 72) axis-angle of people who face the camera and lean towards or away from it."""
    rng = np.random.default_rng(seed)
    pose = np.zeros((count, 24, 3), np.float32)
    pose[:, 0, 0] = _UPRIGHT + rng.uniform(-lean, lean, count)
    for joint in _LEAN.values():
        pose[:, joint] = rng.normal(0, 0.25, (count, 3))
    pose[:, 16, 2] -= 1.1  # arms down
    pose[:, 17, 2] += 1.1
    return pose.reshape(count, 72)


def standing_people(
    body: BodyModel,
    camera: CameraModel,
    places: np.ndarray,
    betas: np.ndarray | None = None,
    seed: int = 0,
    lean: float = 0.35,
) -> People:
    """People whose joints' mean is at given places, seen exactly.

    Args:
        body: their body.
        camera: that their `keypoints_2d` are the exact pixels of.
        places: (K, 3) metres, optical frame.
        betas: (K, 10); None: zero.
        seed: of their poses.
        lean: radians, the most that anybody leans.
    """
    count = len(places)
    pose = random_poses(count, seed, lean)
    betas = np.zeros((count, 10), np.float32) if betas is None else betas.astype(np.float32)
    with torch.inference_mode():
        found = body(torch.from_numpy(pose), torch.from_numpy(betas))
    joints, vertices = found.joints.numpy(), found.vertices.numpy()
    translation = (places - joints.mean(1)).astype(np.float32)
    joints = joints + translation[:, None]
    pixels = camera.project(joints).astype(np.float32)
    return People(
        confidence=np.full(count, 0.9, np.float32),
        pose=pose,
        betas=betas,
        camera=np.ones((count, 3), np.float32),
        translation=translation,
        vertices=vertices + translation[:, None],
        joints=joints,
        keypoints_2d=pixels,
        boxes=np.concatenate([pixels.min(1), pixels.max(1)], 1),
        track_ids=np.zeros(count, np.int64),
        center=pixels.mean(1),
    )


def weak_perspective_pixels(people: People) -> np.ndarray:
    """(K, J, 2) keypoints by the weak-perspective camera that fits the exact ones best."""
    flat = people.joints[..., :2] - people.joints[..., :2].mean(1, keepdims=True)
    middle = people.keypoints_2d.mean(1, keepdims=True)
    scale = (flat * (people.keypoints_2d - middle)).sum((1, 2)) / (flat**2).sum((1, 2))
    return scale[:, None, None] * flat + middle
