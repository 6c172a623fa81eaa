"""Leeds Sports Pose and its extended training set: one athlete per picture.

Official files: `images/` (im0001.jpg or im00001.jpg) and joints.mat. LSP's `joints` is (3, 14,
2000), and its third row is 1 where a joint is hidden. LSPET's is (14, 3, 10000), and its third
column is 1 where a joint is labeled.
"""

from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import check_split, numbers, read_mat
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["lsp_labels14"]
_LSP_TRAINING = 1000  # pictures before the test pictures


def lsp(root: Path, split: str = "train") -> RecordSet:
    """LSP's pictures.

    Args:
        root: folder that holds joints.mat and `images/`.
        split: "train" (the first 1,000) or "test" (the others).

    Raises:
        ConfigError: another split.
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    check_split(split, ("train", "test"))
    joints = _joints(Path(root), (3, 14, None)).transpose(2, 1, 0)
    keypoints = with_visibility(joints[..., :2] - 1, True, joints[..., 2] > 0)
    first = 0 if split == "train" else _LSP_TRAINING
    last = _LSP_TRAINING if split == "train" else len(keypoints)
    return _record_set("lsp", Path(root), keypoints[first:last], first, digits=4)


def lspet(root: Path) -> RecordSet:
    """LSP extended.

    Args:
        root: folder that holds joints.mat and `images/`.

    Raises:
        FileNotFoundError, DataError: see `lsp`.
    """
    joints = _joints(Path(root), (14, 3, None)).transpose(2, 0, 1)
    keypoints = with_visibility(joints[..., :2] - 1, joints[..., 2] > 0, False)
    return _record_set("lspet", Path(root), keypoints, 0, digits=5)


def _joints(root: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    path = root / "joints.mat"
    joints = np.asarray(read_mat(path, ["joints"])["joints"])
    if joints.ndim == 2:  # a single picture, whose dimension the reader drops
        joints = joints[..., None]
    return numbers(joints, shape, f"{path}: joints")


def _record_set(name: str, root: Path, keypoints: np.ndarray, first: int, digits: int) -> RecordSet:
    problems = Problems()
    records = []
    for index, person in enumerate(keypoints, first + 1):
        image = root / "images" / f"im{index:0{digits}}.jpg"
        if not person[:, 2].any():
            problems.add("people without labeled joints", image.name)
            continue
        people = {
            "keypoints_2d": to_joints_71(person[None], _JOINTS),
            "boxes": boxes_around(person[None]),
        }
        records.append(Record(image.name, image, people))
    records = checked_records(records, problems, root)
    return RecordSet(name, records, _JOINTS, problems, everybody_annotated=False)
