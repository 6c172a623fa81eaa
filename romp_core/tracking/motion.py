"""Where moving things will be: Kalman filters of positions whose velocities fade."""

import math

import numpy as np


class MotionFilter:
    """Kalman filters of T tracks with positions of N coordinates, advanced together.

    Velocities follow an Ornstein-Uhlenbeck process (Singer, 1970): they keep their direction for
    about `memory_s` and have the standard deviation `speed` when nothing is known. Over short
    times this is constant velocity; over long ones, when somebody is hidden, the uncertainty
    grows like that of a walk without aim instead of without bounds. Any time step is right.

    Args:
        size: N.
        speed: standard deviation of a velocity, units per second.
        memory_s: seconds.

    Attributes:
        mean: (T, 2, N) positions, velocities.
        covariance: (T, 2, N, 2, N).
    """

    def __init__(self, size: int, speed: float, memory_s: float):
        self._speed = speed
        self._memory_s = memory_s
        self.mean = np.empty((0, 2, size))
        self.covariance = np.empty((0, 2, size, 2, size))

    @property
    def position(self) -> np.ndarray:
        """(T, N) where the tracks are."""
        return self.mean[:, 0]

    @property
    def uncertainty(self) -> np.ndarray:
        """(T, N, N) covariance of the positions."""
        return self.covariance[:, 0, :, 0]

    def append(self, position: np.ndarray, noise: np.ndarray) -> None:
        """Start tracks at measured positions (D, N) with measurement noise (D, N, N)."""
        count, size = position.shape
        mean = np.zeros((count, 2, size))
        mean[:, 0] = position
        covariance = np.zeros((count, 2, size, 2, size))
        covariance[:, 0, :, 0] = noise
        covariance[:, 1, :, 1] = self._speed**2 * np.eye(size)
        self.mean = np.concatenate([self.mean, mean])
        self.covariance = np.concatenate([self.covariance, covariance])

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks that a mask (T,) or indices choose."""
        self.mean, self.covariance = self.mean[rows], self.covariance[rows]

    def predict(self, seconds: float) -> None:
        """Advance all tracks."""
        memory, variance = self._memory_s, self._speed**2
        kept = math.exp(-seconds / memory)
        moved = memory * -math.expm1(-seconds / memory)  # metres per m/s of velocity
        transition = np.array([[1.0, moved], [0.0, kept]])
        # Exact discretisation of the process; van Kampen, Stochastic Processes, chapter VIII.
        noise = variance * np.array(
            [
                [2 * memory * (seconds - moved) - moved**2, moved**2 / memory],
                [moved**2 / memory, 1 - kept**2],
            ]
        )
        size = self.mean.shape[2]
        self.mean = np.einsum("ij,tjn->tin", transition, self.mean)
        self.covariance = np.einsum(
            "ij,tjnkm,lk->tinlm", transition, self.covariance, transition
        ) + np.einsum("ik,nm->inkm", noise, np.eye(size))

    def correct(self, rows: np.ndarray, position: np.ndarray, noise: np.ndarray) -> None:
        """Take in measurements.

        Args:
            rows: (M,) indices of distinct tracks.
            position: (M, N).
            noise: (M, N, N).
        """
        count, _, size = self.mean[rows].shape
        covariance = self.covariance[rows].reshape(count, 2 * size, 2 * size)
        innovation = covariance[:, :size, :size] + noise
        gain = np.linalg.solve(innovation, covariance[:, :size]).transpose(0, 2, 1)
        residual = position - self.position[rows]
        change = (gain @ residual[..., None]).reshape(count, 2, size)
        # Joseph form: stays symmetric and positive definite.
        left = np.eye(2 * size) - np.concatenate([gain, np.zeros_like(gain)], 2)
        covariance = left @ covariance @ left.transpose(0, 2, 1)
        covariance += gain @ noise @ gain.transpose(0, 2, 1)
        self.mean[rows] += change
        self.covariance[rows] = covariance.reshape(count, 2, size, 2, size)
