"""MS COCO keypoints, and any data set in COCO's style.

Official files: annotations/person_keypoints_{train,val}2017.json and the folders train2017 and
val2017. A joint's third number is 0 not labeled, 1 labeled but hidden, 2 visible. Boxes are x, y,
width, height. `iscrowd` marks regions of many people without joints of their own.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import check_keys, read_json
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    annotated_size,
    boxes_from_xywh,
    checked_records,
    to_joints_71,
)
from romp_core.data.sample import UNLABELED, VISIBLE
from romp_core.errors import DataError


def coco(root: Path, split: str = "train2017", *, with_empty: bool = False) -> RecordSet:
    """COCO's pictures of people.

    Args:
        root: folder that holds `annotations/` and the folder of the split.
        split: "train2017" or "val2017".
        with_empty: also the pictures without people, as COCO's own evaluation has them.

    Raises:
        FileNotFoundError, DataError: see `coco_style`.
    """
    root = Path(root)
    annotations = root / "annotations" / f"person_keypoints_{split}.json"
    return coco_style(annotations, root / split, JOINT_SETS["coco17"], "coco", with_empty)


def coco_style(
    annotations: Path,
    images: Path,
    keypoints: Sequence[str] = JOINT_SETS["coco17"],
    name: str = "coco-style",
    with_empty: bool = False,
    *,
    tells_hidden: bool = True,
) -> RecordSet:
    """A data set in COCO's style: yours, for example.

    Args:
        annotations: the .json file.
        images: folder that `file_name` is relative to.
        keypoints: the joints in the file's order, names of `JOINTS_71`.
        name: the data set's name.
        with_empty: also pictures without people.
        tells_hidden: whether 1 in the place of a joint's visibility means hidden; otherwise
            every labeled joint counts as visible.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged or of another form, or no picture is there.
    """
    content = read_json(annotations, ["images", "annotations"])
    problems = Problems()
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        check_keys(annotations, annotation, ["image_id"])
        by_image[annotation["image_id"]].append(annotation)
    for image in content["images"]:
        check_keys(annotations, image, ["id", "file_name"])
    unknown = set(by_image) - {image["id"] for image in content["images"]}
    for image_id in sorted(unknown):
        problems.add("annotations of unknown images", str(image_id))
    records = []
    for image in content["images"]:
        found = by_image[image["id"]]
        if not found and not with_empty:
            problems.add("images without people", image["file_name"])
            continue
        tags = {key: str(image[key]) for key in ("crowdIndex",) if key in image}
        tags["image_id"] = str(image["id"])
        people, ignored = _people(found, keypoints, problems)
        if not tells_hidden:
            visibility = people["keypoints_2d"][..., 2]
            visibility[visibility > UNLABELED] = VISIBLE
        records.append(
            Record(
                image["file_name"], Path(images) / image["file_name"], people,
                ignored_boxes=ignored, tags=tags, size=annotated_size(image),
            )
        )  # fmt: skip
    records = checked_records(records, problems, Path(images))
    return RecordSet(name, records, tuple(keypoints), problems)


def _people(
    annotations: Sequence[dict], keypoints: Sequence[str], problems: Problems
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Fields of `Sample`, and the boxes of crowds."""
    crowds = [entry["bbox"] for entry in annotations if entry.get("iscrowd")]
    singles = []
    for entry in annotations:
        if entry.get("iscrowd"):
            continue
        if "bbox" not in entry or "keypoints" not in entry:
            problems.add("annotations without box or keypoints", str(entry.get("id")))
        elif len(entry["keypoints"]) != 3 * len(keypoints):
            raise DataError(
                f"annotation {entry.get('id')} has {len(entry['keypoints'])} keypoint numbers; "
                f"expected {3 * len(keypoints)}: x, y and visibility of {len(keypoints)} joints"
            )
        else:
            singles.append(entry)
            if not any(entry["keypoints"][2::3]):
                problems.add("people without labeled joints", str(entry.get("id")))
    flat = np.array([entry["keypoints"] for entry in singles], np.float32)
    people = {
        "keypoints_2d": to_joints_71(flat.reshape(-1, len(keypoints), 3), keypoints),
        "boxes": boxes_from_xywh([entry["bbox"] for entry in singles]),
        "areas": np.array([entry.get("area", np.nan) for entry in singles], np.float32),
    }
    return people, boxes_from_xywh(crowds)
