"""What follows from people's parameters: the body in its place, its pixels, its box."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from romp_core.body.model import BodyModel
from romp_core.geometry.lens import CameraModel
from romp_core.people import People

Points = TypeVar("Points", np.ndarray, Tensor)

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
    with torch.inference_mode():
        pose, betas = (
            torch.from_numpy(np.require(values, np.float32, ["C", "W"])).to(body.device)
            for values in (people.pose, people.betas)
        )
        mesh, joints = body(pose, betas, with_vertices=with_vertices)
        joints = joints.cpu().numpy()
        vertices = joints[:, :0] if mesh is None else mesh.cpu().numpy()
    translation = people.translation[:, None]
    joints = joints + translation
    keypoints = camera.project(joints).astype(np.float32)
    limit = np.array([[size[1] - 1, size[0] - 1]], np.float32)
    return replace(
        people,
        vertices=vertices + translation,
        joints=joints,
        keypoints_2d=keypoints,
        boxes=boxes_around(keypoints, limit),
    )


def boxes_around(keypoints: Points, limit: Points) -> Points:
    """Boxes x0, y0, x1, y1 around keypoints, a little wider, within the image.

    Args:
        keypoints: (K, J, 2) pixels, an array or a tensor.
        limit: (K, 2) or (1, 2) of the same kind: the last pixel's x and y.

    Returns:
        (K, 4) of the same kind.
    """
    # For a handful of people torch's calls cost several times NumPy's.
    library = torch if isinstance(keypoints, Tensor) else np
    low, high = library.amin(keypoints, axis=1), library.amax(keypoints, axis=1)
    margin = BOX_MARGIN * library.amax(high - low, axis=1, keepdims=True)
    wider = library.concatenate([low - margin, high + margin], axis=1)
    return library.minimum(
        library.clip(wider, 0, None), library.concatenate([limit, limit], axis=1)
    )
