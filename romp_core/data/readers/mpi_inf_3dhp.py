"""MPI-INF-3DHP: one person in a studio or outdoors, 3D joints by markerless capture.

Official files. Training: S1..S8/Seq1..Seq2/annot.mat, per camera `annot2` (frames, 2 x 28) in
pixels and `annot3` (frames, 3 x 28) in millimetres of the camera's frame, and imageSequence/
video_0.avi. Test: TS1..TS6/annot_data.mat (version 7.3) with 17 joints, `valid_frame`, and
imageSequence/img_000001.jpg. Errors are measured on `univ_annot3`, whose people are scaled to
one height.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import numbers, read_mat, read_mat_v73, read_npz
from romp_core.data.readers.records import (
    Problems,
    Record,
    RecordSet,
    boxes_around,
    checked_records,
    to_joints_71,
    with_visibility,
)

_JOINTS = JOINT_SETS["mpi_inf_3dhp17"]
_OF_28 = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]
"""Where the 17 joints of the test set are among the 28 of the training set."""

CHEST_HIGH_CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)
"""Cameras that are not on the ceiling."""

_METRES = 0.001


def mpi_inf_3dhp_train(
    root: Path, cameras: Sequence[int] = CHEST_HIGH_CAMERAS, step: int = 10
) -> RecordSet:
    """The training set.

    Args:
        root: folder that holds S1, S2, ...
        cameras: numbers of cameras.
        step: every so many frames of a video.

    Raises:
        FileNotFoundError: there is no sequence in the root.
        DataError: annotations are damaged, or no video is there.
    """
    root = Path(root)
    files = sorted(root.glob("S*/Seq*/annot.mat"))
    if not files:
        raise FileNotFoundError(f"{root} holds no S1/Seq1/annot.mat; is the root right?")
    records = []
    for file in files:
        content = read_mat(file, ["annot2", "annot3"])
        for camera in cameras:
            pixels = _camera_joints(content["annot2"][camera], 2, file)
            solid = _camera_joints(content["annot3"][camera], 3, file) * _METRES
            video = file.parent / "imageSequence" / f"video_{camera}.avi"
            for frame in range(0, len(pixels), step):
                name = f"{file.parent.relative_to(root)}/video_{camera}/{frame:06}"
                people = _person(pixels[frame], solid[frame])
                records.append(Record(name, video, people, frame=frame))
    return _record_set(records, root)


def mpi_inf_3dhp_test(root: Path) -> RecordSet:
    """The test set's valid frames.

    Args:
        root: folder that holds TS1, TS2, ...

    Raises:
        FileNotFoundError: there is no sequence in the root.
        DataError: annotations are damaged, or no picture is there.
        ConfigError: h5py is not installed.
    """
    root = Path(root)
    files = sorted(root.glob("TS*/annot_data.mat"))
    if not files:
        raise FileNotFoundError(f"{root} holds no TS1/annot_data.mat; is the root right?")
    problems = Problems()
    records = []
    for file in files:
        content = read_mat_v73(file, ["annot2", "univ_annot3", "valid_frame"])
        pixels = numbers(content["annot2"], (None, 1, 17, 2), f"{file}: annot2")[:, 0]
        solid = numbers(content["univ_annot3"], (None, 1, 17, 3), f"{file}: univ_annot3")[:, 0]
        for frame, valid in enumerate(content["valid_frame"].ravel()):
            name = f"{file.parent.name}/img_{frame + 1:06}.jpg"
            if not valid:
                problems.add("frames that are not valid", name)
                continue
            image = file.parent / "imageSequence" / f"img_{frame + 1:06}.jpg"
            people = _person(pixels[frame], solid[frame] * _METRES)
            records.append(Record(name, image, people, tags={"sequence": file.parent.name}))
    return _record_set(records, root, problems)


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
    arrays = read_npz(annotations, ["imgname", "part", "S"])
    parts = numbers(arrays["part"], (None, 17, 3), f"{annotations}: part")
    solids = numbers(arrays["S"], (None, 17, 4), f"{annotations}: S")
    records = []
    for name, part, solid in zip(map(str, arrays["imgname"]), parts, solids, strict=True):
        joints = np.where(solid[:, 3:] > 0, solid[:, :3], np.nan)
        people = _person(part[:, :2], joints, part[:, 2] > 0)
        tags = {"sequence": name.split("_")[0]}
        records.append(Record(name, Path(images) / name, people, tags=tags))
    return _record_set(records, Path(images))


def _camera_joints(rows: np.ndarray, coordinates: int, file: Path) -> np.ndarray:
    """(frames, 17, coordinates) of one camera."""
    flat = numbers(rows, (None, 28 * coordinates), f"{file}: joints of a camera")
    return flat.reshape(-1, 28, coordinates)[:, _OF_28]


def _person(
    pixels: np.ndarray, solid: np.ndarray, labeled: np.ndarray | bool = True
) -> dict[str, np.ndarray]:
    keypoints = with_visibility(pixels, labeled, False)[None]
    return {
        "keypoints_2d": to_joints_71(keypoints, _JOINTS),
        "joints_3d": to_joints_71(solid[None], _JOINTS, np.nan),
        "boxes": boxes_around(keypoints),
    }


def _record_set(records: list[Record], root: Path, problems: Problems | None = None) -> RecordSet:
    problems = problems or Problems()
    records = checked_records(records, problems, root)
    return RecordSet("mpi_inf_3dhp", records, _JOINTS, problems)
