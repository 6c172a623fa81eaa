"""Evaluation protocols: what counts, told as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from romp_core.body.joints import JOINT_SETS

MID_HIP = ("right_hip_h17", "left_hip_h17")
PELVIS = ("pelvis",)


@dataclass(frozen=True)
class Protocol:
    """How a data set is measured.

    Attributes:
        title: heading of the report.
        metrics: columns of the report, keys of `summary.COLUMNS`.
        joints: names of the joints that 3D errors are the mean of.
        root: names of the joints whose mean is laid together for MPJPE.
        keypoints: names of the joints that AP is measured at.
        minimum_joints: people with fewer labeled 2D joints need not be found.
        pck_joints: names of the joints that PCK and AUC are over; None takes all `joints`.
        pck_mm: errors below it count as correct for PCK.
        auc_mm: upper end of the PCK curve for AUC.
        mean_of_groups: whether the row over all groups is their mean, so that groups count
            alike; else everybody counts alike.
        published: rows of the paper, {method: {metric: number}}.
    """

    title: str
    metrics: tuple[str, ...]
    joints: tuple[str, ...] = JOINT_SETS["lsp14"]
    root: tuple[str, ...] = MID_HIP
    keypoints: tuple[str, ...] = JOINT_SETS["coco17"]
    minimum_joints: int = 1
    pck_joints: tuple[str, ...] | None = None
    pck_mm: float = 50.0
    auc_mm: float = 200.0
    mean_of_groups: bool = False
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def _rows(metrics: str, **methods: str) -> dict[str, dict[str, float]]:
    """Rows of a table, from "a b c" and method="1 2 3"."""
    return {
        f"paper, {name.replace('_', ' ')}": dict(
            zip(metrics.split(), map(float, numbers.split()), strict=True)
        )
        for name, numbers in methods.items()
    }


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

THREE_DPW_1 = Protocol(
    title="3DPW, protocol 1: all splits, no training on it",
    metrics=("found", "mpjpe", "pmpjpe", "pck", "auc", "mpjae", "pmpjae"),
    joints=JOINT_SETS["smpl24"],
    root=PELVIS,
    # As the challenge does: the torso's joints lie near the root whatever the pose.
    pck_joints=tuple(
        f"{side}_{part}"
        for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        for side in ("left", "right")
    ),
    published=_rows(
        "mpjpe pmpjpe pck auc mpjae pmpjae",
        ResNet_50="87.0 62.0 34.4 57.6 21.9 20.1",
        ResNet_50_with_extra_data="80.1 56.8 36.4 60.1 20.8 19.1",
        HRNet_32="82.7 60.5 36.5 59.7 20.5 18.9",
    ),
)

THREE_DPW_2 = Protocol(
    title="3DPW, protocol 2: test split, no training on it",
    metrics=("found", "mpjpe", "pmpjpe", "pve"),
    published=_rows(
        "mpjpe pmpjpe pve",
        ResNet_50="91.3 54.9 108.3",
        ResNet_50_with_extra_data="89.3 53.5 105.6",
        HRNet_32="85.5 53.3 103.1",
    ),
)

THREE_DPW_3 = Protocol(
    title="3DPW, protocol 3: test split, after fine-tuning on the training split",
    metrics=("found", "mpjpe", "pmpjpe", "pve"),
    published=_rows("mpjpe pmpjpe pve", ResNet_50="84.2 51.9 100.4", HRNet_32="76.7 47.3 93.4"),
)


def _three_dpw_subset(title: str, pmpjpe: str) -> Protocol:
    published = _rows("pmpjpe", **{"gamma 0.2": pmpjpe})
    return Protocol(title, ("found", "pmpjpe", "mpjpe"), published=published)


THREE_DPW_PC = _three_dpw_subset("3DPW-PC: people in front of people", "75.8")
THREE_DPW_NC = _three_dpw_subset("3DPW-NC: nobody hidden", "57.1")
THREE_DPW_OC = _three_dpw_subset("3DPW-OC: objects in front of people", "67.1")

PERSON_OCCLUDED: dict[str, tuple[int, int]] = {
    "courtyard_basketball_00": (200, 280),
    "courtyard_captureSelfies_00": (500, 600),
    "courtyard_dancing_00": (60, 370),
    "courtyard_dancing_01": (60, 270),
    "courtyard_hug_00": (100, 500),
    "downtown_bus_00": (1620, 1900),
}
"""3DPW-PC: sequences with their first and last frame."""

OBJECT_OCCLUDED: tuple[str, ...] = (
    "courtyard_backpack", "courtyard_basketball", "courtyard_bodyScannerMotions",
    "courtyard_box", "courtyard_golf", "courtyard_jacket", "courtyard_laceShoe",
    "downtown_stairs", "flat_guitar", "flat_packBags", "outdoors_climbing",
    "outdoors_crosscountry", "outdoors_fencing", "outdoors_freestyle", "outdoors_golf",
    "outdoors_parcours", "outdoors_slalom",
)  # fmt: skip
"""3DPW-OC: beginnings of the sequences' names."""


def person_occluded(tags: Mapping[str, str]) -> bool:
    """Whether a frame of 3DPW belongs to 3DPW-PC."""
    first, last = PERSON_OCCLUDED.get(tags["sequence"], (1, 0))
    return first <= int(tags["frame"]) <= last


def object_occluded(tags: Mapping[str, str]) -> bool:
    """Whether a frame of 3DPW belongs to 3DPW-OC."""
    return tags["sequence"].startswith(OBJECT_OCCLUDED)


def nobody_occluded(tags: Mapping[str, str]) -> bool:
    """Whether a frame of 3DPW belongs to 3DPW-NC."""
    return not person_occluded(tags) and not object_occluded(tags)


PANOPTIC = Protocol(
    title="CMU Panoptic, mean over activities",
    metrics=("found", "mpjpe"),
    # The joints below the face: the dome's eyes and ears are not what meshes have there.
    joints=JOINT_SETS["panoptic19"][:15],
    root=("pelvis_mpii",),
    mean_of_groups=True,
    published=_rows(
        "mpjpe", ResNet_50="134.6", ResNet_50_with_extra_data="127.6", HRNet_32="128.2"
    ),
)

MPI_INF_3DHP = Protocol(
    title="MPI-INF-3DHP, test set",
    metrics=("found", "mpjpe", "pmpjpe", "pck", "auc"),
    pck_mm=150.0,
    auc_mm=150.0,
)

MUPOTS = Protocol(
    title="MuPoTS-3D",
    metrics=("found", "mpjpe", "pmpjpe", "pck", "auc"),
    pck_mm=150.0,
    auc_mm=150.0,
)

_AVERAGE_PRECISION = ("found", "ap50", "ar50", *_FINDING[1:])

CROWDPOSE_TEST = Protocol(
    title="CrowdPose, test split",
    metrics=_AVERAGE_PRECISION,
    keypoints=JOINT_SETS["crowdpose14"],
    published=_rows("ap50", ROMP_with_CAR="59.7", ROMP_without_CAR="54.1"),
)

CROWDPOSE_VALIDATION = Protocol(
    title="CrowdPose, validation split",
    metrics=_AVERAGE_PRECISION,
    keypoints=JOINT_SETS["crowdpose14"],
    published=_rows("ap50", ROMP_with_CAR="58.6", ROMP_without_CAR="55.6"),
)

COCO = Protocol(title="MS COCO keypoints, val2017", metrics=_AVERAGE_PRECISION)

USER_DATA = Protocol(title="Your own pictures", metrics=_AVERAGE_PRECISION)
