"""3DOH50K: one person behind objects, SMPL fitted to several views.

Official files: trainset/ and testset/, each with annots.json, an object of pictures with
`img_path`, SMPL's `pose`, `betas`, `trans` and `scale`, `smpl_joints_2d`, `smpl_joints_3d`,
`lsp_joints_2d`, `lsp_joints_3d`, `bbox` (two corners), `intri` and `extri`.
"""

from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import check_keys, numbers, read_json
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    checked_records,
    to_joints_71,
    with_visibility,
)
from romp_core.data.readers.smpl_people import turned_pose
from romp_core.errors import DataError

_SMPL, _LSP = JOINT_SETS["smpl24"], JOINT_SETS["lsp14"]
_LABELED = JOINT_SETS["lsp14"]
_KEYS = ("img_path", "pose", "bbox", "intri", "extri", "smpl_joints_2d", "smpl_joints_3d",
         "lsp_joints_2d", "lsp_joints_3d")  # fmt: skip


def three_doh50k(root: Path, split: str = "train") -> RecordSet:
    """3DOH50K's pictures. Betas and translation are left out: they are not of plain SMPL, but
    of one scaled person by person; the joints are exact.

    Args:
        root: folder that holds `trainset/` and `testset/`.
        split: "train" or "test".

    Raises:
        FileNotFoundError: there are no annotations.
        DataError: they are damaged or of another form, or no picture is there.
    """
    folder = Path(root) / f"{split}set"
    file = folder / "annots.json"
    content = read_json(file, [])
    if not isinstance(content, dict):
        raise DataError(f"{file} holds a {type(content).__name__}; expected an object of pictures")
    records = []
    for key, picture in content.items():
        what = f"{file}: {key}"
        check_keys(Path(what), picture, _KEYS)
        extrinsics = numbers(picture["extri"], (4, 4), f"{what}, extri")
        pose = numbers(np.reshape(picture["pose"], (1, -1)), (1, 72), f"{what}, pose")
        people = {
            "pose": turned_pose(pose, extrinsics[None, :3, :3]),
            "joints_3d": _solid(picture, extrinsics, what),
            "keypoints_2d": _flat(picture, what),
            "boxes": numbers(np.reshape(picture["bbox"], (1, -1)), (1, 4), f"{what}, bbox"),
        }
        # The archive was packed on Windows.
        image = folder / picture["img_path"].replace("\\", "/")
        K = numbers(picture["intri"], (3, 3), f"{what}, intri")
        records.append(Record(key, image, people, K))
    problems = Problems()
    records = checked_records(records, problems, Path(root))
    return RecordSet("3doh50k", records, _LABELED, problems)


def _solid(picture: dict, extrinsics: np.ndarray, what: str) -> np.ndarray:
    """(1, 71, 3) metres in the camera's frame."""
    smpl = numbers(picture["smpl_joints_3d"], (24, 3), f"{what}, smpl_joints_3d")
    lsp = numbers(picture["lsp_joints_3d"], (14, 3), f"{what}, lsp_joints_3d")
    world = np.concatenate([smpl, lsp])
    camera = world @ extrinsics[:3, :3].T + extrinsics[:3, 3]
    return to_joints_71(camera[None], (*_SMPL, *_LSP), np.nan)


def _flat(picture: dict, what: str) -> np.ndarray:
    """(1, 71, 3) keypoints; the data set does not say what is hidden."""
    smpl = numbers(picture["smpl_joints_2d"], (24, 2), f"{what}, smpl_joints_2d")
    lsp = numbers(picture["lsp_joints_2d"], (14, 2), f"{what}, lsp_joints_2d")
    keypoints = with_visibility(np.concatenate([smpl, lsp]), True, False)
    return to_joints_71(keypoints[None], (*_SMPL, *_LSP))
