"""AP and AR of 2D joints, by COCO's own code."""

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from romp_core.errors import missing_extra
from romp_core.evaluation.keypoints import oks_sigmas

if TYPE_CHECKING:
    from romp_core.evaluation.scoring import PictureResult

_PERSON = {"id": 1, "name": "person"}
_AP50, _AR50 = 1, 6  # where COCOeval's summary of keypoints has them


def coco_detections(keypoints: np.ndarray, confidence: np.ndarray) -> list[dict[str, Any]]:
    """Predicted people in COCO's form.

    Args:
        keypoints: (P, J, 2) pixels.
        confidence: (P,).
    """
    seen = np.insert(keypoints.astype(float).round(2), 2, 1, axis=2)
    return [
        {"keypoints": joints.ravel().tolist(), "score": float(score)}
        for joints, score in zip(seen, confidence, strict=True)
    ]


def coco_labels(
    keypoints: np.ndarray, boxes: np.ndarray, areas: np.ndarray, ignored_boxes: np.ndarray
) -> list[dict[str, Any]]:
    """Annotated people in COCO's form; ignored boxes become crowds.

    Args:
        keypoints: (K, J, 3) x, y, visibility.
        boxes: (K, 4) x1, y1, x2, y2.
        areas: (K,) squared pixels.
        ignored_boxes: (M, 4).
    """
    crowds = np.zeros((len(ignored_boxes), *keypoints.shape[1:]))
    everybody = np.concatenate([keypoints, crowds])
    corners = np.concatenate([boxes, ignored_boxes]).astype(float)
    extent = corners[:, 2:] - corners[:, :2]
    sizes = np.concatenate([areas, extent[len(boxes) :].prod(1)])
    return [
        {
            "keypoints": everybody[row].ravel().tolist(),
            "num_keypoints": int((everybody[row, :, 2] > 0).sum()),
            "bbox": [*corners[row, :2], *extent[row]],
            "area": float(sizes[row]),
            "iscrowd": int(row >= len(boxes)),
        }
        for row in range(len(everybody))
    ]


def average_precision(
    results: Sequence["PictureResult"], keypoints: Sequence[str]
) -> dict[str, float | None]:
    """AP and AR at an OKS of 0.5, as COCO and CrowdPose compute them.

    Args:
        results: pictures with their `detections` and `labels`.
        keypoints: names of the joints.

    Returns:
        `ap50` and `ar50` in percent; None where nobody has a labeled joint.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    if not any(_counts(label) for result in results for label in result.labels):
        return {"ap50": None, "ar50": None}
    COCO, COCOeval = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": result.index} for result in results],
            "categories": [_PERSON],
            "annotations": _numbered(results, "labels"),
        }
        truth.createIndex()
        detections = _numbered(results, "detections")
        if not detections:
            return {"ap50": 0.0, "ar50": 0.0}
        evaluation = COCOeval(truth, truth.loadRes(detections), "keypoints")
        evaluation.params.kpt_oks_sigmas = oks_sigmas(keypoints)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {
        "ap50": 100 * float(evaluation.stats[_AP50]),
        "ar50": 100 * float(evaluation.stats[_AR50]),
    }


def _counts(label: dict[str, Any]) -> bool:
    """Whether COCO's evaluation asks for this person; it answers -1 where it asks for nobody."""
    return label["num_keypoints"] > 0 and not label["iscrowd"]


def _numbered(results: Sequence["PictureResult"], field: str) -> list[dict[str, Any]]:
    entries = [
        {**entry, "image_id": result.index, "category_id": 1}
        for result in results
        for entry in getattr(result, field)
    ]
    return [{**entry, "id": number} for number, entry in enumerate(entries, 1)]


def _pycocotools() -> tuple[type, type]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise missing_extra("AP is computed by pycocotools", "evaluation") from error
    return COCO, COCOeval
