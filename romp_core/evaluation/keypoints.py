"""Object keypoint similarity: how well 2D joints fit, as COCO measures it."""

from collections.abc import Sequence

import numpy as np

from romp_core.data.sample import Sample

_SIGMAS: dict[str, float] = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072,
    "wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089,
    # CrowdPose's own; its joint "head" is the top of the head.
    "head_top": 0.079, "neck": 0.079,
    # No data set gives these; each takes what the joint beside it has.
    "pelvis": 0.107, "spine": 0.107, "thorax": 0.079, "jaw": 0.079, "head": 0.079,
}  # fmt: skip

BOX_TO_AREA = 0.53
"""A person's area as a share of the box, where no outline is known (CrowdPose, xtcocotools)."""


def oks_sigmas(names: Sequence[str]) -> np.ndarray:
    """COCO's and CrowdPose's per-joint constants.

    Args:
        names: J names of `romp_core.body.joints.JOINTS_71`.

    Returns:
        (J,) float64.

    Raises:
        ValueError: a joint that no data set of 2D keypoints has, such as a collar.
    """
    return np.array([_sigma(name) for name in names])


def _sigma(name: str) -> float:
    words = [word for word in name.split("_") if word not in ("left", "right")]
    for key in ("_".join(words[:2]), words[0]):
        if key in _SIGMAS:
            return _SIGMAS[key]
    raise ValueError(f"no keypoint similarity is defined for the joint {name!r}")


def people_areas(sample: Sample) -> np.ndarray:
    """(K,) squared pixels, by the box where no outline is known."""
    extent = sample.boxes[:, 2:] - sample.boxes[:, :2]
    return np.where(np.isfinite(sample.areas), sample.areas, BOX_TO_AREA * extent.prod(1))


def oks(
    predicted: np.ndarray, keypoints: np.ndarray, areas: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """Object keypoint similarity of every prediction with every person.

    The mean over a person's labeled joints of exp(-d^2 / (2 area (2 sigma)^2)), as in
    pycocotools.

    Args:
        predicted: (P, J, 2) pixels.
        keypoints: (G, J, 3) x, y in pixels and visibility; 0 is unlabeled.
        areas: (G,) squared pixels.
        sigmas: (J,).

    Returns:
        (P, G), 0..1; 0 for people without labeled joints.
    """
    squared = np.square(predicted[:, None] - keypoints[None, :, :, :2]).sum(-1, dtype=np.float64)
    spread = 2 * np.maximum(areas, np.spacing(1))[:, None] * np.square(2 * sigmas)
    labeled = keypoints[..., 2] > 0
    similarity = np.where(labeled, np.exp(-squared / spread), 0)
    return similarity.sum(-1) / np.maximum(labeled.sum(-1), 1)
