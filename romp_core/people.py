"""People: what is known of everybody in one image."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from romp_core.errors import DataError

Index = int | slice | list | np.ndarray

# Trailing dimensions; letters stand for sizes that depend on the body, the same in every field.
_SHAPES: dict[str, tuple[int | str, ...]] = {
    "confidence": (),
    "pose": (72,),
    "betas": (10,),
    "camera": (3,),
    "translation": (3,),
    "vertices": ("V", 3),
    "joints": ("J", 3),
    "keypoints_2d": ("J", 2),
    "boxes": (4,),
    "track_ids": (),
    "center": (2,),
}


@dataclass(frozen=True, eq=False)
class People:
    """Per-person arrays of equal length K, best confidence first.

    Frames: the camera's optical frame (x right, y down, z forward), metres; pixels of the image
    that was given, centers at integers. A person's vertices are those that the body gives for
    `pose` and `betas`, plus `translation`.

    Attributes:
        confidence: (K,) float32, about 0..1: the body-center heatmap's value; of networks with
            `lifting`, such as the open model, the geometric mean of it and of the mean confidence
            of the person's keypoints.
        pose: (K, 72) float32, axis-angle in radians of the 24 SMPL joints, global orient first.
        betas: (K, 10) float32, shape in the body's own shape space.
        camera: (K, 3) float32, weak-perspective s, tx, ty in the padded square's -1..1.
        translation: (K, 3) float32, metres.
        vertices: (K, V, 3) float32, metres; V is 0 where they were not asked for.
        joints: (K, J, 3) float32, metres; the first 24 are SMPL's, names in the body.
        keypoints_2d: (K, J, 2) float32, pixels of the joints: by the weak-perspective camera, or,
            once people are smoothed, by the intrinsics.
        boxes: (K, 4) float32, x0, y0, x1, y1 in pixels, within the image.
        track_ids: (K,) int64; 0: not tracked.
        center: (K, 2) float32, body center in pixels.

    Raises:
        ValueError: fields of other shapes than these.
    """

    confidence: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    camera: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    keypoints_2d: np.ndarray
    boxes: np.ndarray
    track_ids: np.ndarray
    center: np.ndarray

    def __post_init__(self):
        count, points = np.size(self.confidence), {"V": self.vertices, "J": self.joints}
        sizes = {letter: (*np.shape(array), 0, 0)[1] for letter, array in points.items()}
        for name, trailing in _SHAPES.items():
            shape = np.shape(getattr(self, name))
            expected = (count, *[sizes.get(size, size) for size in trailing])
            if shape != expected:
                raise ValueError(f"people.{name} has shape {shape}; expected {expected}")

    @classmethod
    def empty(cls, vertices: int = 0, joints: int = 24) -> "People":
        """Nobody, for a body of that many vertices and joints."""
        sizes = {"V": vertices, "J": joints}
        return cls(
            **{
                name: np.zeros(
                    (0, *(sizes.get(size, size) for size in trailing)),
                    np.int64 if name == "track_ids" else np.float32,
                )
                for name, trailing in _SHAPES.items()
            }
        )

    def __len__(self) -> int:
        return len(self.confidence)

    def __getitem__(self, index: Index) -> "People":
        """The people chosen by a boolean mask, indices, a slice or one number, as `People`.

        Raises:
            IndexError: a number outside of the K people, or a mask of another length.
        """
        if isinstance(index, np.ndarray) and index.ndim == 0:
            index = index[()]  # a plain number
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"person {index} of {len(self)}")
            index = [int(index)]
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.size == 0 and index.dtype != bool:
                index = index.astype(np.int64)  # an empty list has no integer type of its own
        return People(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def __iter__(self) -> Iterator["People"]:
        return (self[index] for index in range(len(self)))

    def moved(self, shift: np.ndarray) -> "People":
        """The same people elsewhere, their pixels unchanged.

        Args:
            shift: (K, 3) metres in the optical frame.
        """
        shift = np.asarray(shift, np.float32)
        return replace(
            self,
            translation=self.translation + shift,
            vertices=self.vertices + shift[:, None],
            joints=self.joints + shift[:, None],
        )

    def save(self, path: str | Path) -> None:
        """Write all fields to an .npz file."""
        with Path(path).open("wb") as file:  # numpy would append .npz to other names
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> "People":
        """People that `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            DataError: the file is damaged or holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; expected a file of saved people")
        try:
            if not zipfile.is_zipfile(path):  # NumPy would advise to unpickle it
                raise ValueError("it is no .npz archive, or a damaged one")
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{name: stored[name] for name in _SHAPES})
        except Exception as error:  # damaged archives raise nearly anything
            raise DataError(f"{path} does not hold saved people: {error}") from error
