"""PoseTrack 2018: people in videos, COCO's style with 17 joints of its own.

Official files: posetrack_data/annotations/{train,val}/SEQUENCE.json and images/. `ignore_regions_x`
and `_y` are polygons around people who are not annotated. Only some frames are labeled.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import check_keys, numbers, read_json
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    annotated_size,
    boxes_around,
    boxes_from_xywh,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["posetrack17"]
_LABELED = tuple(name for name in _JOINTS if not name.endswith("_ear"))  # ears have a place only


def posetrack(root: Path, split: str = "train") -> RecordSet:
    """PoseTrack's labeled frames.

    Args:
        root: folder that holds `posetrack_data/annotations/` and `images/`.
        split: "train" or "val".

    Raises:
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    root = Path(root)
    folder = root / "posetrack_data" / "annotations" / split
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .json; is the root right?")
    problems = Problems()
    records: list[Record] = []
    for file in files:
        records += _records(file, root, problems)
    records = checked_records(records, problems, root)
    return RecordSet("posetrack", records, _LABELED, problems)


def _records(file: Path, root: Path, problems: Problems) -> list[Record]:
    content = read_json(file, ["images", "annotations"])
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        check_keys(file, annotation, ["image_id", "keypoints"])
        by_image[annotation["image_id"]].append(annotation)
    records = []
    for image in content["images"]:
        check_keys(file, image, ["id", "file_name"])
        entries = by_image[image["id"]]
        if not image.get("is_labeled", True):
            problems.add("frames that are not labeled", image["file_name"])
            continue
        if not entries:
            problems.add("images without people", image["file_name"])
            continue
        flat = numbers([entry["keypoints"] for entry in entries], (None, 51), f"{file}")
        joints = flat.reshape(-1, 17, 3)
        keypoints = with_visibility(joints[..., :2], joints[..., 2] > 0, False)
        for row in np.flatnonzero(~keypoints[..., 2].any(1)):
            problems.add("people without labeled joints", f"{image['file_name']} person {row}")
        people = {
            "keypoints_2d": to_joints_71(keypoints, _JOINTS),
            "boxes": _boxes(entries, keypoints),
        }
        tags = {"sequence": file.stem}
        ignored = _ignored(image)
        records.append(
            Record(image["file_name"], root / image["file_name"], people, ignored_boxes=ignored,
                   tags=tags, size=annotated_size(image))
        )  # fmt: skip
    return records


def _boxes(entries: list[dict], keypoints: np.ndarray) -> np.ndarray:
    """Boxes of the file; some people have none."""
    boxes = boxes_around(keypoints)
    for row, entry in enumerate(entries):
        if entry.get("bbox"):
            boxes[row] = boxes_from_xywh(np.array([entry["bbox"]]))[0]
    return boxes


def _ignored(image: dict) -> np.ndarray:
    """(M, 4) boxes around the polygons of ignored regions."""
    across, down = image.get("ignore_regions_x", []), image.get("ignore_regions_y", [])
    if across and not isinstance(across[0], list):  # a single region is not nested
        across, down = [across], [down]
    boxes = [(min(x), min(y), max(x), max(y)) for x, y in zip(across, down, strict=True) if x]
    return np.array(boxes, np.float32).reshape(-1, 4)
