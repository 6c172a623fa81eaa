"""What every reader gives: annotations at hand, pictures read when asked for.

A reader never drops anything in silence: what it leaves out is counted and named in `Problems`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from romp_core.body.joints import JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.data.sample import OCCLUDED, UNLABELED, VISIBLE, Sample
from romp_core.errors import DataError, ImageError
from romp_core.media import read_image

NAMED_PER_PROBLEM = 5
"""So many examples of each kind of problem are named; all are counted."""


class Problems:
    """Counts and names what a data set's files lack."""

    def __init__(self):
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Note one more.

        Args:
            kind: what is wrong, as a plural: "missing images".
            name: where.
        """
        self._found.setdefault(kind, []).append(name)

    @classmethod
    def joined(cls, *parts: "Problems") -> "Problems":
        """All problems of several."""
        whole = cls()
        for part in parts:
            for kind, names in part._found.items():
                whole._found.setdefault(kind, []).extend(names)
        return whole

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {kind: len(names) for kind, names in self._found.items()}

    def __iter__(self) -> Iterator[str]:
        """One line per kind: its number and the first names."""
        for kind, names in self._found.items():
            more = ", ..." if len(names) > NAMED_PER_PROBLEM else ""
            yield f"{len(names)} {kind}: {', '.join(names[:NAMED_PER_PROBLEM])}{more}"


@dataclass(frozen=True)
class Record:
    """One picture's annotations.

    Attributes:
        name: names the picture within its data set.
        image: path of the picture, or of the video that it is a frame of.
        people: per-person fields of `Sample`, each with one row per person.
        intrinsics: (3, 3), or None where the camera is not known.
        bodies: where betas are known, per person the key of its body in `RecordSet.bodies`.
        ignored_boxes: (M, 4), see `Sample`.
        tags: what protocols select by, for example {"sequence": "courtyard_box_00"}.
        frame: number of the frame in the video, from 0; None for pictures.
        size: width and height that the annotations are for; None where the data set does not say.
    """

    name: str
    image: Path
    people: Mapping[str, np.ndarray]
    intrinsics: np.ndarray | None = None
    bodies: tuple[str, ...] = ()
    ignored_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    tags: Mapping[str, str] = field(default_factory=dict)
    frame: int | None = None
    size: tuple[int, int] | None = None

    def read_image(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 BGR, as its pixels are stored; turned by its EXIF
        orientation only where the annotations are for that size.

        Raises:
            FileNotFoundError, ImageError: it is missing or damaged, or of another size than its
                annotations.
        """
        if self.frame is not None:
            return read_frame(self.image, self.frame)
        image = read_image(self.image, upright=False)
        if self.size in (None, image.shape[1::-1]):
            return image
        upright = read_image(self.image)
        if self.size == upright.shape[1::-1]:
            return upright
        height, width = image.shape[:2]
        raise ImageError(
            f"{self.image} is {width} x {height} pixels, its annotations are for "
            f"{self.size[0]} x {self.size[1]}: take the original picture, neither resized nor "
            "turned"
        )


@dataclass(frozen=True)
class RecordSet(Sequence[Sample]):
    """A data set: `records[i]` reads picture i and gives it as a `Sample`.

    Attributes:
        name: the data set's name.
        records: its pictures.
        keypoints: names of the 2D joints that it labels, of `JOINTS_71`.
        problems: what is missing in the files.
        everybody_annotated: whether a person without annotation can only be in an ignored box;
            otherwise false positives cannot be told.
        bodies: the bodies that betas belong to; 3DPW has one per gender.
        group_tag: the tag that reports are grouped by; None takes the data set's name.
    """

    name: str
    records: Sequence[Record]
    keypoints: tuple[str, ...]
    problems: Problems
    everybody_annotated: bool = True
    bodies: Mapping[str, BodyModel] = field(default_factory=dict)
    group_tag: str | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Picture and annotations.

        Raises:
            FileNotFoundError, ImageError: the picture is missing or damaged.
        """
        record = self.records[index]
        image = record.read_image()
        people = dict(record.people)
        if "boxes" in people:
            people["boxes"] = _clipped(people["boxes"], *image.shape[:2])
        if "keypoints_2d" in people:
            people["keypoints_2d"] = _inside_only(people["keypoints_2d"], *image.shape[:2])
        return Sample(
            image,
            f"{self.name} {record.name}",
            intrinsics=record.intrinsics,
            body_id=self.bodies[record.bodies[0]].id if len(set(record.bodies)) == 1 else None,
            ignored_boxes=_clipped(record.ignored_boxes, *image.shape[:2]),
            annotated=self._annotated(record),
            everybody_annotated=self.everybody_annotated,
            **people,
        )

    def _annotated(self, record: Record) -> np.ndarray:
        """(71,) bool: the joints that the data set labels, and any others that this record has."""
        named = np.isin(JOINTS_71, self.keypoints)
        if "keypoints_2d" not in record.people:
            return named
        return named | (record.people["keypoints_2d"][..., 2] > UNLABELED).any(0)

    def body_of(self, index: int, person: int) -> BodyModel | None:
        """The body that a person's betas belong to; None where betas are not known."""
        keys = self.records[index].bodies
        return self.bodies[keys[person]] if keys else None

    def group(self, index: int) -> str:
        """What reports group picture `index` under."""
        return self.records[index].tags[self.group_tag] if self.group_tag else self.name

    def only(self, chosen: Callable[[Mapping[str, str]], bool]) -> "RecordSet":
        """The same data set with the records whose tags are chosen.

        Raises:
            DataError: that leaves nothing.
        """
        records = [record for record in self.records if chosen(record.tags)]
        if not records:
            raise DataError(f"none of the {len(self)} pictures of {self.name} belongs to this part")
        return replace(self, records=records)


def checked_records(records: Sequence[Record], problems: Problems, root: Path) -> list[Record]:
    """The records whose picture exists; the others become problems.

    Raises:
        DataError: not one picture is there, as when the root is another folder.
    """
    there = []
    for record in records:
        if record.image.is_file():
            there.append(record)
        else:
            problems.add("missing images", str(record.image))
    if records and not there:
        raise DataError(
            f"none of the {len(records)} pictures that the annotations name is there; the first "
            f"would be {records[0].image}. Is {root} the right root?"
        )
    return there


def annotated_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of a picture's entry in COCO's style; None where it lacks them."""
    size = image.get("width"), image.get("height")
    return size if all(size) else None


def read_frame(path: Path, frame: int) -> np.ndarray:
    """One frame of a video, (H, W, 3) uint8 BGR.

    Raises:
        ImageError: the video cannot be read, or is shorter.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
        read, image = capture.read()
    finally:
        capture.release()
    if not read:
        raise ImageError(f"{path} has no readable frame {frame}: it is damaged, or shorter")
    return image


def to_joints_71(values: np.ndarray, names: Sequence[str], fill: float = UNLABELED) -> np.ndarray:
    """Joints of a data set in the places of `JOINTS_71`.

    Args:
        values: (K, N, C), N joints in the data set's order.
        names: N names of `JOINTS_71`.
        fill: value of the joints that the data set lacks.

    Returns:
        (K, 71, C) float32.

    Raises:
        DataError: another number of joints than names.
    """
    values = np.asarray(values, np.float32)
    if values.shape[1] != len(names):
        raise DataError(f"{values.shape[1]} joints per person; expected {len(names)}")
    result = np.full((len(values), len(JOINTS_71), values.shape[2]), fill, np.float32)
    result[:, [JOINTS_71.index(name) for name in names]] = values
    return result


def with_visibility(pixels: np.ndarray, labeled: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Keypoints out of pixels and what a data set says of them.

    Args:
        pixels: (*, 2).
        labeled: (*) bool, or True for all.
        hidden: (*) bool, or False for all.

    Returns:
        (*, 3) float32 x, y and visibility as in `Sample`; zero where not labeled.
    """
    visibility = np.where(labeled, np.where(hidden, OCCLUDED, VISIBLE), UNLABELED)
    visibility = np.broadcast_to(visibility, pixels.shape[:-1])[..., None]
    keypoints = np.concatenate([pixels, visibility], -1).astype(np.float32)
    return np.where(visibility > UNLABELED, keypoints, 0)


def boxes_from_xywh(boxes: np.ndarray) -> np.ndarray:
    """COCO's x, y, width, height, measured from the picture's corner, as x1, y1, x2, y2.

    Args:
        boxes: (K, 4).

    Returns:
        (K, 4) float32 in our pixels, whose centres lie at integers.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    corner = boxes[:, :2] - 0.5
    return np.concatenate([corner, corner + boxes[:, 2:]], 1)


def boxes_around(keypoints: np.ndarray, margin: float = 0.1) -> np.ndarray:
    """Boxes around labeled joints, for data sets without boxes.

    Args:
        keypoints: (K, J, 3) x, y, visibility.
        margin: widening on each side, as a share of the longer side.

    Returns:
        (K, 4) float32; NaN for people without labeled joints.
    """
    labeled = keypoints[..., 2:] > UNLABELED
    low = np.where(labeled, keypoints[..., :2], np.inf).min(1)
    high = np.where(labeled, keypoints[..., :2], -np.inf).max(1)
    widening = margin * (high - low).max(-1, keepdims=True)
    boxes = np.concatenate([low - widening, high + widening], 1)
    return np.where(np.isfinite(boxes), boxes, np.nan).astype(np.float32)


def _clipped(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    limit = [width - 0.5, height - 0.5] * 2
    return np.clip(np.asarray(boxes, np.float32), -0.5, limit)


def _inside_only(keypoints: np.ndarray, height: int, width: int) -> np.ndarray:
    """Keypoints whose visibility is 0 where they lie out of the picture, as `Sample` wants."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    return np.where(inside[..., None], keypoints, UNLABELED)
