"""Evaluation protocols: what counts, told as data."""

from dataclasses import dataclass, field

from romp_core.body.joints import JOINT_SETS

_MID_HIP = ("right_hip_h17", "left_hip_h17")


@dataclass(frozen=True)
class Protocol:
    """How a data set is measured.

    Attributes:
        title: heading of the report.
        metrics: columns of the report, keys of `summary.COLUMNS`.
        joints: names of the joints that 3D errors are the mean of.
        root: names of the joints whose mean is laid together for MPJPE.
        minimum_joints: people with fewer labeled 2D joints need not be found.
        published: rows of the paper, {method: {metric: number}}.
    """

    title: str
    metrics: tuple[str, ...]
    joints: tuple[str, ...] = JOINT_SETS["lsp14"]
    root: tuple[str, ...] = _MID_HIP
    minimum_joints: int = 1
    published: dict[str, dict[str, float]] = field(default_factory=dict)


_FINDING = ("found", "posed", "false_positives")

SYNTHETIC = Protocol(
    title="Held-out synthetic people, whole pictures",
    metrics=(*_FINDING, "mpjpe", "pmpjpe", "pve", "pck", "auc", "mpjae", "pmpjae"),
)

PHOTOGRAPHS = Protocol(
    title="Sample photographs, people with 6 or more labeled joints",
    metrics=(*_FINDING, "oks", "mpjpe", "pmpjpe"),
    minimum_joints=6,
)
