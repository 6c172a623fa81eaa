"""The arrays of an SMPL-form body, checked."""

import hashlib
from dataclasses import dataclass

import numpy as np

from romp_core.body.joints import LANDMARKS, SMPL_JOINTS
from romp_core.errors import BodyFileError

NUM_JOINTS = len(SMPL_JOINTS)
NUM_BETAS = 10
NUM_POSE_FEATURES = 9 * (NUM_JOINTS - 1)

# Relatives of SMPL that come from the same sites in the same file form, by joint count.
_OTHER_MODELS = {5: "FLAME", 16: "MANO", 52: "SMPL+H", 55: "SMPL-X"}


@dataclass(frozen=True)
class BodyData:
    """A body in SMPL's form: V vertices, F triangles, 24 joints, L landmarks.

    Lengths are metres in the body frame (x to the person's left, y up, z forward).

    Attributes:
        name: What the body is called, for example "SMPL_NEUTRAL".
        v_template: (V, 3) float32, the mean body at rest (T-pose).
        shapedirs: (V, 3, 10) float32, displacement per unit of each beta.
        posedirs: (207, 3 V) float32, displacement per element of the rotation matrices of the
            23 body joints minus identity; all zero for a body without pose correctives.
        J_regressor: (24, V) float32, joints from the shaped vertices.
        weights: (V, 24) float32, linear blend skinning weights; each row sums to 1.
        parents: (24,) int64, the kinematic tree; -1 for the root, which comes first.
        faces: (F, 3) int32, triangles.
        landmark_names: L names out of `joints.LANDMARKS`, in that order.
        landmark_regressor: (L, V) float32, landmarks from the posed vertices.

    Raises:
        BodyFileError: An array has another shape, a NaN, or an index that points nowhere.
    """

    name: str
    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    faces: np.ndarray
    landmark_names: tuple[str, ...]
    landmark_regressor: np.ndarray

    def __post_init__(self) -> None:
        self._check_joint_count()
        self._check_shapes()
        for name, array in self.arrays().items():
            if not np.isfinite(array).all():
                raise BodyFileError(f"body {self.name}: {name} holds NaN or infinity")
        self._check_indices()
        weight_sums = self.weights.sum(axis=1)
        if np.abs(weight_sums - 1).max() > 1e-3:
            raise BodyFileError(
                f"body {self.name}: skinning weights sum to {weight_sums.min():.4g} to "
                f"{weight_sums.max():.4g} per vertex; expected 1"
            )

    @property
    def id(self) -> str:
        """Name and eight hexadecimal digits that change with any number in the body."""
        digest = hashlib.sha256(",".join(self.landmark_names).encode())
        for array in self.arrays().values():
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return f"{self.name}-{digest.hexdigest()[:8]}"

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by field name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def _check_joint_count(self) -> None:
        found = len(self.parents)
        if found != NUM_JOINTS:
            guess = f" (is it {_OTHER_MODELS[found]}?)" if found in _OTHER_MODELS else ""
            raise BodyFileError(
                f"body {self.name} has {found} joints{guess}; expected SMPL's {NUM_JOINTS}: "
                "use a SMPL file such as SMPL_NEUTRAL.npz, or the open body"
            )

    def _check_shapes(self) -> None:
        vertices = len(self.v_template)
        expected = {
            "v_template": (vertices, 3),
            "shapedirs": (vertices, 3, NUM_BETAS),
            "posedirs": (NUM_POSE_FEATURES, 3 * vertices),
            "J_regressor": (NUM_JOINTS, vertices),
            "weights": (vertices, NUM_JOINTS),
            "parents": (NUM_JOINTS,),
            "faces": (len(self.faces), 3),
            "landmark_regressor": (len(self.landmark_names), vertices),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape or 0 in shape[1:]:
                raise BodyFileError(
                    f"body {self.name}: {name} has shape {found}; expected {shape} "
                    f"for {vertices} vertices"
                )

    def _check_indices(self) -> None:
        vertices = len(self.v_template)
        if len(self.faces) == 0 or self.faces.min() < 0 or self.faces.max() >= vertices:
            raise BodyFileError(
                f"body {self.name}: expected triangles over vertices 0 to {vertices - 1}, "
                f"found {len(self.faces)} triangles with other vertices among them"
            )
        parents = self.parents
        if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= range(1, 24)).any():
            raise BodyFileError(
                f"body {self.name}: parents are {parents.tolist()}; expected -1 for the first "
                "joint and for every other joint one that comes before it"
            )
        in_order = tuple(name for name in LANDMARKS if name in self.landmark_names)
        if self.landmark_names != in_order:
            raise BodyFileError(
                f"body {self.name}: landmarks are {self.landmark_names}; expected names of "
                "romp_core.body.joints.LANDMARKS, in that order, once each"
            )
