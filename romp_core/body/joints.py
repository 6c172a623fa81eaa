"""Joint names, the SMPL tree, and the joint orders of data sets: the one place that knows them."""

from collections.abc import Sequence

SMPL_JOINTS: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2",
    "left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar",
    "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
"""The 24 joints of SMPL, in its order."""

SMPL_PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip
"""Parent of each SMPL joint; -1 for the root."""

VERTEX_LANDMARKS: tuple[str, ...] = (
    "nose", "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel",
    "left_thumb", "left_index", "left_middle", "left_ring", "left_little",
    "right_thumb", "right_index", "right_middle", "right_ring", "right_little",
)  # fmt: skip
"""Landmarks that are single mesh vertices of SMPL (joints 24 to 44 of the published output)."""

SMPL_LANDMARK_VERTICES: tuple[int, ...] = (
    332, 6260, 2800, 4071, 583,
    3216, 3226, 3387,
    6617, 6624, 6787,
    2746, 2319, 2445, 2556, 2673,
    6191, 5782, 5905, 6016, 6133,
)  # fmt: skip
"""Vertex of each of `VERTEX_LANDMARKS`; holds for SMPL's own mesh of 6,890 vertices only."""

REGRESSED_LANDMARKS: tuple[str, ...] = (
    "right_hip_lsp", "left_hip_lsp", "neck_lsp", "head_top_lsp", "pelvis_mpii", "thorax_mpii",
    "spine_h36m", "jaw_h36m", "head_h36m",
)  # fmt: skip
"""Landmarks regressed to labels of LSP, MPII and Human3.6M (joints 45 to 53)."""

H36M_LANDMARKS: tuple[str, ...] = (
    "right_ankle_h17", "right_knee_h17", "right_hip_h17", "left_hip_h17", "left_knee_h17",
    "left_ankle_h17", "right_wrist_h17", "right_elbow_h17", "right_shoulder_h17",
    "left_shoulder_h17", "left_elbow_h17", "left_wrist_h17", "neck_h17", "head_top_h17",
    "pelvis_h17", "spine_h17", "jaw_h17",
)  # fmt: skip
"""The 17 joints of the Human3.6M regressor, LSP's 14 first (joints 54 to 70)."""

LANDMARKS: tuple[str, ...] = VERTEX_LANDMARKS + REGRESSED_LANDMARKS + H36M_LANDMARKS
"""All 47 landmarks that a body may carry beyond the 24 joints."""

JOINTS_71: tuple[str, ...] = SMPL_JOINTS + LANDMARKS
"""The joints of the published output, in its order."""

# The labels of COCO, LSP, MPII and CrowdPose mark the hips where an annotator sees them, wider
# and higher than SMPL's ball joints; `*_hip_lsp` is regressed to such labels. Shoulders, elbows,
# wrists, knees and ankles have no regressed twin, and SMPL's joints lie inside the same limb.
JOINT_SETS: dict[str, tuple[str, ...]] = {
    "smpl24": SMPL_JOINTS,
    "joints71": JOINTS_71,
    "lsp14": H36M_LANDMARKS[:14],
    "h36m17": (
        "pelvis_h17",
        "right_hip_h17", "right_knee_h17", "right_ankle_h17",
        "left_hip_h17", "left_knee_h17", "left_ankle_h17",
        "spine_h17", "neck_h17", "jaw_h17", "head_top_h17",
        "left_shoulder_h17", "left_elbow_h17", "left_wrist_h17",
        "right_shoulder_h17", "right_elbow_h17", "right_wrist_h17",
    ),
    "coco17": (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip_lsp", "right_hip_lsp",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    "crowdpose14": (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip_lsp", "right_hip_lsp",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
        "head_top_lsp", "neck_lsp",
    ),
    "mpii16": (
        "right_ankle", "right_knee", "right_hip_lsp", "left_hip_lsp", "left_knee", "left_ankle",
        "pelvis_mpii", "thorax_mpii", "neck_lsp", "head_top_lsp",
        "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist",
    ),
    "mpi_inf_3dhp17": (
        "head_top_h17", "neck_h17",
        "right_shoulder_h17", "right_elbow_h17", "right_wrist_h17",
        "left_shoulder_h17", "left_elbow_h17", "left_wrist_h17",
        "right_hip_h17", "right_knee_h17", "right_ankle_h17",
        "left_hip_h17", "left_knee_h17", "left_ankle_h17",
        "pelvis_h17", "spine_h17", "jaw_h17",
    ),
    "panoptic19": (
        "neck_lsp", "nose", "pelvis_mpii",
        "left_shoulder", "left_elbow", "left_wrist", "left_hip_lsp", "left_knee", "left_ankle",
        "right_shoulder", "right_elbow", "right_wrist",
        "right_hip_lsp", "right_knee", "right_ankle",
        "left_eye", "left_ear", "right_eye", "right_ear",
    ),
    "lsp_labels14": (
        "right_ankle", "right_knee", "right_hip_lsp", "left_hip_lsp", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist", "neck_lsp", "head_top_lsp",
    ),
    "ai_challenger14": (
        "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_hip_lsp", "right_knee", "right_ankle",
        "left_hip_lsp", "left_knee", "left_ankle", "head_top_lsp", "neck_lsp",
    ),
    "posetrack17": (
        "nose", "neck_lsp", "head_top_lsp", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip_lsp", "right_hip_lsp",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    "openpose18": (
        "nose", "neck_lsp", "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_hip_lsp", "right_knee", "right_ankle",
        "left_hip_lsp", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
}  # fmt: skip
"""Joint names of each data set in its official order; every name is one of `JOINTS_71`."""


def mirrored_name(name: str) -> str:
    """The name of the same joint on the other side of the body; middle joints keep theirs."""
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if name.startswith(side):
            return other + name[len(side) :]
    return name


def flip_permutation(names: Sequence[str]) -> list[int]:
    """Permutation that swaps left and right when an image is mirrored.

    Args:
        names: N joint names, each with its other side among them.

    Returns:
        N indices: `joints[flip_permutation(names)]` gives the mirrored person's joints in the
        order of `names`. Applied twice, it changes nothing.

    Raises:
        ValueError: A joint's other side is not among the names.

    Example:
        >>> flip_permutation(["nose", "left_eye", "right_eye"])
        [0, 2, 1]
    """
    position = {name: index for index, name in enumerate(names)}
    missing = [mirrored_name(name) for name in names if mirrored_name(name) not in position]
    if missing:
        raise ValueError(f"cannot mirror these joints: {', '.join(missing)} is not among them")
    return [position[mirrored_name(name)] for name in names]
