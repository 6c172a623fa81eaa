"""MPII Human Pose: single frames of videos of everyday activities.

Official file: mpii_human_pose_v1_u12_1.mat with all annotations, and one folder `images`. Joints
are pixels counted from 1; `is_visible` is empty for the head's. Pose networks are also trained
from annot/{train,valid}.json: a list of people with `image`, `joints` (16, 2) and `joints_vis`,
which is 0 for joints that are not labeled. Not everybody in a picture is annotated; of some who
are not, the place (`objpos`, `center`) and `scale`, the height in 200 pixels, are known.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
_PIXELS_PER_SCALE = 200.0


class _Person(NamedTuple):
    """One person of a picture.

    Attributes:
        keypoints: (16, 3); zero for who is there but not labeled.
        box: (4,), rough; None where no place is known.
    """

    keypoints: np.ndarray
    box: np.ndarray | None


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
        box = _box(entry.get("center", ()), entry.get("scale", ()))
        person = _Person(with_visibility(pixels, labeled, False), box)
        by_image[entry["image"]].append(person)
    return _record_set(by_image, Path(images))


def mpii_mat(annotations: Path, images: Path) -> RecordSet:
    """MPII's training pictures from the official file.

    Raises:
        FileNotFoundError, DataError: see `mpii`.
    """
    release = read_mat(annotations, ["RELEASE"])["RELEASE"]
    by_image: dict[str, list[_Person]] = {}
    training = np.atleast_1d(release.img_train)
    for picture, is_training in zip(np.atleast_1d(release.annolist), training, strict=True):
        if is_training:
            people = np.atleast_1d(picture.annorect)
            by_image[str(picture.image.name)] = [_person(p) for p in people]
    return _record_set(by_image, Path(images))


def _person(rectangle: Any) -> _Person:
    """The person of one `annorect`."""
    keypoints = np.zeros((len(_JOINTS), 3), np.float32)
    for point in _points(rectangle):
        visible = getattr(point, "is_visible", ())  # some people lack it at every joint
        hidden = np.size(visible) > 0 and not int(visible)
        pixel = np.array([point.x, point.y], np.float32) - 1
        keypoints[int(point.id)] = with_visibility(pixel, True, hidden)
    place = getattr(rectangle, "objpos", None)
    middle = (place.x, place.y) if hasattr(place, "x") else ()
    return _Person(keypoints, _box(middle, getattr(rectangle, "scale", ())))


def _box(middle: Any, scale: Any) -> np.ndarray | None:
    """(4,) a square as high as the person; None where place or scale are empty or -1."""
    middle, scale = np.asarray(middle, np.float32), np.asarray(scale, np.float32)
    if middle.size != 2 or scale.size != 1 or not scale > 0 or (middle < 0).any():
        return None
    reach = _PIXELS_PER_SCALE * scale / 2
    return np.concatenate([middle - 1 - reach, middle - 1 + reach])


def _points(rectangle: Any) -> Iterator[Any]:
    annotated = getattr(rectangle, "annopoints", None)
    if hasattr(annotated, "point"):
        yield from np.atleast_1d(annotated.point)


def _record_set(by_image: dict[str, list[_Person]], images: Path) -> RecordSet:
    problems = Problems()
    records = []
    for name, everybody in by_image.items():
        keypoints = np.array([person.keypoints for person in everybody], np.float32)
        keypoints = keypoints.reshape(-1, len(_JOINTS), 3)
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
        ignored = [
            person.box
            for person, is_labeled in zip(everybody, labeled, strict=True)
            if not is_labeled and person.box is not None
        ]
        ignored = np.array(ignored, np.float32).reshape(-1, 4)
        records.append(Record(name, images / name, people, ignored_boxes=ignored))
    records = checked_records(records, problems, images)
    return RecordSet("mpii", records, _JOINTS, problems, everybody_annotated=False)
