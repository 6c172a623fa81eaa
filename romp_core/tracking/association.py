"""How well people in an image fit the tracks: log-likelihood ratios, natural logarithm.

Each function compares two explanations of a detection, "this track" and "somebody new", by one
kind of evidence; the sum over kinds decides. Above zero the track explains the detection better.
Positions tell which of all T tracks and D detections are worth it; the other kinds are asked for
these P pairs alone, whose track and detection are given row by row.
"""

import math

import numpy as np
from scipy.optimize import linear_sum_assignment

from romp_core.tracking.config import TrackingConfig

GATE = 16.3
"""Squared Mahalanobis distance that 0.1 % of a track's own positions exceed (chi-square, 3)."""

POSE_DIMENSIONS = 6.0
"""Independent quantities in a pose, far fewer than joints: limbs move together."""

LARGEST_EVIDENCE = 5.0
"""Pose and shape count at most so much for or against a track each: a hidden body is guessed."""

SHAPE_DRIFT = 3.0
"""How much larger the variance of a shape is over seconds than from image to image: a network
errs alike in images that are alike."""

BOX_WEIGHT = 4.0
NEUTRAL_OVERLAP = 0.3
"""Overlap of boxes that speaks neither for nor against a track."""

BOX_MEMORY_S = 0.5
"""Seconds after which a predicted box means little."""


def position_evidence(
    expected: np.ndarray,
    uncertainty: np.ndarray,
    measured: np.ndarray,
    noise: np.ndarray,
    config: TrackingConfig,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which tracks can have got to which detections, and the evidence of 3D positions for it.

    Args:
        expected: (T, 3) metres, where the tracks should be.
        uncertainty: (T, 3, 3) its covariance.
        measured: (D, 3) metres.
        noise: (D, 3, 3) its covariance.
        config: gives the volume in which somebody new turns up, anywhere alike.

    Returns:
        (P,) tracks, (P,) detections and (P,) the evidence.
    """
    residual = measured[None] - expected[:, None]
    variance = uncertainty.diagonal(0, 1, 2)[:, None] + noise.diagonal(0, 1, 2)
    # Nothing is farther away along one axis than along all of them: most pairs end here.
    x, y, z = (residual * residual < GATE * variance).transpose(2, 0, 1)
    tracks, detections = np.nonzero(x & y & z)
    residual = residual[tracks, detections]
    covariance = uncertainty.take(tracks, 0) + noise.take(detections, 0)
    distance = (residual * np.linalg.solve(covariance, residual[..., None])[..., 0]).sum(-1)
    somebody_new = math.log(config.scene_volume) - 1.5 * math.log(2 * math.pi)
    evidence = somebody_new - 0.5 * (distance + np.log(np.linalg.det(covariance)))
    reached = distance < GATE
    return tracks[reached], detections[reached], evidence[reached]


def box_evidence(expected: np.ndarray, unseen_s: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Evidence of projected boxes: (P, 4) expected, (P,) seconds unseen, (P, 4) -> (P,)."""
    trust = np.exp(-unseen_s / BOX_MEMORY_S)
    return BOX_WEIGHT * trust * (_overlap(expected, boxes) - NEUTRAL_OVERLAP)


def pose_evidence(
    squared: np.ndarray, unseen_s: np.ndarray, noise: float, config: TrackingConfig
) -> np.ndarray:
    """Evidence of poses.

    Args:
        squared: (P,) mean squared angles between poses, as `pose_differences` gives them.
        unseen_s: (P,) seconds since the tracks' poses were seen.
        noise: such a mean squared angle between images of one person, rad^2.
        config: gives how poses change and differ.

    Returns:
        (P,).
    """
    other = config.pose_spread**2
    noise = min(noise, other)
    forgotten = -np.expm1(-unseen_s / config.pose_memory_s)
    same = noise + (other - noise) * forgotten
    evidence = 0.5 * POSE_DIMENSIONS * (squared / other - squared / same + np.log(other / same))
    return evidence.clip(-LARGEST_EVIDENCE, LARGEST_EVIDENCE)


def shape_evidence(
    known: np.ndarray,
    hits: np.ndarray,
    measured: np.ndarray,
    noise: float,
    population: tuple[np.ndarray, float],
) -> np.ndarray:
    """Evidence of shape coefficients; hardly any where people vary no more than measurements.

    Args:
        known: (P, 10) mean of the tracks' coefficients.
        hits: (P,) over how many images.
        measured: (P, 10).
        noise: variance of a measured coefficient from image to image.
        population: mean (10,) and variance of the coefficients over people.

    Returns:
        (P,).
    """
    noise = SHAPE_DRIFT * noise
    same = (noise * (1 + 1 / hits))[:, None]
    squared = (measured - known) ** 2
    likely = -0.5 * (squared / same + np.log(same))
    mean, variance = population
    other = noise + variance
    anybody = -0.5 * ((measured - mean) ** 2 / other + math.log(other))
    return (likely - anybody).sum(-1).clip(-LARGEST_EVIDENCE, LARGEST_EVIDENCE)


def pose_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean over the joints of squared angles between poses, rad^2.

    Args:
        first, second: (P, J, 4) unit quaternions.

    Returns:
        (P,).
    """
    by_joint = np.einsum("pjq,pjq->pj", first, second)
    half = np.arccos(np.minimum(np.abs(by_joint), 1.0))
    return (half * half).sum(1) * (4 / half.shape[1])


def assign(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tracks and detections paired so that the sum of evidence is largest; none below zero.

    Args:
        evidence: (T, D), -inf for what cannot be.

    Returns:
        (M,) tracks and (M,) detections, each at most once.
    """
    gain = evidence.clip(min=0.0)  # leaving both alone is worth zero
    tracks, detections = linear_sum_assignment(gain, maximize=True)
    paired = gain[tracks, detections] > 0
    return tracks[paired], detections[paired]


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x0, y0, x1, y1: (T, 4), (D, 4) -> (T, D)."""
    return _overlap(first[:, None], second[None])


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (*, 4), (*, 4) -> (*)."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    common = np.maximum(high - low, 0.0).prod(-1)
    one, other = ((boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (first, second))
    return common / np.maximum(one + other - common, 1e-9)
