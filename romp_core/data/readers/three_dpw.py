"""3DPW: people outdoors, SMPL poses by inertial sensors and a moving camera.

Official files: sequenceFiles/{train,validation,test}/SEQUENCE.pkl (Python 2 pickles) and
imageFiles/SEQUENCE/image_00000.jpg. Poses are SMPL's of each person's gender, in the world;
`cam_poses` bring them into the camera, but for frames that `campose_valid` excludes. `poses2d`
are detected joints, zero where less than six were detected.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.body.model import BodyModel
from romp_core.data.readers.files import numbers, read_pickle
from romp_core.data.readers.records import Problems, Record, RecordSet, checked_records
from romp_core.data.readers.smpl_people import into_camera, labels_from_joints, posed_joints
from romp_core.geometry.lens import CameraModel

SPLITS = ("train", "validation", "test")
_KEYS = ("sequence", "genders", "poses", "betas", "trans", "poses2d", "campose_valid",
         "cam_poses", "cam_intrinsics")  # fmt: skip
_LABELED = JOINT_SETS["coco17"]
_DETECTED = [JOINTS_71.index(name) for name in JOINT_SETS["openpose18"]]


def three_dpw(root: Path, split: str = "train", *, bodies: Mapping[str, BodyModel]) -> RecordSet:
    """3DPW's frames; a frame without a valid person is left out and counted.

    2D joints are projections of the 3D ones. Those that the data set's own detector did not
    see count as hidden. Only the actors are annotated, not those who pass by.

    Args:
        root: folder that holds `sequenceFiles/` and `imageFiles/`.
        split: "train", "validation", "test", or "all".
        bodies: SMPL's bodies under "m" and "f", with the landmarks that errors are measured at.

    Raises:
        FileNotFoundError: the root has no such split.
        DataError: a sequence's file is damaged, or no picture is there.
    """
    problems = Problems()
    records: list[Record] = []
    for part in SPLITS if split == "all" else (split,):
        folder = Path(root) / "sequenceFiles" / part
        files = sorted(folder.glob("*.pkl"))
        if not files:
            raise FileNotFoundError(f"{folder} holds no .pkl; the root is the folder above it")
        for file in files:
            records += _Sequence(file, bodies).records(Path(root), part, problems)
    records = checked_records(records, problems, Path(root))
    return RecordSet(
        "3dpw", records, _LABELED, problems, everybody_annotated=False, bodies=dict(bodies)
    )


class _Sequence:
    """One sequence's file, with N frames and P people."""

    def __init__(self, path: Path, bodies: Mapping[str, BodyModel]):
        content = read_pickle(path, _KEYS)
        self.path, self.bodies = path, bodies
        self.name = str(content["sequence"])
        self.genders = [str(gender) for gender in content["genders"]]
        self.cameras = numbers(content["cam_poses"], (None, 4, 4), f"{path}: cam_poses")
        self.intrinsics = numbers(content["cam_intrinsics"], (3, 3), f"{path}: cam_intrinsics")
        self.camera = CameraModel(self.intrinsics)
        frames = len(self.cameras)

        def per_person(key: str, *shape: int | None) -> list[np.ndarray]:
            rows = content[key]
            return [numbers(row, shape, f"{path}: {key}") for row in rows]

        self.poses = per_person("poses", frames, 72)
        self.translations = per_person("trans", frames, 3)
        self.betas = [betas[:10] for betas in per_person("betas", None)]
        self.detected = per_person("poses2d", frames, 3, 18)
        self.valid = [row > 0 for row in per_person("campose_valid", frames)]

    def records(self, root: Path, split: str, problems: Problems) -> list[Record]:
        people = [self._person(index) for index in range(len(self.poses))]
        usable = np.stack([self._usable(index, problems) for index in range(len(people))])
        folder = root / "imageFiles" / self.name
        records = []
        for frame in range(len(self.cameras)):
            there = np.flatnonzero(usable[:, frame])
            name = f"{self.name}/{frame:05}"
            if not len(there):
                problems.add("frames without valid people", name)
                continue
            fields = {key: np.stack([people[i][key][frame] for i in there]) for key in people[0]}
            undetected = [
                person["boxes"][frame]
                for index, person in enumerate(people)
                if self.valid[index][frame] and not usable[index, frame]
            ]
            records.append(
                Record(
                    name,
                    folder / f"image_{frame:05}.jpg",
                    fields,
                    self.intrinsics,
                    bodies=tuple(self.genders[i] for i in there),
                    ignored_boxes=np.array(undetected, np.float32).reshape(-1, 4),
                    tags={"sequence": self.name, "frame": str(frame), "split": split},
                )
            )
        return records

    def _usable(self, index: int, problems: Problems) -> np.ndarray:
        """(N,) bool: the camera is valid, and the person was detected."""
        detected = self.detected[index].any((1, 2))
        for frame in np.flatnonzero(~self.valid[index]):
            problems.add("people without valid camera", f"{self.name}/{frame:05}")
        for frame in np.flatnonzero(self.valid[index] & ~detected):
            problems.add("people without detected joints", f"{self.name}/{frame:05}")
        return self.valid[index] & detected

    def _person(self, index: int) -> dict[str, np.ndarray]:
        """Fields of `Sample`, one row per frame."""
        body = self.bodies[self.genders[index]]
        betas = np.repeat(self.betas[index][None], len(self.cameras), 0)
        pose, translation = into_camera(
            body, self.poses[index], betas, self.translations[index], self.cameras
        )
        joints = posed_joints(body, pose, betas) + translation[:, None]
        hidden = np.zeros(joints.shape[:2], bool)
        hidden[:, _DETECTED] = self.detected[index][:, 2] <= 0
        keypoints, boxes = labels_from_joints(joints, self.camera, _LABELED, hidden)
        return {
            "pose": pose,
            "betas": betas,
            "translation": translation,
            "joints_3d": joints,
            "keypoints_2d": keypoints,
            "boxes": boxes,
        }
