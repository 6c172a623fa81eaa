"""Evaluated pictures for looking at: what was found, what is labeled, who was missed."""

from collections.abc import Sequence

import cv2
import numpy as np

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.data.sample import VISIBLE, Sample
from romp_core.evaluation.matching import POSED_OKS
from romp_core.evaluation.scoring import PersonResult, PictureResult
from romp_core.people import People
from romp_core.render.overlay import Renderer

# BGR. Blue, orange and magenta are told apart by colour-blind eyes, too.
_POSED, _FOUND, _MISSED, _LABEL = (200, 120, 0), (0, 160, 240), (160, 0, 220), (255, 255, 255)
_ALPHA = 0.75
_LONGER_SIDE = 1000


def draw_result(
    renderer: Renderer,
    sample: Sample,
    people: People,
    result: PictureResult,
    body: BodyModel,
    keypoints: Sequence[str],
) -> np.ndarray:
    """A picture with the predicted bodies, the labeled joints, and a box per person.

    Boxes are blue where the pose fits, orange where a person is found but the pose does not
    fit, magenta where a person is missed. White dots are labels, rings where hidden.

    Args:
        renderer: draws the bodies.
        sample: the picture.
        people: the predictions, with vertices.
        result: how they were scored.
        body: the body of the predictions.
        keypoints: names of the labels to draw.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    picture = renderer.draw_people(
        sample.image, people, body.faces, sample.intrinsics, alpha=_ALPHA
    )
    scale = _LONGER_SIDE / max(picture.shape[:2])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    labels = [JOINTS_71.index(name) for name in keypoints]
    for person in result.people:
        _draw_labels(picture, sample.keypoints_2d[person.person, labels], scale)
        _draw_box(picture, sample.boxes[person.person] * scale, person)
    return picture


def _draw_labels(picture: np.ndarray, keypoints: np.ndarray, scale: float) -> None:
    for x, y, visibility in keypoints:
        if visibility > 0:
            spot = round(float(x) * scale), round(float(y) * scale)
            cv2.circle(picture, spot, 4, (0, 0, 0), -1 if visibility == VISIBLE else 3)
            cv2.circle(picture, spot, 3, _LABEL, -1 if visibility == VISIBLE else 1)


def _draw_box(picture: np.ndarray, box: np.ndarray, person: PersonResult) -> None:
    color, words = _MISSED, "missed"
    if person.prediction is not None:
        color = _POSED if person.oks > POSED_OKS else _FOUND
        words = f"OKS {person.oks:.2f}"
        if person.joint_errors is not None:
            known = [error for error in person.joint_errors if error is not None]
            words += f", {np.mean(known):.0f} mm"
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, 2)
    for thickness, ink in ((4, (0, 0, 0)), (1, (255, 255, 255))):
        cv2.putText(
            picture, words, (x1 + 4, y1 + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, ink, thickness,
            cv2.LINE_AA,
        )  # fmt: skip
