"""People at given places for the tests of tracking, without a network or a body."""

from collections.abc import Sequence

import numpy as np

from romp_core import People

FOCAL = 800.0


def people_at(
    places: Sequence[Sequence[float]],
    *,
    pose: np.ndarray | None = None,
    betas: np.ndarray | None = None,
) -> People:
    """K people at places (K, 3) in metres, with boxes as a camera of 1280x720 sees them."""
    places = np.reshape(places, (-1, 3)).astype(np.float32)
    count = len(places)
    fields = {
        name: np.zeros((count, *values.shape[1:]), values.dtype)
        for name, values in vars(People.empty()).items()
    }
    pixels = places[:, :2] / places[:, 2:] * FOCAL + (640, 360)
    half = np.array([0.3, 0.9]) * FOCAL / places[:, 2:]
    fields["boxes"] = np.concatenate([pixels - half, pixels + half], 1).astype(np.float32)
    fields["translation"] = places
    for name, values in (("pose", pose), ("betas", betas)):
        if values is not None:
            fields[name] = np.asarray(values, np.float32).reshape(fields[name].shape)
    return People(**fields)
