"""Open bodies in poses that stand, sit and lean, in front of cameras that know where they are."""

from dataclasses import replace

import numpy as np
import torch

from romp_core import BodyModel, People
from romp_core.geometry.lens import CameraModel
from romp_core.place.monocular import place_by_pixels

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


def seen_by_network(
    body: BodyModel,
    true: People,
    camera: CameraModel,
    size: tuple[int, int],
    seed: int = 0,
    betas: np.ndarray | None = None,
) -> People:
    """People as a network answers that sees poses and pixels not quite right.

    Args:
        body: of the people.
        true: where they are.
        camera: under which they are placed by their pixels.
        size: height and width of the image.
        seed: of the noise: 0.05 rad per joint angle, one pixel for the whole body.
        betas: (K, 10) that it takes them to have; None: zero.
    """
    rng = np.random.default_rng(seed)
    pose = (true.pose + rng.normal(0, 0.05, true.pose.shape)).astype(np.float32)
    betas = np.zeros((len(true), 10), np.float32) if betas is None else betas
    with torch.inference_mode():
        found = body(torch.from_numpy(pose), torch.from_numpy(betas))
    seen = replace(true, pose=pose, betas=betas, joints=found.joints.numpy())
    keypoints = weak_perspective_pixels(seen) + rng.normal(0, 1, (len(true), 1, 2))
    seen = replace(
        seen,
        translation=np.zeros_like(true.translation),
        vertices=found.vertices.numpy(),
        keypoints_2d=keypoints.astype(np.float32),
    )
    return seen.moved(place_by_pixels(seen.joints, seen.keypoints_2d, camera, size))


def depth_of(
    people: People, faces: np.ndarray, camera: CameraModel, size: tuple[int, int], scale: float = 1
) -> np.ndarray:
    """(H, W) metres of people's surfaces; inf where nobody is.

    Points spread over each triangle that faces the camera stand for it.

    Args:
        people: with vertices.
        faces: (F, 3).
        camera: that sees them.
        size: height and width of its image.
        scale: size of the result relative to the image's.
    """
    height, width = (round(side * scale) for side in size)
    depth = np.full((height, width), np.inf)
    for vertices in people.vertices:
        triangles = vertices[faces].astype(float)
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        triangles = triangles[np.einsum("fi,fi->f", normals, triangles[:, 0]) < 0]
        pixel = np.median(triangles[..., 2]) / (camera.intrinsics[0, 0] * scale)
        edge = np.percentile(np.ptp(triangles, axis=1).max(1), 95)
        shares = _barycentric(int(np.clip(1.5 * edge / pixel, 2, 15)))
        points = np.einsum("sc,fcx->fsx", shares, triangles).reshape(-1, 3)
        pixels = (camera.project(points) + 0.5) * scale
        inside = ((pixels >= 0) & (pixels < (width, height))).all(1)
        column, row = pixels[inside].astype(int).T
        np.minimum.at(depth, (row, column), points[inside, 2])
    return depth


def _barycentric(steps: int) -> np.ndarray:
    """(N, 3) shares of the corners in points spread evenly over a triangle."""
    whole = range(steps + 1)
    return np.array([(a, b, steps - a - b) for a in whole for b in whole if a + b <= steps]) / steps


def through_a_sensor(
    depth: np.ndarray, seed: int = 0, noise: float = 0.01, holes: float = 0.2
) -> np.ndarray:
    """(H, W) float32 with noise that grows with the distance, and holes (NaN), in patches."""
    rng = np.random.default_rng(seed)
    noisy = depth * (1 + rng.normal(0, noise, depth.shape))
    patches = rng.random((depth.shape[0] // 6 + 1, depth.shape[1] // 6 + 1)) < holes
    hole = patches.repeat(6, 0).repeat(6, 1)[: depth.shape[0], : depth.shape[1]]
    hole |= ~np.isfinite(depth) | (rng.random(depth.shape) < holes / 4)
    return np.where(hole, np.nan, noisy).astype(np.float32)
