"""Which prediction belongs to which annotated person.

Detection never sees the annotations: predictions come out of the network alone, and are
matched afterwards. Whoever is left over on either side is counted.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

POSED_OKS = 0.5
"""Predictions over this similarity count as found and posed."""


@dataclass(frozen=True)
class Matches:
    """The outcome for one picture with P predictions and G people.

    Attributes:
        predictions, people: (M,) indices of the pairs.
        oks: (M,) their keypoint similarity.
        missed: indices of people that count and have no prediction.
        ghosts: indices of predictions without a person, other than those in ignored boxes.
    """

    predictions: np.ndarray
    people: np.ndarray
    oks: np.ndarray
    missed: np.ndarray
    ghosts: np.ndarray

    @property
    def posed(self) -> np.ndarray:
        """(M,) bool: the similarity is over `POSED_OKS`."""
        return self.oks > POSED_OKS


def match(
    centers: np.ndarray,
    similarity: np.ndarray,
    boxes: np.ndarray,
    counts: np.ndarray,
    ignored_boxes: np.ndarray,
) -> Matches:
    """Pair predictions with people, one to one.

    First as many pairs as possible with a similarity over `POSED_OKS`, of all such pairings the
    one with the greatest sum. Then, of who is left, pairs in which the predicted body center
    lies inside the person's box, the relatively nearest to the box's middle first.

    Args:
        centers: (P, 2) pixels, predicted body centers.
        similarity: (P, G) of `keypoints.oks`.
        boxes: (G, 4) x1, y1, x2, y2 in pixels.
        counts: (G,) bool: people that are to be found. The others (too little of them is
            labeled) take part, so that finding them is no mistake, but are never missed.
        ignored_boxes: (M, 4): predictions centered in them are neither right nor wrong.
    """
    inside, distance = _in_boxes(centers, boxes)
    posed = similarity > POSED_OKS
    counted, others = np.flatnonzero(counts), np.flatnonzero(~counts)
    pairs: list[tuple[int, int]] = []
    for group in (counted, others):
        for allowed, cost in ((posed, 1 - similarity), (inside, distance)):
            free_predictions, free_people = _free(len(centers), group, pairs)
            pairs += _assign(allowed, cost, free_predictions, free_people)
    pairs = np.array(pairs, np.int64).reshape(-1, 2)
    taken = pairs[:, 0]
    excused = _in_boxes(centers, ignored_boxes)[0].any(1)
    excused |= inside[:, others].any(1)
    excused[taken] = True
    kept = pairs[counts[pairs[:, 1]]]
    return Matches(
        predictions=kept[:, 0],
        people=kept[:, 1],
        oks=similarity[kept[:, 0], kept[:, 1]],
        missed=np.setdiff1d(counted, kept[:, 1]),
        ghosts=np.flatnonzero(~excused),
    )


def _in_boxes(points: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, G) bool, and distance from the middle in half diagonals."""
    low, high = boxes[None, :, :2], boxes[None, :, 2:]
    inside = ((points[:, None] >= low) & (points[:, None] <= high)).all(-1)
    offset = np.linalg.norm(points[:, None] - (low + high) / 2, axis=-1)
    return inside, offset / np.maximum(np.linalg.norm(high - low, axis=-1) / 2, 1e-6)


def _free(
    prediction_count: int, group: np.ndarray, pairs: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and people of the group that are in no pair yet."""
    predictions, people = zip(*pairs, strict=True) if pairs else ((), ())
    return np.setdiff1d(np.arange(prediction_count), predictions), np.setdiff1d(group, people)


def _assign(
    allowed: np.ndarray, cost: np.ndarray, predictions: np.ndarray, people: np.ndarray
) -> list[tuple[int, int]]:
    """As many allowed pairs as possible, at the least total cost (costs are within 0..1)."""
    chosen = np.ix_(predictions, people)
    permitted = allowed[chosen]
    # One forbidden pair costs more than all permitted ones together.
    forbidden = 1.0 + min(permitted.shape)
    rows, columns = linear_sum_assignment(np.where(permitted, cost[chosen], forbidden))
    return [
        (int(predictions[row]), int(people[column]))
        for row, column in zip(rows, columns, strict=True)
        if permitted[row, column]
    ]
