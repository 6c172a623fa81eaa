"""MPI-INF-3DHP: one person in a studio or outdoors, 3D joints by markerless capture."""

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

_JOINTS = JOINT_SETS["mpi_inf_3dhp17"]


def mpi_inf_3dhp_npz(annotations: Path, images: Path) -> RecordSet:
    """Pictures with annotations in the .npz form that mesh networks are trained from.

    Args:
        annotations: .npz with `imgname` (N,), `part` (N, 17, 3) pixels and confidence, and `S`
            (N, 17, 4) metres in the camera's frame and confidence.
        images: folder that `imgname` is relative to.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged or of another form, or no picture is there.
    """
    arrays = _read_npz(Path(annotations), ("imgname", "part", "S"))
    problems = Problems()
    records = []
    for name, part, solid in zip(arrays["imgname"], arrays["part"], arrays["S"], strict=True):
        labels = np.where(part[:, 2:] > 0, VISIBLE, UNLABELED)
        keypoints = np.concatenate([part[:, :2], labels], 1)[None]
        joints = np.where(solid[:, 3:] > 0, solid[:, :3], np.nan)[None]
        people = {
            "keypoints_2d": to_joints_71(keypoints, _JOINTS),
            "joints_3d": to_joints_71(joints, _JOINTS, np.nan),
            "boxes": boxes_around(keypoints),
        }
        tags = {"sequence": str(name).split("_")[0]}
        records.append(Record(str(name), Path(images) / str(name), people, tags=tags))
    records = checked_records(records, problems, Path(images))
    return RecordSet("mpi_inf_3dhp", records, _JOINTS, problems)


def _read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there are no annotations at {path}; is the root right?")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in keys}
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} does not hold {', '.join(keys)}: {error}") from error
