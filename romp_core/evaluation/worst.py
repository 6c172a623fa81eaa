"""Which pictures to look at first."""

from collections.abc import Sequence

import numpy as np

from romp_core.evaluation.scoring import PersonResult, PictureResult

COUNT = 12


def worst_pictures(results: Sequence[PictureResult], count: int = COUNT) -> list[int]:
    """Numbers of the pictures with the worst people, the worst first.

    People are compared by their MPJPE where all who are found have one; else by keypoint
    similarity, of which missed people have 0.

    Args:
        results: of all pictures.
        count: at most so many.
    """
    found = [p for result in results for p in result.people if p.prediction is not None]
    in_space = bool(found) and all(person.joint_errors is not None for person in found)
    badness = {
        result.index: max((_badness(person, in_space) for person in result.people), default=-1.0)
        for result in results
    }
    worst = sorted(badness, key=lambda index: -badness[index])[:count]
    return [index for index in worst if badness[index] >= 0]


def _badness(person: PersonResult, in_space: bool) -> float:
    if not in_space:
        return 1 - (person.oks or 0.0)
    known = [error for error in person.joint_errors or () if error is not None]
    return float(np.mean(known)) if known else -1.0
