"""Human3.6M: actors in a laboratory, 3D joints by motion capture.

Official files, per subject: MyPoseFeatures/D3_Positions_mono/ACTION.CAMERA.cdf (32 joints in
millimetres of the camera's frame), MyPoseFeatures/D2_Positions/ACTION.CAMERA.cdf (pixels) and
Videos/ACTION.CAMERA.mp4, 50 frames per second.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import numbers, read_cdf
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["h36m17"]
_OF_32 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
"""The 17 joints that move by themselves among the 32 of the files."""

_METRES = 0.001
TRAINING_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")


def human36m(root: Path, subjects: Sequence[str] = TRAINING_SUBJECTS, step: int = 5) -> RecordSet:
    """Frames of the videos of some subjects.

    Args:
        root: folder that holds S1, S5, ...
        subjects: names of subjects' folders.
        step: every so many frames of a video.

    Raises:
        FileNotFoundError: there are no positions of a subject.
        DataError: a file is damaged, or no video is there.
        ConfigError: cdflib is not installed.
    """
    root = Path(root)
    records = []
    for subject in subjects:
        features = root / subject / "MyPoseFeatures"
        files = sorted((features / "D3_Positions_mono").glob("*.cdf"))
        if not files:
            raise FileNotFoundError(f"{features}/D3_Positions_mono holds no .cdf")
        for file in files:
            solid = _METRES * _positions(file, 3)
            pixels = _positions(features / "D2_Positions" / file.name, 2)
            video = root / subject / "Videos" / f"{file.stem}.mp4"
            for frame in range(0, min(len(solid), len(pixels)), step):
                keypoints = with_visibility(pixels[frame], True, False)[None]
                people = {
                    "keypoints_2d": to_joints_71(keypoints, _JOINTS),
                    "joints_3d": to_joints_71(solid[None, frame], _JOINTS, np.nan),
                    "boxes": boxes_around(keypoints),
                }
                name = f"{subject}/{file.stem}/{frame:06}"
                tags = {"subject": subject, "action": file.stem.split(".")[0].split(" ")[0]}
                records.append(Record(name, video, people, tags=tags, frame=frame))
    problems = Problems()
    records = checked_records(records, problems, root)
    return RecordSet("human36m", records, _JOINTS, problems, group_tag="action")


def _positions(file: Path, coordinates: int) -> np.ndarray:
    """(frames, 17, coordinates)."""
    pose = np.squeeze(read_cdf(file, "Pose"))
    flat = numbers(pose, (None, 32 * coordinates), f"{file}: Pose")
    return flat.reshape(-1, 32, coordinates)[:, _OF_32]
