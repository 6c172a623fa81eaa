"""UP-3D: SMPL fitted to pictures of LSP, MPII and Fashionpose, kept where people found it good.

Official files: train.txt, val.txt, test.txt with lines /00000_image.png, and per picture
00000_image.png, 00000_body.pkl (SMPL's `pose`, `betas`, `trans` and a camera `rt`, `t`, `f`) and
00000_joints.npy, (3, 14) x, y and confidence in LSP's order.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.body.model import BodyModel
from romp_core.data.readers.files import annotation_file, numbers, read_pickle
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
    with_visibility,
)
from romp_core.errors import DataError

_JOINTS = JOINT_SETS["lsp_labels14"]
_BODY = "neutral"


def up3d(
    root: Path, split: str = "train", *, bodies: Mapping[str, BodyModel] | None = None
) -> RecordSet:
    """UP-3D's pictures.

    Args:
        root: folder that holds the lists and all other files.
        split: "train", "val", "trainval" or "test".
        bodies: SMPL's neutral body under "neutral"; without it betas are left out.

    Raises:
        FileNotFoundError: there is no such list.
        DataError: a file is damaged or of another form, or no picture is there.
    """
    root = Path(root)
    problems = Problems()
    records = []
    for line in annotation_file(root / f"{split}.txt").read_text().split():
        image = root / line.lstrip("/")
        stem = image.name.removesuffix("_image.png")
        fit, labels = root / f"{stem}_body.pkl", root / f"{stem}_joints.npy"
        if not (fit.is_file() and labels.is_file()):
            problems.add("images without fit or joints", image.name)
            continue
        people = _person(fit, labels)
        if bodies is None:
            del people["betas"]
        records.append(Record(image.name, image, people, bodies=(_BODY,) if bodies else ()))
    records = checked_records(records, problems, root)
    return RecordSet(
        "up3d", records, _JOINTS, problems, everybody_annotated=False, bodies=dict(bodies or {})
    )


def _person(fit: Path, labels: Path) -> dict[str, np.ndarray]:
    try:
        joints = np.load(labels, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{labels} is no readable array ({error}); get it again") from error
    joints = numbers(joints, (3, 14), f"{labels}").T
    body = read_pickle(fit, ["pose", "betas"])
    keypoints = with_visibility(joints[:, :2], joints[:, 2] > 0, False)[None]
    return {
        "pose": numbers(body["pose"], (72,), f"{fit}: pose")[None],
        "betas": numbers(body["betas"], (None,), f"{fit}: betas")[None, :10],
        "keypoints_2d": to_joints_71(keypoints, _JOINTS),
        "boxes": boxes_around(keypoints),
    }
