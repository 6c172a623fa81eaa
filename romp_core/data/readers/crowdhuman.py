"""CrowdHuman: boxes of everybody in crowds; no joints.

Official files: annotation_{train,val}.odgt, one JSON object per line with `ID` and `gtboxes`, and
Images/ID.jpg. A `gtboxes` entry has the tag "person", with a full box `fbox` (x, y, width, height)
that may leave the picture and a visible box `vbox`, or "mask" for crowds and pictures of people.
"""

from pathlib import Path

import numpy as np

from romp_core.data.readers.files import check_keys, read_json_lines
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_from_xywh,
    checked_records,
)


def crowdhuman(root: Path, split: str = "train") -> RecordSet:
    """CrowdHuman's pictures; boxes are those of the visible part.

    Args:
        root: folder that holds the annotation file and `Images/`.
        split: "train" or "val".

    Raises:
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    root = Path(root)
    file = root / f"annotation_{split}.odgt"
    problems = Problems()
    records = []
    for picture in read_json_lines(file, ["ID", "gtboxes"]):
        for entry in picture["gtboxes"]:
            check_keys(file, entry, ["tag", "fbox"])
        people = [entry for entry in picture["gtboxes"] if _counts(entry)]
        ignored = [entry["fbox"] for entry in picture["gtboxes"] if not _counts(entry)]
        if not people:
            problems.add("images without people", picture["ID"])
            continue
        for entry in people:
            check_keys(file, entry, ["vbox"])
        boxes = boxes_from_xywh(np.array([entry["vbox"] for entry in people]))
        records.append(
            Record(
                picture["ID"],
                root / "Images" / f"{picture['ID']}.jpg",
                {"boxes": boxes},
                ignored_boxes=boxes_from_xywh(np.array(ignored)),
            )
        )
    records = checked_records(records, problems, root)
    return RecordSet("crowdhuman", records, (), problems)


def _counts(entry: dict) -> bool:
    """Whether a box is a person's who is to be found."""
    return entry["tag"] == "person" and not entry.get("extra", {}).get("ignore", 0)
