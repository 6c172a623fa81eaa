"""People that a data set describes by SMPL's numbers, as `Sample` wants them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from romp_core.body.files import read_body
from romp_core.body.joints import JOINTS_71, LANDMARKS
from romp_core.body.model import BodyModel
from romp_core.data.readers.records import boxes_around, to_joints_71, with_visibility
from romp_core.errors import DataError
from romp_core.geometry.cameras import NEAREST_DEPTH
from romp_core.geometry.lens import CameraModel
from romp_core.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

_AT_ONCE = 512
_GENDERED_FILES = {
    "m": ("smpl_male", "basicmodel_m"),
    "f": ("smpl_female", "basicmodel_f"),
}  # beginnings of official names, in lower case


def read_smpl_bodies(folder: Path) -> dict[str, BodyModel]:
    """SMPL's bodies, all with the landmarks of the published ROMP.

    Args:
        folder: holds `SMPL_NEUTRAL.pth` or `.npz` with all landmarks, and the male and the
            female body under their official names (SMPL_MALE.pkl, basicmodel_m_lbs_...pkl).

    Returns:
        The bodies under "neutral", "m" and "f".

    Raises:
        FileNotFoundError: one of the files is missing.
        BodyFileError: one of them is damaged.
        DataError: they do not share one topology, or the neutral one has no landmarks.
    """
    # SMPL's own neutral file, without landmarks, may lie beside the packed one.
    candidates = [read_body(path) for path in _body_files(folder, ("smpl_neutral",))]
    missing = [len(set(LANDMARKS) - set(body.landmark_names)) for body in candidates]
    neutral = candidates[int(np.argmin(missing))]
    if min(missing):
        raise DataError(
            f"the neutral body in {folder} lacks {min(missing)} of the {len(LANDMARKS)} landmarks; "
            "expected the packed SMPL_NEUTRAL.pth of the published ROMP, or an .npz made from it"
        )
    bodies = {"neutral": BodyModel(neutral)}
    for gender, names in _GENDERED_FILES.items():
        path = _body_files(folder, names)[0]
        body = read_body(path)
        if not np.array_equal(body.faces, neutral.faces):
            raise DataError(f"{path} has other triangles than the neutral body beside it")
        landmarks = {
            "landmark_names": neutral.landmark_names,
            "landmark_regressor": neutral.landmark_regressor,
        }
        bodies[gender] = BodyModel(replace(body, **landmarks))
    return bodies


def _body_files(folder: Path, beginnings: tuple[str, ...]) -> list[Path]:
    """The files of bodies whose name begins so, at least one."""
    found = [
        path
        for path in (sorted(Path(folder).iterdir()) if Path(folder).is_dir() else [])
        if path.suffix in (".npz", ".pkl", ".pth") and path.name.lower().startswith(beginnings)
    ]
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no body whose name begins with {' or '.join(beginnings)}; "
            "get SMPL's files from their publisher"
        )
    return found


def posed_joints(body: BodyModel, pose: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Joints of many people, without translation.

    Args:
        body: their body.
        pose: (N, 72).
        betas: (N, 10).

    Returns:
        (N, 71, 3) metres in the order of `JOINTS_71`; NaN for landmarks that the body lacks.
    """
    found = []
    with torch.inference_mode():
        for start in range(0, len(pose), _AT_ONCE):
            chosen = slice(start, start + _AT_ONCE)
            output = body(
                torch.from_numpy(np.ascontiguousarray(pose[chosen], np.float32)),
                torch.from_numpy(np.ascontiguousarray(betas[chosen], np.float32)),
                with_vertices=False,
            )
            found.append(output.joints.numpy())
    joints = np.concatenate(found) if found else np.zeros((0, len(body.joint_names), 3))
    return to_joints_71(joints, body.joint_names, np.nan)


def turned_pose(pose: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Poses whose global orient is turned.

    Args:
        pose: (N, 72).
        rotation: (N, 3, 3), from the pose's frame to the wanted one.

    Returns:
        (N, 72) float32.
    """
    orient = axis_angle_to_matrix(torch.from_numpy(pose[:, :3]).double()).numpy()
    turned = matrix_to_axis_angle(torch.from_numpy(rotation.astype(np.float64) @ orient)).numpy()
    return np.concatenate([turned, pose[:, 3:]], 1).astype(np.float32)


def into_camera(
    body: BodyModel,
    pose: np.ndarray,
    betas: np.ndarray,
    translation: np.ndarray,
    extrinsics: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation in the camera's frame, out of those in the world's.

    The body turns about its root joint, which betas move: so the joint is turned with the
    world and the rest of the motion becomes translation.

    Args:
        body: the body.
        pose: (N, 72), global orient in the world.
        betas: (N, 10).
        translation: (N, 3) metres, world.
        extrinsics: (N, 4, 4), world to camera.

    Returns:
        (N, 72) and (N, 3) float32.
    """
    rotation, offset = extrinsics[:, :3, :3].astype(np.float64), extrinsics[:, :3, 3]
    root = posed_joints(body, np.zeros_like(pose), betas)[:, 0]
    moved = np.einsum("nij,nj->ni", rotation, root + translation) + offset - root
    return turned_pose(pose, rotation), moved.astype(np.float32)


def labels_from_joints(
    joints: np.ndarray,
    camera: CameraModel,
    names: tuple[str, ...],
    hidden: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and boxes where a data set has 3D joints and a camera.

    Args:
        joints: (K, 71, 3) metres, optical frame; NaN where unknown.
        camera: that sees them.
        names: joints that are to be labeled.
        hidden: (K, 71) bool, joints that cannot be seen; None takes all for seen.

    Returns:
        Keypoints (K, 71, 3), unlabeled behind the camera, and boxes (K, 4).
    """
    wanted = np.isin(JOINTS_71, names)
    in_front = np.nan_to_num(joints[..., 2], nan=-1.0) > NEAREST_DEPTH
    labeled = wanted & in_front
    pixels = np.zeros((*joints.shape[:2], 2), np.float32)
    pixels[labeled] = camera.project(joints[labeled])
    keypoints = with_visibility(pixels, labeled, False if hidden is None else hidden)
    return keypoints, boxes_around(keypoints)
