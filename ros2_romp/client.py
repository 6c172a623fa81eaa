"""For nodes that use the results: SmplPersonArray messages as `romp_core.People`.

Example:
    >>> decode = PeopleDecoder()  # doctest: +SKIP
    >>> def on_people(message):
    ...     people = decode(message)  # NumPy arrays: people.translation, people.vertices, ...
    >>> node.create_subscription(SmplPersonArray, "/romp/people", on_people, 1)  # doctest: +SKIP
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from romp_core import BodyModel, People
from romp_core.body.joints import SMPL_JOINTS
from romp_core.errors import DataError
from ros2_romp.msg import SmplPerson, SmplPersonArray

TORSO = [SMPL_JOINTS.index(name) for name in (
    "neck", "left_shoulder", "right_shoulder", "pelvis", "left_hip", "right_hip")]  # fmt: skip
"""The joints whose middle is a body center (FACTS of the paper: section 3.1)."""


class PeopleDecoder:
    """Decodes messages; vertices that were not sent are rebuilt from pose and betas.

    Args:
        body: that of the node: ``"open"``, or the path of its SMPL file. Only read when
            vertices are to be rebuilt.
        with_vertices: false leaves vertices out that were not sent.
    """

    def __init__(self, body: str | Path = "open", *, with_vertices: bool = True):
        self._source = body
        self._with_vertices = with_vertices
        self._body: BodyModel | None = None

    def __call__(self, message: SmplPersonArray) -> People:
        """Everybody in a message, in its order.

        Returns:
            `People` with the 24 SMPL joints. `center`, which messages do not carry, is the middle
            of the torso's keypoints.

        Raises:
            DataError: the message is of another body than the decoder's, or its arrays have
                sizes that do not fit.
        """
        people = message.people
        joints = _stack(people, "joints", 24, 3)
        keypoints = _stack(people, "keypoints_2d", 24, 2)
        translation = _stack(people, "translation", 3)
        pose, betas = _stack(people, "pose", 72), _stack(people, "betas", 10)
        return People(
            confidence=np.array([person.confidence for person in people], np.float32),
            pose=pose,
            betas=betas,
            camera=_stack(people, "camera", 3),
            translation=translation,
            vertices=self._vertices(message, pose, betas, translation),
            joints=joints,
            keypoints_2d=keypoints,
            boxes=_stack(people, "box", 4),
            track_ids=np.array([person.track_id for person in people], np.int64),
            center=keypoints[:, TORSO].mean(1),
        )

    def _vertices(
        self,
        message: SmplPersonArray,
        pose: np.ndarray,
        betas: np.ndarray,
        translation: np.ndarray,
    ) -> np.ndarray:
        """(K, V, 3) in the optical frame; V is 0 where there are none."""
        sent = {len(person.vertices) for person in message.people}
        if sent - {0}:
            return _stack(message.people, "vertices", max(sent) // 3, 3)
        if not self._with_vertices:
            return np.empty((len(message.people), 0, 3), np.float32)
        body = self._body_of(message)
        with torch.inference_mode():
            vertices = body(torch.from_numpy(pose), torch.from_numpy(betas)).vertices.numpy()
        return vertices + translation[:, None]

    def _body_of(self, message: SmplPersonArray) -> BodyModel:
        if self._body is None:
            self._body = BodyModel.load(self._source)
        if self._body.id != message.body_model:
            raise DataError(
                f"the people have body {message.body_model!r}, but the decoder's is "
                f"{self._body.id!r}: give it the file of the node's parameter body_model"
            )
        return self._body


def _stack(people: Sequence[SmplPerson], name: str, *shape: int) -> np.ndarray:
    """(K, *shape) float32 of one field of all people."""
    rows = [np.asarray(getattr(person, name), np.float32) for person in people]
    for row in rows:
        if row.size != np.prod(shape):
            raise DataError(f"a person has {row.size} numbers in {name}; expected {shape}")
    return np.reshape(rows, (len(rows), *shape)).astype(np.float32)
