"""The field's measures of 3D people.

Positions come in metres and errors are answered in millimetres; rotations come as matrices and
errors are answered in degrees. All functions work on any leading dimensions, usually people.
A joint that is not known is NaN: it is left out of means, and people without any known joint
have NaN as their error, never 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from romp_core.body.joints import SMPL_PARENTS
from romp_core.geometry.alignment import similarity_transform
from romp_core.geometry.rotations import geodesic_angle

MM_PER_METRE = 1000.0

PCK_THRESHOLD_MM = 50.0
"""A joint nearer than this is correct (3DPW challenge)."""

AUC_LIMIT_MM = 200.0
"""The PCK curve is integrated from 0 to here (3DPW challenge)."""

ORIENTED_JOINTS: tuple[int, ...] = (0, 1, 2, 4, 5, 16, 17, 18, 19)
"""SMPL joints whose orientation counts for MPJAE: the root and both bones of the four limbs."""


def root_centered(joints: Tensor, root: Sequence[int]) -> Tensor:
    """Joints relative to the mean of some of them.

    Args:
        joints: (*, J, 3).
        root: the joints whose mean becomes the origin: the pelvis, or both hips.

    Returns:
        (*, J, 3).
    """
    return joints - joints[..., list(root), :].mean(-2, keepdim=True)


def joint_errors(predicted: Tensor, target: Tensor, root: Sequence[int] | None) -> Tensor:
    """Distance of each joint from where it should be, after the roots are laid together.

    Args:
        predicted, target: (*, J, 3) metres.
        root: see `root_centered`; None compares the positions as they are.

    Returns:
        (*, J) mm; NaN where either joint, or the root, is not known.
    """
    if root is not None:
        predicted, target = root_centered(predicted, root), root_centered(target, root)
    return MM_PER_METRE * (predicted - target).norm(dim=-1)


def mpjpe(predicted: Tensor, target: Tensor, root: Sequence[int] | None) -> Tensor:
    """Mean per joint position error: the mean of `joint_errors` over the joints.

    Returns:
        (*) mm.
    """
    return joint_errors(predicted, target, root).nanmean(-1)


def aligned_joint_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Distance of each joint after the best similarity (Procrustes) alignment of the person.

    Args:
        predicted, target: (*, J, 3) metres.

    Returns:
        (*, J) mm; NaN where either joint is not known.
    """
    known = (predicted.isfinite() & target.isfinite()).all(-1)
    source = torch.where(known[..., None], predicted, 0.0)
    destination = torch.where(known[..., None], target, 0.0)
    similarity = similarity_transform(source, destination, known.to(source.dtype))
    return joint_errors(similarity.apply(predicted), target, root=None)


def pmpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Procrustes-aligned MPJPE: the mean of `aligned_joint_errors` over the joints.

    Returns:
        (*) mm.
    """
    return aligned_joint_errors(predicted, target).nanmean(-1)


def pve(
    predicted: Tensor,
    target: Tensor,
    predicted_root: Tensor | None = None,
    target_root: Tensor | None = None,
) -> Tensor:
    """Per vertex error.

    Args:
        predicted, target: (*, V, 3) metres, vertices of the same mesh.
        predicted_root, target_root: (*, 3) metres, the points that are laid together first
            (the pelvis); None for both compares the positions as they are.

    Returns:
        (*) mm.

    Raises:
        ValueError: meshes of different size, or a root for only one of them.
    """
    if predicted.shape != target.shape:
        raise ValueError(
            f"vertices are {tuple(predicted.shape)} and {tuple(target.shape)}: the vertex error is "
            "defined between meshes of one topology"
        )
    if (predicted_root is None) != (target_root is None):
        raise ValueError("a root is given for one of the meshes; expected both or none")
    if predicted_root is not None:
        predicted = predicted - predicted_root[..., None, :]
        target = target - target_root[..., None, :]
    return MM_PER_METRE * (predicted - target).norm(dim=-1).mean(-1)


def pck(errors_mm: Tensor, threshold_mm: float = PCK_THRESHOLD_MM) -> Tensor:
    """Share of correct joints.

    Args:
        errors_mm: (*, J) of `joint_errors`; NaN joints do not count.
        threshold_mm: errors below it are correct.

    Returns:
        (*) percent.
    """
    correct = torch.where(
        errors_mm.isfinite(), (errors_mm < threshold_mm).to(errors_mm.dtype), torch.nan
    )
    return 100 * correct.nanmean(-1)


def auc(errors_mm: Tensor, limit_mm: float = AUC_LIMIT_MM) -> Tensor:
    """Area under the PCK curve from 0 to a limit, as a share of the whole.

    The exact integral: a joint with error e is correct for all thresholds between e and the
    limit, so it adds 1 - e / limit. No choice of steps is involved.

    Args:
        errors_mm: (*, J) of `joint_errors`; NaN joints do not count.
        limit_mm: the largest threshold.

    Returns:
        (*) percent.
    """
    return 100 * (1 - errors_mm / limit_mm).clamp(min=0).nanmean(-1)


def global_rotations(rotations: Tensor) -> Tensor:
    """Orientation of every joint's frame, out of rotations relative to the parent.

    Args:
        rotations: (*, 24, 3, 3), SMPL's tree; the first is the global orient.

    Returns:
        (*, 24, 3, 3).
    """
    chain: list[Tensor] = []
    for joint, parent in enumerate(SMPL_PARENTS):
        own = rotations[..., joint, :, :]
        chain.append(own if parent < 0 else chain[parent] @ own)
    return torch.stack(chain, -3)


def mpjae(predicted: Tensor, target: Tensor, joints: Sequence[int] = ORIENTED_JOINTS) -> Tensor:
    """Mean per joint angle error: geodesic distance of the joints' orientations (3DPW challenge).

    Args:
        predicted, target: (*, 24, 3, 3) of `global_rotations`.
        joints: the joints that count.

    Returns:
        (*) degrees.
    """
    chosen = list(joints)
    angles = geodesic_angle(predicted[..., chosen, :, :], target[..., chosen, :, :])
    return torch.rad2deg(angles).mean(-1)


def pmpjae(
    predicted: Tensor,
    target: Tensor,
    predicted_joints: Tensor,
    target_joints: Tensor,
    joints: Sequence[int] = ORIENTED_JOINTS,
) -> Tensor:
    """MPJAE after the rotation of the Procrustes alignment of the joints' positions.

    Args:
        predicted, target: (*, 24, 3, 3) of `global_rotations`.
        predicted_joints, target_joints: (*, J, 3) metres, all known.
        joints: the joints that count.

    Returns:
        (*) degrees.
    """
    rotation = similarity_transform(predicted_joints, target_joints).rotation
    return mpjae(rotation[..., None, :, :] @ predicted, target, joints)
