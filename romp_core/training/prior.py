"""The pose prior: a Gaussian mixture over body poses (Eq. 4 of the paper)."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from romp_core.body.pickles import as_array, load_pickle
from romp_core.errors import DataError
from romp_core.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

OPEN_PRIOR = Path(__file__).parents[1] / "assets" / "pose_prior.npz"
POSE_NUMBERS = 69
_KEYS = ("means", "covars", "weights")


class MixturePrior(nn.Module):
    """Cost of unlikely poses: the negative logarithm of the most likely component.

    E = min_i ( -log w_i N(pose; mean_i, covariance_i) ), up to the constant that makes the most
    likely pose cost nothing (SMPLify, ECCV 2016; Eq. 4).

    Args:
        means: (M, 69) axis-angle of the 23 body joints, radians.
        covariances: (M, 69, 69).
        weights: (M,).

    Raises:
        DataError: arrays of other shapes or not finite, a covariance that is none, or weights
            that are not positive.
    """

    def __init__(self, means: np.ndarray, covariances: np.ndarray, weights: np.ndarray):
        super().__init__()
        count = len(weights)
        shapes = (means.shape, covariances.shape, weights.shape)
        expected = ((count, POSE_NUMBERS), (count, POSE_NUMBERS, POSE_NUMBERS), (count,))
        if shapes != expected:
            raise DataError(f"a pose prior has arrays of {shapes}; expected {expected}")
        for name, values in zip(_KEYS, (means, covariances, weights), strict=True):
            if not np.isfinite(values).all():
                raise DataError(f"a pose prior's {name} are not finite; expected numbers")
        if not (weights > 0).all():
            raise DataError(f"a pose prior's weights are {weights.tolist()}; expected more than 0")
        try:
            factors = np.linalg.cholesky(np.linalg.inv(covariances.astype(np.float64)))
        except np.linalg.LinAlgError as error:
            raise DataError(
                f"a pose prior's covariance is not positive definite: {error}"
            ) from error
        log_determinants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
        constants = -np.log(weights) - log_determinants
        for name, values in (
            ("means", means),
            ("factors", factors),
            ("constants", constants - constants.min()),
        ):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, rotations: Tensor) -> Tensor:
        """Cost per person.

        Args:
            rotations: (K, 24, 3, 3); the global orient is not judged.

        Returns:
            (K,), at least 0.
        """
        pose = matrix_to_axis_angle(rotations[:, 1:]).flatten(1)
        offset = pose[:, None] - self.means
        scaled = torch.einsum("kmi,mij->kmj", offset, self.factors)
        return (0.5 * scaled.square().sum(-1) + self.constants).amin(1)


def load_prior(path: str | Path) -> MixturePrior:
    """A pose prior from a file.

    Args:
        path: "open" for the one that comes with the package; an .npz; or the pickle of SMPLify
            (`gmm_08.pkl`), whose code is not run. Keys: means, covars, weights.

    Raises:
        FileNotFoundError: no such file.
        DataError, UnsafePickleError: a file that is something else.
    """
    path = OPEN_PRIOR if str(path) == "open" else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"pose prior {path} does not exist")
    try:
        if path.suffix == ".pkl":
            content = load_pickle(path.read_bytes())
            arrays = [np.asarray(as_array(content[key]), np.float64) for key in _KEYS]
        else:
            with np.load(path, allow_pickle=False) as content:
                arrays = [content[key].astype(np.float64) for key in _KEYS]
    except (LookupError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} holds no pose prior with {', '.join(_KEYS)}: {error}") from error
    try:
        return MixturePrior(*arrays)
    except DataError as error:
        raise DataError(f"{path}: {error}. Fit or get it again") from error


def fit_prior(poses: np.ndarray, components: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """A pose prior of recorded poses.

    Args:
        poses: (N, 24, 3) axis-angle, radians.
        components: number of Gaussians.
        seed: of the fit's start.

    Returns:
        Arrays means (M, 69), covars (M, 69, 69), weights (M,), as `load_prior` reads them. A
        little is added to the variances, which are zero for joints that were not recorded.
    """
    from sklearn.mixture import GaussianMixture

    # Near half a turn, axis and angle of one rotation are not unique: take the short way round.
    matrices = axis_angle_to_matrix(torch.as_tensor(poses[:, 1:], dtype=torch.float64))
    vectors = matrix_to_axis_angle(matrices).flatten(1).numpy()
    mixture = GaussianMixture(components, reg_covar=1e-2, random_state=seed).fit(vectors)
    return {
        "means": mixture.means_.astype(np.float32),
        "covars": mixture.covariances_.astype(np.float32),
        "weights": mixture.weights_.astype(np.float32),
    }
