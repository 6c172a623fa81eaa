"""Forward kinematics of SMPL's tree, in a few rounds for all joints at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class KinematicTree(nn.Module):
    """Composes the joints' transforms along the tree.

    Args:
        parents: of the J joints, -1 for the root.
    """

    def __init__(self, parents: Sequence[int]):
        super().__init__()
        joints = len(parents)
        # What makes (3, 4) transforms homogeneous, and the identity that stands above the root.
        frame = torch.zeros(4, 4, joints + 1, 1)
        frame[3, 3], frame[:, :, joints] = 1, torch.eye(4)[..., None]
        self.register_buffer("_frame", frame, persistent=False)
        self.register_buffer("_ancestors", _ancestor_rounds(np.asarray(parents)), persistent=False)

    def forward(self, rotations: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Where the joints are, and how they are turned.

        Args:
            rotations: (B, J, 3, 3), each relative to its parent's.
            offsets: (B, J, 3) the way to each joint from its parent, in the rest pose.

        Returns:
            Rotations (B, J, 3, 3) and positions (B, J, 3) in the root's parent's frame.
        """
        world = self.compose(rotations.permute(2, 3, 1, 0), offsets.permute(2, 1, 0))
        return world[:, :3].permute(3, 2, 0, 1), world[:, 3].permute(2, 1, 0)

    def compose(self, rotations: Tensor, shifts: Tensor) -> Tensor:
        """Each joint's transform x' = R x + t after that of all its ancestors.

        Components come first: products of many small matrices are slow on a CPU, sums over the
        first axes of an array are not.

        Args:
            rotations: (3, 3, J, B) R of each joint alone.
            shifts: (3, J, B) t of each joint alone.

        Returns:
            (3, 4, J, B) R and t of each joint with its ancestors'.
        """
        local = torch.cat([rotations, shifts[:, None]], 1)
        # Homogeneous (4, 4, J + 1, B).
        world = pad(local, (0, 0, 0, 1, 0, 0, 0, 1)) + self._frame
        for ancestors in self._ancestors:
            above = world.index_select(2, ancestors)
            world = (above[:, :, None] * world).sum(1)
        return world[:3, :, :-1]


def parent_differences(parents: Sequence[int]) -> np.ndarray:
    """(J, J): times joints (J, 3), the way to each joint from its parent."""
    parents = np.asarray(parents)
    return np.eye(len(parents)) - (np.arange(len(parents)) == parents[:, None])


def _ancestor_rounds(parents: np.ndarray) -> Tensor:
    """Tables for composing the kinematic tree in log2(depth) rounds instead of joint by joint.

    In every round each joint's transform takes in that of the nearest ancestor which it has
    not taken in yet, and with it all that this one has: after k rounds, 2^k links.

    Returns:
        (rounds, J + 1): ancestor per joint; J stands for "above the root", its own ancestor.
    """
    above_root = len(parents)
    ancestor = np.append(np.where(parents < 0, above_root, parents), above_root)
    rounds = []
    while (ancestor != above_root).any():
        rounds.append(ancestor)
        ancestor = ancestor[ancestor]
    return torch.from_numpy(np.stack(rounds).astype(np.int64))
