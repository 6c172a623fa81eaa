"""Measuring what was predicted for one picture against what is known of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.data.sample import OCCLUDED, Sample
from romp_core.evaluation import metrics
from romp_core.evaluation.keypoints import BOX_TO_AREA, oks, oks_sigmas
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
            after Procrustes alignment; None without 3D joints.
        pve: mm, pelvis aligned; None where the true mesh is not known.
        mpjae, pmpjae: degrees; None where the true pose is not known.
    """

    person: int
    labeled: int
    occluded: float
    prediction: int | None = None
    oks: float | None = None
    confidence: float | None = None
    joint_errors: list[float] | None = None
    aligned_errors: list[float] | None = None
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
    """

    index: int
    source: str
    group: str
    people: list[PersonResult]
    ghosts: int | None

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
        keypoints = sample.keypoints_2d[:, self._labels]
        extent = sample.boxes[:, 2:] - sample.boxes[:, :2]
        known = np.isfinite(sample.areas)
        areas = np.where(known, sample.areas, BOX_TO_AREA * extent.prod(1))
        similarity = oks(
            people.keypoints_2d[:, self._predicted_labels], keypoints, areas, self._sigmas
        )
        counts = sample.has_keypoints[:, self._labels].sum(1) >= self.protocol.minimum_joints
        return match(people.center, similarity, sample.boxes, counts, sample.ignored_boxes)

    def __call__(self, index: int, group: str, sample: Sample, people: People) -> PictureResult:
        """The result of picture `index`."""
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
        missed = [self._base(person, labeled, hidden) for person in matches.missed]
        everybody = sorted([*found, *missed], key=lambda result: result.person)
        ghosts = len(matches.ghosts) if self.everybody_annotated else None
        return PictureResult(index, sample.source, group, everybody, ghosts)

    @staticmethod
    def _base(person: int, labeled: np.ndarray, hidden: np.ndarray, **known: Any) -> PersonResult:
        occluded = float(hidden[person] / max(labeled[person], 1))
        return PersonResult(int(person), int(labeled[person]), occluded, **known)

    def _measure_joints(self, found: list[PersonResult], sample: Sample, people: People) -> None:
        found = [entry for entry in found if self._knows_joints(sample, entry.person)]
        if not found:
            return
        predicted, target = self._joints(found, sample, people)
        errors = metrics.joint_errors(predicted, target, self._root).tolist()
        aligned = metrics.aligned_joint_errors(predicted, target).tolist()
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
        pose = torch.from_numpy(sample.pose[persons])
        oriented = _orientations(torch.from_numpy(people.pose[predictions]))
        true_oriented = _orientations(pose)
        angles = metrics.mpjae(oriented, true_oriented).tolist()
        for entry, angle in zip(found, angles, strict=True):
            entry.mpjae = angle
        self._measure_aligned_poses(found, sample, people, oriented, true_oriented)
        if self._shares_mesh(sample, people):
            self._measure_vertices(found, sample, people)

    def _measure_aligned_poses(
        self,
        found: list[PersonResult],
        sample: Sample,
        people: People,
        oriented: torch.Tensor,
        true_oriented: torch.Tensor,
    ) -> None:
        predicted, target = self._joints(found, sample, people)
        angles = metrics.pmpjae(oriented, true_oriented, predicted, target)
        for entry, angle in zip(found, angles.tolist(), strict=True):
            entry.pmpjae = angle

    def _shares_mesh(self, sample: Sample, people: People) -> bool:
        return (
            "pve" in self.protocol.metrics
            and sample.body_id == self.body.id
            and people.vertices.shape[1] > 0
        )

    def _measure_vertices(self, found: list[PersonResult], sample: Sample, people: People) -> None:
        found = [entry for entry in found if sample.has_betas[entry.person]]
        persons, predictions = _rows(found)
        device = self.body.joints_template.device
        with torch.inference_mode():
            true = self.body(
                torch.from_numpy(sample.pose[persons]).to(device),
                torch.from_numpy(sample.betas[persons]).to(device),
            )
        errors = metrics.pve(
            torch.from_numpy(people.vertices[predictions]),
            true.vertices.cpu(),
            torch.from_numpy(people.joints[predictions, _PELVIS]),
            true.joints[:, _PELVIS].cpu(),
        )
        for entry, error in zip(found, errors.tolist(), strict=True):
            entry.pve = error


def _rows(found: list[PersonResult]) -> tuple[list[int], list[int]]:
    return [entry.person for entry in found], [entry.prediction for entry in found]


def _orientations(pose: torch.Tensor) -> torch.Tensor:
    """(K, 24, 3, 3) orientations in the optical frame, out of (K, 72) axis-angle, float64."""
    return metrics.global_rotations(axis_angle_to_matrix(pose.double().unflatten(1, (24, 3))))
