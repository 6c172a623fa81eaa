"""MuCo-3DHP: several people of MPI-INF-3DHP put together in one picture.

Files: annotations/MuCo-3DHP.json and images/ (augmented_set, unaugmented_set), a COCO-style file
in which images have focal lengths `f` and a principal point `c`, and annotations have 21 joints:
`keypoints_img` in pixels, `keypoints_cam` in millimetres of the camera's frame, `keypoints_vis`.
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
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["mpi_inf_3dhp17"]  # the first 17 of 21; hands and toes follow
_METRES = 0.001
_ANNOTATION_KEYS = ("image_id", "keypoints_img", "keypoints_cam", "keypoints_vis")


def muco(root: Path) -> RecordSet:
    """MuCo-3DHP's pictures.

    Args:
        root: folder that holds `annotations/` and `images/`.

    Raises:
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    root = Path(root)
    path = root / "annotations" / "MuCo-3DHP.json"
    content = read_json(path, ["images", "annotations"])
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        check_keys(path, annotation, _ANNOTATION_KEYS)
        by_image[annotation["image_id"]].append(annotation)
    problems = Problems()
    records = []
    for image in content["images"]:
        check_keys(path, image, ["id", "file_name", "f", "c"])
        entries = by_image[image["id"]]
        if not entries:
            problems.add("images without people", image["file_name"])
            continue

        def rows(key: str, *shape: int, entries: list[dict] = entries) -> np.ndarray:
            values = [np.asarray(entry[key], np.float32)[:17] for entry in entries]
            return numbers(values, (None, 17, *shape), f"{path}: {key}")

        hidden = rows("keypoints_vis") <= 0
        keypoints = with_visibility(rows("keypoints_img", 2), True, hidden)
        people = {
            "keypoints_2d": to_joints_71(keypoints, _JOINTS),
            "joints_3d": to_joints_71(_METRES * rows("keypoints_cam", 3), _JOINTS, np.nan),
            "boxes": boxes_around(keypoints),
        }
        (fx, fy), (cx, cy) = image["f"], image["c"]
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)
        file = root / "images" / image["file_name"]
        records.append(Record(image["file_name"], file, people, K, size=annotated_size(image)))
    records = checked_records(records, problems, root)
    return RecordSet("muco", records, _JOINTS, problems)
