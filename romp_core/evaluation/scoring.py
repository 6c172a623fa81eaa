"""Measuring what was predicted for one picture against what is known of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.data.sample import OCCLUDED, Sample
from romp_core.evaluation import metrics
from romp_core.evaluation.average_precision import coco_detections, coco_labels
from romp_core.evaluation.keypoints import oks, oks_sigmas, people_areas
from romp_core.evaluation.matching import Matches, match
from romp_core.evaluation.protocols import Protocol
from romp_core.geometry.rotations import axis_angle_to_matrix
from romp_core.people import People

_PELVIS = 0


@dataclass
class PersonResult:
    """One annotated person that is to be found.

    Attributes:
        person: row in the `Sample`.
        labeled: number of labeled 2D joints.
        occluded: share of the labeled joints that cannot be seen.
        prediction: row in the `People`; None: missed, and nothing below is known.
        oks: keypoint similarity.
        confidence: the prediction's.
        joint_errors, aligned_errors: mm per joint of the protocol, after moving the root, and
            after Procrustes alignment; None for joints that are not known, and for all.
        pve: mm, pelvis aligned; None where the true mesh is not known.
        mpjae, pmpjae: degrees; None where the true pose is not known.
    """

    person: int
    labeled: int
    occluded: float
    prediction: int | None = None
    oks: float | None = None
    confidence: float | None = None
    joint_errors: list[float | None] | None = None
    aligned_errors: list[float | None] | None = None
    pve: float | None = None
    mpjae: float | None = None
    pmpjae: float | None = None


@dataclass
class PictureResult:
    """One picture.

    Attributes:
        index: number in the evaluated list.
        source: `Sample.source`.
        group: what the report groups by.
        people: who was to be found.
        ghosts: predictions where nobody is; None where not everybody is annotated.
        detections, labels: 2D joints for AP, in COCO's form; empty where AP is not asked for.
    """

    index: int
    source: str
    group: str
    people: list[PersonResult]
    ghosts: int | None
    detections: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain containers and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "PictureResult":
        """What `to_json` gave."""
        people = [PersonResult(**person) for person in content["people"]]
        return cls(**{**content, "people": people})


class Scorer:
    """Measures predictions of one network under one protocol.

    Args:
        body: the body of the predictions.
        protocol: what counts.
        keypoints: names of the 2D joints that the data set labels.
        everybody_annotated: see `RecordSet`.

    Raises:
        ValueError: the body lacks joints that the protocol or the data set needs.
    """

    def __init__(
        self,
        body: BodyModel,
        protocol: Protocol,
        keypoints: Sequence[str],
        everybody_annotated: bool = True,
    ):
        self.body, self.protocol = body, protocol
        self.everybody_annotated = everybody_annotated
        self._sigmas = oks_sigmas(keypoints)
        self._labels = [JOINTS_71.index(name) for name in keypoints]
        self._predicted_labels = body.joint_indices(keypoints)
        self._solid = [JOINTS_71.index(name) for name in protocol.joints]
        self._predicted_solid = body.joint_indices(protocol.joints)
        self._root = [protocol.joints.index(name) for name in protocol.root]

    def matches(self, sample: Sample, people: People) -> Matches:
        """Which prediction belongs to whom."""
        similarity = oks(
            people.keypoints_2d[:, self._predicted_labels],
            sample.keypoints_2d[:, self._labels],
            people_areas(sample),
            self._sigmas,
        )
        counts = sample.has_keypoints[:, self._labels].sum(1) >= self.protocol.minimum_joints
        return match(people.center, similarity, sample.boxes, counts, sample.ignored_boxes)

    def __call__(
        self,
        index: int,
        group: str,
        sample: Sample,
        people: People,
        body_of: Callable[[int], BodyModel | None] = lambda person: None,
    ) -> PictureResult:
        """The result of one picture.

        Args:
            index: its number.
            group: what it is reported under.
            sample: what is known of it.
            people: what was predicted.
            body_of: the body that a person's betas belong to; None where they are not known.
        """
        matches = self.matches(sample, people)
        visibility = sample.keypoints_2d[:, self._labels, 2]
        labeled = (visibility > 0).sum(1)
        hidden = (visibility == OCCLUDED).sum(1)
        found = [
            self._base(person, labeled, hidden, prediction=int(prediction), oks=float(similarity),
                       confidence=float(people.confidence[prediction]))
            for prediction, person, similarity in zip(
                matches.predictions, matches.people, matches.oks, strict=True
            )
        ]  # fmt: skip
        self._measure_joints(found, sample, people)
        self._measure_poses(found, sample, people)
        self._measure_vertices(found, sample, people, body_of)
        missed = [self._base(person, labeled, hidden) for person in matches.missed]
        everybody = sorted([*found, *missed], key=lambda result: result.person)
        ghosts = len(matches.ghosts) if self.everybody_annotated else None
        result = PictureResult(index, sample.source, group, everybody, ghosts)
        if "ap50" in self.protocol.metrics:
            predicted = people.keypoints_2d[:, self._predicted_labels]
            result.detections = coco_detections(predicted, people.confidence)
            labels = sample.keypoints_2d[:, self._labels]
            areas = people_areas(sample)
            result.labels = coco_labels(labels, sample.boxes, areas, sample.ignored_boxes)
        return result

    @staticmethod
    def _base(person: int, labeled: np.ndarray, hidden: np.ndarray, **known: Any) -> PersonResult:
        occluded = float(hidden[person] / max(labeled[person], 1))
        return PersonResult(int(person), int(labeled[person]), occluded, **known)

    def _measure_joints(self, found: list[PersonResult], sample: Sample, people: People) -> None:
        found = [entry for entry in found if self._knows_joints(sample, entry.person)]
        if not found:
            return
        predicted, target = self._joints(found, sample, people)
        errors = _known(metrics.joint_errors(predicted, target, self._root))
        aligned = _known(metrics.aligned_joint_errors(predicted, target))
        for entry, own, own_aligned in zip(found, errors, aligned, strict=True):
            entry.joint_errors, entry.aligned_errors = own, own_aligned

    def _knows_joints(self, sample: Sample, person: int) -> bool:
        """The roots, without which nothing can be compared, and at least three joints."""
        known = sample.has_joints_3d[person, self._solid]
        return bool(known[self._root].all() and known.sum() >= 3)

    def _joints(
        self, found: list[PersonResult], sample: Sample, people: People
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted and true 3D joints of the protocol, float64."""
        persons, predictions = _rows(found)
        predicted = people.joints[predictions][:, self._predicted_solid]
        target = sample.joints_3d[persons][:, self._solid]
        return torch.from_numpy(predicted).double(), torch.from_numpy(target).double()

    def _measure_poses(self, found: list[PersonResult], sample: Sample, people: People) -> None:
        complete = sample.has_joints_3d[:, self._solid].all(1) & sample.has_pose
        found = [entry for entry in found if complete[entry.person]]
        if not found:
            return
        persons, predictions = _rows(found)
        predicted = _orientations(people.pose[predictions])
        target = _orientations(sample.pose[persons])
        angles = metrics.mpjae(predicted, target).tolist()
        aligned = metrics.pmpjae(predicted, target, *self._joints(found, sample, people)).tolist()
        for entry, angle, aligned_angle in zip(found, angles, aligned, strict=True):
            entry.mpjae, entry.pmpjae = angle, aligned_angle

    def _measure_vertices(
        self,
        found: list[PersonResult],
        sample: Sample,
        people: People,
        body_of: Callable[[int], BodyModel | None],
    ) -> None:
        if "pve" not in self.protocol.metrics:
            return
        known = sample.has_pose & sample.has_betas
        for entry in found:
            body = body_of(entry.person) if known[entry.person] else None
            if body is not None and np.array_equal(body.faces, self.body.faces):
                entry.pve = _vertex_error(entry, sample, people, body)


def _vertex_error(entry: PersonResult, sample: Sample, people: People, body: BodyModel) -> float:
    """PVE of one person in mm, pelvis aligned."""
    device = body.device
    pose, betas = sample.pose[entry.person, None], sample.betas[entry.person, None]
    with torch.inference_mode():
        true = body(torch.from_numpy(pose).to(device), torch.from_numpy(betas).to(device))
    error = metrics.pve(
        torch.from_numpy(people.vertices[entry.prediction, None]),
        true.vertices.cpu(),
        torch.from_numpy(people.joints[entry.prediction, None, _PELVIS]),
        true.joints[:, _PELVIS].cpu(),
    )
    return error.item()


def _rows(found: list[PersonResult]) -> tuple[list[int], list[int]]:
    return [entry.person for entry in found], [entry.prediction for entry in found]


def _orientations(pose: np.ndarray) -> torch.Tensor:
    """(K, 24, 3, 3) orientations in the optical frame, out of (K, 72) axis-angle, float64."""
    relative = axis_angle_to_matrix(torch.from_numpy(pose).double().unflatten(1, (24, 3)))
    return metrics.global_rotations(relative)


def _known(errors: torch.Tensor) -> list[list[float | None]]:
    """Rows of numbers, None in place of NaN, which JSON does not have."""
    return [[None if np.isnan(value) else value for value in row] for row in errors.tolist()]
