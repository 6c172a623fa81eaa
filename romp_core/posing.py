"""What follows from people's parameters: the body in its place, its pixels, its box."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from romp_core.body.model import BodyModel
from romp_core.geometry.lens import CameraModel
from romp_core.people import People

BOX_MARGIN = 0.05
"""Widening of boxes around the joints, as a share of their longer side."""


def posed(
    people: People,
    body: BodyModel,
    intrinsics: np.ndarray | CameraModel,
    size: tuple[int, int],
    *,
    with_vertices: bool = True,
) -> People:
    """People whose pose, betas or translation were changed, with all that follows from them.

    Args:
        people: K of them.
        body: whose betas they have; its device does the work.
        intrinsics: (3, 3) K, pixels, or `CameraModel` where the lens distorts.
        size: height and width of the image.
        with_vertices: false leaves the mesh out; `vertices` is then (K, 0, 3).

    Returns:
        The same people with `vertices` and `joints` that the body gives, and with `keypoints_2d`
        and `boxes` where the intrinsics see these joints (a prediction has those of its
        weak-perspective camera).
    """
    camera = intrinsics if isinstance(intrinsics, CameraModel) else CameraModel(intrinsics)
    device = body.device
    # Arrays where that can be: for a handful of people torch's calls cost several times NumPy's.
    rotations = Rotation.from_rotvec(people.pose.reshape(-1, 3)).as_matrix()
    with torch.inference_mode():
        pose, betas = (
            torch.as_tensor(values, dtype=torch.float32, device=device)
            for values in (rotations.reshape(-1, 24, 3, 3), people.betas)
        )
        mesh, joints = body(pose, betas, with_vertices=with_vertices)
        joints = joints.cpu().numpy()
        vertices = joints[:, :0] if mesh is None else mesh.cpu().numpy()
    translation = people.translation[:, None]
    joints = joints + translation
    keypoints = camera.project(joints).astype(np.float32)
    limit = torch.tensor([[size[1] - 1.0, size[0] - 1.0]])
    return replace(
        people,
        vertices=vertices + translation,
        joints=joints,
        keypoints_2d=keypoints,
        boxes=boxes_around(torch.from_numpy(keypoints), limit).numpy(),
    )


def boxes_around(keypoints: Tensor, limit: Tensor) -> Tensor:
    """(K, 4) boxes around (K, J, 2) keypoints, a little wider, within 0..limit (K or 1, 2)."""
    low, high = torch.aminmax(keypoints, dim=1)
    margin = BOX_MARGIN * (high - low).amax(-1, keepdim=True)
    return torch.cat([low - margin, high + margin], 1).clamp(min=0).minimum(limit.repeat(1, 2))
