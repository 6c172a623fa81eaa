"""One person whose every joint is known, for writing files of data sets' official forms.

The person looks at the camera, so the person's left is on the right of the picture. Joints have
the names that the data sets' papers give them; this table is all that the tests know of them.
"""

import numpy as np

from romp_core.body.joints import JOINTS_71
from romp_core.media import write_image

HEIGHT, WIDTH = 120, 100

LSP = (
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow "
    "right_shoulder left_shoulder left_elbow left_wrist neck head_top"
)
_MIDDLE = {
    "head_top": (50, 8), "nose": (50, 16), "jaw": (50, 20), "neck": (50, 25), "thorax": (50, 30),
    "spine": (50, 42), "pelvis": (50, 58),
}  # fmt: skip
_LEFT = {
    "eye": (53, 14), "ear": (56, 15), "shoulder": (62, 30), "elbow": (70, 42), "wrist": (74, 55),
    "hip": (57, 60), "knee": (59, 82), "ankle": (60, 104),
}  # fmt: skip
PIXELS = {
    **_MIDDLE,
    **{f"left_{name}": place for name, place in _LEFT.items()},
    **{f"right_{name}": (100 - x, y) for name, (x, y) in _LEFT.items()},
}
"""{joint: (x, y)}."""


def pixels(names):
    """(N, 2) of joints given as words."""
    return np.array([PIXELS[name] for name in names.split()], float)


def solid(names):
    """(N, 3) metres: the same person 3 m away, 1 pixel being 1 cm, each joint at its depth."""
    flat = pixels(names)
    depth = 3 + 0.01 * np.arange(len(flat))
    return np.column_stack([(flat - [50, 60]) / 100, depth])


def assert_same_person(sample, expected, person=0):
    """All joints lie where they should, above all on the right side of the body.

    Args:
        sample: what the reader gave.
        expected: {name of JOINTS_71: name in PIXELS}.
        person: which of the people.
    """
    found = sample.keypoints_2d[person]
    labeled = {JOINTS_71[i] for i in np.flatnonzero(found[:, 2])}
    assert labeled == set(expected)
    for name, place in expected.items():
        at = found[JOINTS_71.index(name), :2]
        assert np.abs(at - PIXELS[place]).max() < 0.01, f"{name} is at {at}"
        if name.startswith("left_"):
            assert at[0] > 50, f"{name} is on the right side"
        if name.startswith("right_"):
            assert at[0] < 50, f"{name} is on the left side"


def write_picture(path, seed=0, size=(HEIGHT, WIDTH)):
    """A picture of noise at a path, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    write_image(path, noise)


def limbs(suffix="", hip="hip_lsp"):
    """Expected names of the twelve limb joints: {name of JOINTS_71: name in PIXELS}."""
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    return {
        f"{side}_{hip if part == 'hip' else part}{suffix}": f"{side}_{part}"
        for side in ("left", "right")
        for part in parts
    }
