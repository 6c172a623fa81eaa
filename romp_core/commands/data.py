"""`romp-core data check`: whether a downloaded data set is whole, and what is in it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from romp_core.data.readers import RecordSet, open_data_set
from romp_core.data.readers.sheet import draw_sheet
from romp_core.data.sample import OCCLUDED, VISIBLE, Sample
from romp_core.errors import ConfigError, DataError, ImageError
from romp_core.media import write_image


def check(
    name: str,
    root: Path,
    split: str | None = None,
    smpl: Path | None = None,
    fits: Path | None = None,
    sheet: Path = Path("out/sheet.jpg"),
    samples: int = 12,
    decode: bool = False,
) -> None:
    """Read a data set's annotations, count what is there and what is missing, draw a sheet.

    The sheet shows pictures from all over the set with their joints: blue on the person's left,
    orange on the right.

    Args:
        name: Data set; a wrong name is answered with the known ones.
        root: Its folder.
        split: Part of it; by default the reader's own.
        smpl: Folder of SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, where people are given as SMPL.
        fits: SPIN's .npz or EFT's .json, which attaches to the pictures.
        sheet: Picture to write.
        samples: Pictures on the sheet.
        decode: Read every picture, not only those on the sheet.

    Raises:
        ConfigError: There is no such data set, option or split, or samples is below 1.
        FileNotFoundError: There are no annotations at the root.
        DataError: Annotations are damaged, or nothing is in them.
    """
    if samples < 1:
        raise ConfigError(f"samples is {samples}; expected at least 1")
    options = {} if split is None else {"split": split}
    records = open_data_set(name, root, smpl=smpl, fits=fits, **options)
    if not len(records):
        raise DataError(f"{root} holds no annotated picture of {name}")
    shown = set(np.linspace(0, len(records) - 1, min(samples, len(records))).round().astype(int))
    drawn: list[Sample] = []
    outside = 0
    indices = range(len(records)) if decode else sorted(shown)
    for index in track(indices, "read pictures", console=Console(stderr=True)):
        try:
            sample = records[index]
        except (ImageError, FileNotFoundError) as error:
            records.problems.add("unreadable images", str(error))
            continue
        outside += _labeled(records.records[index].people) - int(sample.has_keypoints.sum())
        if index in shown:
            drawn.append(sample)
    for line in _counts(records):
        print(line)
    print(f"2D joints outside of the {len(indices)} pictures read, taken as not labeled: {outside}")
    for problem in records.problems:
        print(f"problem: {problem}")
    if drawn:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        write_image(sheet, draw_sheet(drawn))
        print(f"sheet of {len(drawn)} pictures: {sheet}")


def _counts(records: RecordSet) -> list[str]:
    """What is known of how many people."""
    people = [record.people for record in records.records]
    total = sum(len(next(iter(fields.values()))) for fields in people)

    def known(field: str) -> int:
        return sum(
            int(np.isfinite(fields[field]).any(tuple(range(1, fields[field].ndim))).sum())
            for fields in people
            if field in fields
        )

    labels = [fields["keypoints_2d"][..., 2] for fields in people if "keypoints_2d" in fields]
    seen = {
        state: sum(int((part == state).sum()) for part in labels) for state in (VISIBLE, OCCLUDED)
    }
    labeled = sum(int((part > 0).any(1).sum()) for part in labels)
    missing = sum(len(part) for part in labels) * len(records.keypoints) - sum(seen.values())
    return [
        f"{records.name}: {len(records)} pictures, {total} people",
        f"with 2D joints {labeled}, with 3D joints {known('joints_3d')}, "
        f"with pose {known('pose')}, with betas {known('betas')}",
        f"2D joints visible {seen[VISIBLE]}, hidden {seen[OCCLUDED]}, not labeled {missing}",
    ]


def _labeled(people: Mapping[str, np.ndarray]) -> int:
    """Number of labeled 2D joints, also of those outside of the picture."""
    return int((people["keypoints_2d"][..., 2] > 0).sum()) if "keypoints_2d" in people else 0
