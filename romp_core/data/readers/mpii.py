"""MPII Human Pose: single frames of videos of everyday activities.

Official file: mpii_human_pose_v1_u12_1.mat with all annotations, and one folder `images`. Joints
are pixels counted from 1; `is_visible` is empty for the head's. Pose networks are also trained
from annot/{train,valid}.json: a list of people with `image`, `joints` (16, 2) and `joints_vis`,
which is 0 for joints that are not labeled. Not everybody in a picture is annotated.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import read_json_list, read_mat
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["mpii16"]
_OFFICIAL = "mpii_human_pose_v1_u12_1.mat"


def mpii(root: Path, split: str = "train") -> RecordSet:
    """MPII's pictures, from the official file where it is there, else from the JSON files.

    Args:
        root: folder that holds `images/` and the official file or `annot/`.
        split: "train", all that the official file labels, or "valid" of the JSON files.

    Raises:
        FileNotFoundError: there is no annotation file.
        DataError: it is damaged or of another form, or no picture is there.
    """
    root = Path(root)
    official = root / _OFFICIAL
    if split == "train" and official.is_file():
        return mpii_mat(official, root / "images")
    return mpii_json(root / "annot" / f"{split}.json", root / "images")


def mpii_json(annotations: Path, images: Path) -> RecordSet:
    """MPII's pictures from a JSON file of any name.

    Raises:
        FileNotFoundError, DataError: see `mpii`.
    """
    by_image = defaultdict(list)
    for entry in read_json_list(annotations, ["image", "joints", "joints_vis"]):
        pixels = np.asarray(entry["joints"], np.float32) - 1
        labeled = np.asarray(entry["joints_vis"]) > 0
        by_image[entry["image"]].append(with_visibility(pixels, labeled, False))
    return _record_set(by_image, Path(images))


def mpii_mat(annotations: Path, images: Path) -> RecordSet:
    """MPII's training pictures from the official file.

    Raises:
        FileNotFoundError, DataError: see `mpii`.
    """
    release = read_mat(annotations, ["RELEASE"])["RELEASE"]
    by_image: dict[str, list[np.ndarray]] = {}
    training = np.atleast_1d(release.img_train)
    for picture, is_training in zip(np.atleast_1d(release.annolist), training, strict=True):
        if is_training:
            people = np.atleast_1d(picture.annorect)
            by_image[str(picture.image.name)] = [_person(p) for p in people if hasattr(p, "scale")]
    return _record_set(by_image, Path(images))


def _person(rectangle: Any) -> np.ndarray:
    """(16, 3) keypoints of one `annorect`; zero without `annopoints`."""
    keypoints = np.zeros((len(_JOINTS), 3), np.float32)
    for point in _points(rectangle):
        hidden = np.size(point.is_visible) > 0 and not int(point.is_visible)
        pixel = np.array([point.x, point.y], np.float32) - 1
        keypoints[int(point.id)] = with_visibility(pixel, True, hidden)
    return keypoints


def _points(rectangle: Any) -> Iterator[Any]:
    annotated = getattr(rectangle, "annopoints", None)
    if hasattr(annotated, "point"):
        yield from np.atleast_1d(annotated.point)


def _record_set(by_image: dict[str, list[np.ndarray]], images: Path) -> RecordSet:
    problems = Problems()
    records = []
    for name, entries in by_image.items():
        keypoints = np.array(entries, np.float32).reshape(-1, len(_JOINTS), 3)
        labeled = keypoints[..., 2].any(1)
        for _ in range(int((~labeled).sum())):
            problems.add("people without labeled joints", name)
        if not labeled.any():
            problems.add("images without labeled people", name)
            continue
        people = {
            "keypoints_2d": to_joints_71(keypoints[labeled], _JOINTS),
            "boxes": boxes_around(keypoints[labeled]),
        }
        records.append(Record(name, images / name, people))
    records = checked_records(records, problems, images)
    return RecordSet("mpii", records, _JOINTS, problems, everybody_annotated=False)
