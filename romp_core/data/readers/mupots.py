"""MuPoTS-3D: several people outdoors, 3D joints by multi-view markerless capture.

Official files: TS1..TS20/annot.mat, a (frames, people) cell array of `annot2` (2, 17) pixels,
`annot3` and `univ_annot3` (3, 17) millimetres and `isValidFrame`; occlusion.mat with 1 for
joints that are hidden; and pictures img_000000.jpg. Errors are measured on `univ_annot3`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from romp_core.body.joints import JOINT_SETS
from romp_core.data.readers.files import numbers, read_mat
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
_METRES = 0.001


def mupots(root: Path) -> RecordSet:
    """MuPoTS-3D's pictures.

    Args:
        root: folder that holds TS1, TS2, ...

    Raises:
        FileNotFoundError: there is no sequence in the root, or no occlusion labels.
        DataError: annotations are damaged, or no picture is there.
    """
    root = Path(root)
    folders = sorted((path.parent for path in root.glob("TS*/annot.mat")), key=_number)
    if not folders:
        raise FileNotFoundError(f"{root} holds no TS1/annot.mat; is the root right?")
    problems = Problems()
    records: list[Record] = []
    for folder in folders:
        records += _records(folder, problems)
    records = checked_records(records, problems, root)
    return RecordSet("mupots", records, _JOINTS, problems, group_tag="sequence")


def _records(folder: Path, problems: Problems) -> list[Record]:
    annotations = _cells(read_mat(folder / "annot.mat", ["annotations"])["annotations"])
    hidden = read_mat(folder / "occlusion.mat", ["occlusion_labels"])["occlusion_labels"]
    hidden = np.asarray(hidden, object).reshape(annotations.shape)
    records = []
    for frame, people in enumerate(annotations):
        image = folder / f"img_{frame:06}.jpg"
        name = f"{folder.name}/{image.name}"
        valid = [i for i, person in enumerate(people) if int(person.isValidFrame)]
        others = [people[i] for i in range(len(people)) if i not in valid]
        if len(valid) < len(people):
            problems.add("people in frames that are not valid", name)
        if not valid:
            problems.add("frames without valid people", name)
            continue
        pixels = _stacked([people[i].annot2 for i in valid], 2, folder)
        solid = _METRES * _stacked([people[i].univ_annot3 for i in valid], 3, folder)
        covered = np.stack([np.asarray(hidden[frame, i], bool).ravel() for i in valid])
        keypoints = with_visibility(pixels, True, covered)
        fields = {
            "keypoints_2d": to_joints_71(keypoints, _JOINTS),
            "joints_3d": to_joints_71(solid, _JOINTS, np.nan),
            "boxes": boxes_around(keypoints),
        }
        records.append(
            Record(
                name, image, fields, ignored_boxes=_boxes_of(others),
                tags={"sequence": folder.name},
            )
        )  # fmt: skip
    return records


def _boxes_of(people: Sequence[Any]) -> np.ndarray:
    """(M, 4) boxes of people who are there but whose annotation is not valid, where it says
    anything at all."""
    pixels = [np.asarray(person.annot2, np.float32) for person in people]
    known = [each.T for each in pixels if each.shape == (2, len(_JOINTS)) and each.any()]
    joints = np.array(known, np.float32).reshape(-1, len(_JOINTS), 2)
    return boxes_around(with_visibility(joints, np.isfinite(joints).all(-1), False))


def _cells(annotations: Any) -> np.ndarray:
    """(frames, people) object array; the reader of .mat files drops dimensions of length 1."""
    cells = np.asarray(annotations, object)
    return cells.reshape(-1, 1) if cells.ndim < 2 else cells


def _stacked(arrays: list[np.ndarray], coordinates: int, folder: Path) -> np.ndarray:
    """(people, 17, coordinates)."""
    what = f"{folder}/annot.mat: joints"
    return numbers(np.stack(arrays), (None, coordinates, 17), what).transpose(0, 2, 1)


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("TS"))
