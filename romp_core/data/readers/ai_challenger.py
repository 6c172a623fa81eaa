"""AI Challenger: 14 joints of everybody in 210,000 pictures.

Official files: keypoint_train_annotations_20170909.json, a list of pictures with
`keypoint_annotations` {"human1": 14 x (x, y, v)} and `human_annotations` {"human1": x1, y1, x2,
y2}, and keypoint_train_images_20170902/ID.jpg. v is 1 visible, 2 hidden, 3 not labeled.
"""

from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import check_keys, check_split, numbers, read_json_list
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["ai_challenger14"]
_FILES = {
    "train": ("keypoint_train_annotations_20170909.json", "keypoint_train_images_20170902"),
    "validation": (
        "keypoint_validation_annotations_20170911.json",
        "keypoint_validation_images_20170911",
    ),
}
_HIDDEN, _NOT_LABELED = 2, 3


def ai_challenger(root: Path, split: str = "train") -> RecordSet:
    """AI Challenger's pictures.

    Args:
        root: folder that holds the annotation file and the folder of pictures.
        split: "train" or "validation".

    Raises:
        ConfigError: another split.
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    check_split(split, _FILES)
    file, folder = (Path(root) / name for name in _FILES[split])
    problems = Problems()
    records = []
    wanted = ["image_id", "keypoint_annotations", "human_annotations"]
    for picture in read_json_list(file, wanted):
        name = f"{picture['image_id']}.jpg"
        humans = sorted(picture["keypoint_annotations"])
        if not humans:
            problems.add("images without people", name)
            continue
        flat = [picture["keypoint_annotations"][human] for human in humans]
        joints = numbers(flat, (None, 42), f"{file}: {name}").reshape(-1, 14, 3)
        labeled = joints[..., 2] != _NOT_LABELED
        keypoints = with_visibility(joints[..., :2], labeled, joints[..., 2] == _HIDDEN)
        for human in np.array(humans)[~labeled.any(1)]:
            problems.add("people without labeled joints", f"{name} {human}")
        check_keys(file, picture["human_annotations"], humans)
        boxes = [picture["human_annotations"][human] for human in humans]
        people = {
            "keypoints_2d": to_joints_71(keypoints, _JOINTS),
            "boxes": numbers(boxes, (len(humans), 4), f"{file}: {name}"),
        }
        records.append(Record(name, folder / name, people))
    records = checked_records(records, problems, folder)
    return RecordSet("ai_challenger", records, _JOINTS, problems)
