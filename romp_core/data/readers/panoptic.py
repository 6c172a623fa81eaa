"""CMU Panoptic: social games in a dome, 3D joints by hundreds of cameras.

Official files per sequence: calibration_SEQUENCE.json, hdPose3d_stage1_coco19/
body3DScene_00000000.json (19 joints in centimetres, each with a confidence) and hdImgs/00_16/
00_16_00000000.jpg. Joints that the dome could not reconstruct have a confidence of -1.
"""

from collections.abc import Sequence
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
)
from romp_core.data.readers.smpl_people import labels_from_joints
from romp_core.errors import DataError
from romp_core.geometry.lens import CameraModel

_JOINTS = JOINT_SETS["panoptic19"]
_POSES = "hdPose3d_stage1_coco19"
_METRES = 0.01
_CAMERA_KEYS = ("K", "R", "t", "distCoef", "resolution")
ACTIVITIES = ("haggling", "mafia", "ultimatum", "pizza")


def panoptic(
    root: Path, sequences: Sequence[str] | None = None, cameras: Sequence[str] = ("00_16", "00_30")
) -> RecordSet:
    """Panoptic's pictures from some of its HD cameras.

    Args:
        root: folder with one folder per sequence.
        sequences: their names; None takes all that are there.
        cameras: names of cameras.

    Raises:
        FileNotFoundError: the root has no sequence, or a sequence no calibration.
        DataError: a file is damaged, a camera is not calibrated, or no picture is there.
    """
    root = Path(root)
    if sequences is None:
        sequences = sorted(path.parent.name for path in root.glob(f"*/{_POSES}"))
    if not sequences:
        raise FileNotFoundError(f"{root} holds no SEQUENCE/{_POSES}; is the root right?")
    problems = Problems()
    records: list[Record] = []
    for sequence in sequences:
        for camera in cameras:
            records += _records(root / sequence, camera, problems)
    records = checked_records(records, problems, root)
    return RecordSet("panoptic", records, _JOINTS, problems, group_tag="activity")


def read_camera(folder: Path, name: str) -> dict[str, np.ndarray]:
    """K (3, 3), R (3, 3), t (3,) in metres, distCoef (5,) and resolution (2,) of one camera.

    Raises:
        FileNotFoundError, DataError: there is no calibration of that camera.
    """
    path = folder / f"calibration_{folder.name}.json"
    cameras = {entry["name"]: entry for entry in read_json(path, ["cameras"])["cameras"]}
    if name not in cameras:
        raise DataError(f"{path} has no camera {name}; it has {', '.join(list(cameras)[:4])}, ...")
    check_keys(path, cameras[name], _CAMERA_KEYS)
    camera = {key: np.array(cameras[name][key], np.float64) for key in _CAMERA_KEYS}
    return {**camera, "t": _METRES * camera["t"].ravel()}


def _records(folder: Path, camera_name: str, problems: Problems) -> list[Record]:
    camera = read_camera(folder, camera_name)
    lens = CameraModel(camera["K"], coefficients=tuple(camera["distCoef"].ravel()))
    records = []
    for path in sorted((folder / _POSES).glob("body3DScene_*.json")):
        frame = path.stem.removeprefix("body3DScene_")
        name = f"{folder.name}/{camera_name}_{frame}"
        bodies = read_json(path, ["bodies"])["bodies"]
        for body in bodies:
            check_keys(path, body, ["joints19"])
        if not bodies:
            problems.add("frames without people", name)
            continue
        flat = numbers([body["joints19"] for body in bodies], (None, 76), f"{path}: joints19")
        solid = flat.reshape(-1, 19, 4).astype(np.float64)
        for missing in np.flatnonzero((solid[..., 3] < 0).any(1)):
            problems.add("people with joints not reconstructed", f"{name} person {missing}")
        points = _METRES * solid[..., :3] @ camera["R"].T + camera["t"]
        joints = to_joints_71(np.where(solid[..., 3:] < 0, np.nan, points), _JOINTS, np.nan)
        keypoints, boxes = labels_from_joints(joints, lens, _JOINTS)
        people = {"joints_3d": joints, "keypoints_2d": keypoints, "boxes": boxes}
        image = folder / "hdImgs" / camera_name / f"{camera_name}_{frame}.jpg"
        tags = {"sequence": folder.name, "activity": _activity(folder.name)}
        K, size = camera["K"].astype(np.float32), tuple(map(int, camera["resolution"]))
        records.append(Record(name, image, people, K, tags=tags, size=size))
    return records


def _activity(sequence: str) -> str:
    return next((activity for activity in ACTIVITIES if activity in sequence), sequence)
