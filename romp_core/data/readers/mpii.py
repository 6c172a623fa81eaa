"""MPII Human Pose in the JSON form that pose networks are trained from.

Files: annot/{train,valid}.json, a list of people with `image`, `joints` (16, 2) counted from 1,
`joints_vis`, and the person's `center` and `scale` (a person of scale 1 is 200 pixels high); and
one folder `images`. Not everybody in a picture is annotated.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
)
from romp_core.data.sample import UNLABELED, VISIBLE
from romp_core.errors import DataError


def mpii(root: Path, split: str = "valid") -> RecordSet:
    """MPII's pictures.

    Args:
        root: folder that holds `annot/` and `images/`.
        split: "train" or "valid".

    Raises:
        FileNotFoundError, DataError: see `mpii_json`.
    """
    return mpii_json(Path(root) / "annot" / f"{split}.json", Path(root) / "images")


def mpii_json(annotations: Path, images: Path) -> RecordSet:
    """MPII's pictures, from a file of any name.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged or of another form, or no picture is there.
    """
    by_image = defaultdict(list)
    for person in _entries(Path(annotations)):
        by_image[person["image"]].append(person)
    problems = Problems()
    records = []
    for name, entries in by_image.items():
        keypoints = np.stack([_keypoints(entry) for entry in entries])
        labeled = (keypoints[..., 2] > UNLABELED).any(1)
        for _ in range(int((~labeled).sum())):
            problems.add("people without labeled joints", name)
        people = {
            "keypoints_2d": to_joints_71(keypoints[labeled], JOINT_SETS["mpii16"]),
            "boxes": boxes_around(keypoints[labeled]),
        }
        records.append(Record(name, Path(images) / name, people))
    records = checked_records(records, problems, Path(images))
    return RecordSet("mpii", records, JOINT_SETS["mpii16"], problems, everybody_annotated=False)


def _entries(path: Path) -> list[dict]:
    if not path.is_file():
        raise FileNotFoundError(f"there are no annotations at {path}; is the root right?")
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is no complete JSON file ({error}); get it again") from error
    wanted = {"image", "joints", "joints_vis"}
    if not isinstance(entries, list) or not all(wanted <= set(entry) for entry in entries):
        raise DataError(f"{path} is no list of people with {', '.join(sorted(wanted))}")
    return entries


def _keypoints(entry: dict) -> np.ndarray:
    """(16, 3) x, y counted from 0, and visibility: the file tells labeled joints only."""
    joints = np.asarray(entry["joints"], np.float32) - 1
    seen = np.where(np.asarray(entry["joints_vis"]) > 0, VISIBLE, UNLABELED)
    return np.concatenate([joints, seen[:, None]], 1).astype(np.float32)
