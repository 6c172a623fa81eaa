"""From results per picture to the numbers of a table."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from romp_core.evaluation.average_precision import average_precision
from romp_core.evaluation.matching import POSED_OKS
from romp_core.evaluation.metrics import auc, pck
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.scoring import PersonResult, PictureResult

ALL = "all"
"""Name of the row over all groups."""


class Column(NamedTuple):
    """How a measure is headed and printed."""

    heading: str
    digits: int


COLUMNS: dict[str, Column] = {
    "found": Column("found %", 1),
    "posed": Column("OKS > 0.5 %", 1),
    "false_positives": Column("false positives / picture", 3),
    "ghosts": Column("ghosts / picture", 3),
    "oks": Column("OKS", 3),
    "mpjpe": Column("MPJPE mm", 1),
    "pmpjpe": Column("PMPJPE mm", 1),
    "pve": Column("PVE mm", 1),
    "pck": Column("PCK %", 1),
    "auc": Column("AUC %", 1),
    "mpjae": Column("MPJAE deg", 1),
    "pmpjae": Column("PMPJAE deg", 1),
    "ap50": Column("AP at OKS 0.5 %", 1),
    "ar50": Column("AR at OKS 0.5 %", 1),
}
"""All measures. 3D errors are means over the people found; `found` says how many those are."""


def summarize(
    results: Sequence[PictureResult], protocol: Protocol
) -> dict[str, dict[str, float | int | None]]:
    """One row per group and, where there are several groups, one over all.

    Args:
        results: of all pictures.
        protocol: what they were measured by.

    Returns:
        {group: {measure: number}}: `pictures`, `people` and the keys of `COLUMNS`; None where
        there is nothing to measure.
    """
    groups = sorted({result.group for result in results})
    rows = {group: _row([r for r in results if r.group == group], protocol) for group in groups}
    if len(rows) == 1:
        return rows
    total = _row(results, protocol)
    if protocol.mean_of_groups:
        total |= {metric: _mean([row[metric] for row in rows.values()]) for metric in COLUMNS}
    return {**rows, ALL: total}


def _row(results: Sequence[PictureResult], protocol: Protocol) -> dict[str, float | int | None]:
    people = [person for result in results for person in result.people]
    found = [person for person in people if person.prediction is not None]
    errors = known_joint_errors(found)
    aligned = known_joint_errors(found, aligned=True)
    limbs = pck_errors(errors, protocol)
    return {
        "pictures": len(results),
        "people": len(people),
        **_finding(results, people, found),
        "oks": _mean([person.oks for person in found]),
        "mpjpe": _mean(errors.nanmean(1).tolist()),
        "pmpjpe": _mean(aligned.nanmean(1).tolist()),
        "pve": _mean([person.pve for person in found]),
        "pck": _mean(pck(limbs, protocol.pck_mm).tolist()),
        "auc": _mean(auc(limbs, protocol.auc_mm).tolist()),
        "mpjae": _mean([person.mpjae for person in found]),
        "pmpjae": _mean([person.pmpjae for person in found]),
        **average_precision(results, protocol.keypoints),
    }


def _finding(
    results: Sequence[PictureResult], people: Sequence[PersonResult], found: Sequence[PersonResult]
) -> dict[str, float | None]:
    """Shares of people in percent, and wrong predictions per picture.

    A ghost is a prediction where nobody is. A false positive is a prediction that is like
    nobody: a ghost, or one in a person's place with a similarity of `POSED_OKS` or less.
    """
    complete = [result for result in results if result.ghosts is not None]
    unlike = sum(
        person.prediction is not None and person.oks <= POSED_OKS
        for result in complete
        for person in result.people
    )
    ghosts = sum(result.ghosts for result in complete)
    posed = sum(person.oks > POSED_OKS for person in found)
    return {
        "found": 100 * len(found) / len(people) if people else None,
        "posed": 100 * posed / len(people) if people else None,
        "false_positives": (ghosts + unlike) / len(complete) if complete else None,
        "ghosts": ghosts / len(complete) if complete else None,
    }


def known_joint_errors(people: Sequence[PersonResult], aligned: bool = False) -> torch.Tensor:
    """Errors of the people that have them.

    Args:
        people: K people or more, also missed ones.
        aligned: after Procrustes alignment, else after moving the root.

    Returns:
        (K, J) float64 mm; NaN for joints that are not known.
    """
    rows = [person.aligned_errors if aligned else person.joint_errors for person in people]
    known = [[math.nan if e is None else e for e in row] for row in rows if row is not None]
    return torch.tensor(known, dtype=torch.float64).reshape(len(known), -1 if known else 0)


def pck_errors(errors: torch.Tensor, protocol: Protocol) -> torch.Tensor:
    """The columns of `known_joint_errors` that PCK and AUC are over: (K, J) -> (K, N)."""
    if protocol.pck_joints is None or not len(errors):
        return errors
    return errors[:, [protocol.joints.index(name) for name in protocol.pck_joints]]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known else None
