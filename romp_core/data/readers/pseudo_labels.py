"""SMPL fits that others made for data sets of 2D joints: SPIN's and EFT's.

Both name a picture and give one person of it. They attach to that picture's person whose labeled
joints they lie nearest to; what finds no picture or no person is counted and named.
"""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import torch

from romp_core.data.readers.files import numbers, read_json, read_npz
from romp_core.data.readers.records import Problems, Record, RecordSet
from romp_core.errors import DataError
from romp_core.geometry.rotations import matrix_to_axis_angle

_COCO_2014 = "COCO_train2014_"  # pictures had this before their number until 2017


class Fit(NamedTuple):
    """A fitted person.

    Attributes:
        image: the picture's file name.
        center: (2,) pixels, the middle of the person's box.
        pose: (72,) axis-angle.
        betas: (10,) of SMPL's neutral body.
    """

    image: str
    center: np.ndarray
    pose: np.ndarray
    betas: np.ndarray


def spin_fits(path: Path) -> list[Fit]:
    """Fits in SPIN's form.

    Args:
        path: .npz with `imgname` (N,), `center` (N, 2), `pose` (N, 72), `shape` (N, 10) and,
            where some people have no good fit, `has_smpl` (N,).

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged or of another form.
    """
    arrays = read_npz(path, ["imgname", "center", "pose", "shape"])
    poses = numbers(arrays["pose"], (None, 72), f"{path}: pose")
    shapes = numbers(arrays["shape"], (len(poses), 10), f"{path}: shape")
    centers = numbers(arrays["center"], (len(poses), 2), f"{path}: center")
    with np.load(path) as stored:
        good = stored["has_smpl"] > 0 if "has_smpl" in stored else np.ones(len(poses), bool)
    rows = zip(map(str, arrays["imgname"]), centers, poses, shapes, strict=True)
    return [Fit(*row) for row, kept in zip(rows, good, strict=True) if kept]


def eft_fits(path: Path) -> list[Fit]:
    """Fits in EFT's form.

    Args:
        path: .json with a list `data` of `imageName`, `bbox_center`, `parm_pose` (24, 3, 3) and
            `parm_shape` (10).

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is damaged or of another form.
    """
    fits = []
    for entry in read_json(path, ["data"])["data"]:
        missing = {"imageName", "bbox_center", "parm_pose", "parm_shape"} - set(entry)
        if missing:
            raise DataError(f"{path}: a fit lacks {', '.join(sorted(missing))}")
        rotations = numbers(entry["parm_pose"], (24, 3, 3), f"{path}: parm_pose")
        pose = matrix_to_axis_angle(torch.from_numpy(rotations)).flatten().numpy()
        betas = numbers(np.ravel(entry["parm_shape"]), (10,), f"{path}: parm_shape")
        center = numbers(entry["bbox_center"], (2,), f"{path}: bbox_center")
        fits.append(Fit(entry["imageName"], center, pose, betas))
    return fits


def attach(records: RecordSet, fits: list[Fit], with_betas: bool = True) -> RecordSet:
    """A data set whose people have the fits' poses and betas.

    Args:
        records: a data set of 2D joints.
        fits: see `spin_fits` and `eft_fits`.
        with_betas: whether betas attach, too; `records.bodies` must then have "neutral".

    Returns:
        The data set; people without fit have NaN. Fits without a person are in its `problems`.
    """
    problems = Problems.joined(records.problems)
    counts = Counter(record.image.name for record in records.records)

    def key(image: PurePath) -> str:
        """The file's name, and its folder's where several folders have such a file."""
        name = image.name.removeprefix(_COCO_2014)
        return name if counts[name] < 2 else f"{image.parent.name}/{name}"

    by_image = defaultdict(list)
    for fit in fits:
        by_image[key(PurePath(fit.image))].append(fit)
    attached = []
    for record in records.records:
        found = by_image.pop(key(record.image), [])
        attached.append(_with_fits(record, found, problems, with_betas))
    for name, left in by_image.items():
        for _ in left:
            problems.add("fits without a picture", name)
    return replace(records, records=attached, problems=problems)


def _with_fits(record: Record, fits: list[Fit], problems: Problems, with_betas: bool) -> Record:
    if not fits:
        return record
    count = len(record.people["boxes"])
    pose, betas = np.full((count, 72), np.nan), np.full((count, 10), np.nan)
    boxes = record.people["boxes"]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    for fit in fits:
        inside = ((fit.center >= boxes[:, :2]) & (fit.center <= boxes[:, 2:])).all(1)
        distance = np.linalg.norm(middles - fit.center, axis=1)
        distance[~inside | np.isfinite(pose[:, 0])] = np.inf
        if not count or not np.isfinite(distance.min()):
            problems.add("fits without a person", record.name)
            continue
        nearest = int(distance.argmin())
        pose[nearest], betas[nearest] = fit.pose, fit.betas
    people = {**record.people, "pose": pose}
    if not with_betas:
        return replace(record, people=people)
    return replace(record, people={**people, "betas": betas}, bodies=("neutral",) * count)
