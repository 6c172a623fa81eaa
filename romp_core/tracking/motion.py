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
        covariance: (T, 2, 2, N, N) of positions and velocities with each other.
    """

    def __init__(self, size: int, speed: float, memory_s: float):
        self._speed = speed
        self._memory_s = memory_s
        self._axes = np.eye(size).ravel()
        self.mean = np.empty((0, 2, size))
        self.covariance = np.empty((0, 2, 2, size, size))

    @property
    def position(self) -> np.ndarray:
        """(T, N) where the tracks are."""
        return self.mean[:, 0]

    @property
    def uncertainty(self) -> np.ndarray:
        """(T, N, N) covariance of the positions."""
        return self.covariance[:, 0, 0]

    def append(self, position: np.ndarray, noise: np.ndarray) -> None:
        """Start tracks at measured positions (D, N) with measurement noise (D, N, N)."""
        count, size = position.shape
        mean = np.zeros((count, 2, size))
        mean[:, 0] = position
        covariance = np.zeros((count, 2, 2, size, size))
        covariance[:, 0, 0] = noise
        covariance[:, 1, 1] = self._speed**2 * np.eye(size)
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
        # Exact discretisation of the process; van Kampen, Stochastic Processes, chapter VIII. The
        # same along each axis, so that blocks of the covariance are mixed as if they were numbers.
        common = moved**2 / memory
        noise = np.array(
            [2 * memory * (seconds - moved) - moved**2, common, common, 1 - kept**2],
        )
        transition = np.array(
            [
                [1, moved, moved, moved**2],
                [0, kept, 0, moved * kept],
                [0, 0, kept, moved * kept],
                [0, 0, 0, kept**2],
            ]
        )
        covariance = transition @ self.covariance.reshape(-1, 4, self._axes.size)
        covariance += (variance * noise)[:, None] * self._axes
        self.covariance = covariance.reshape(self.covariance.shape)
        self.mean = np.array([[1, moved], [0, kept]]) @ self.mean

    def correct(self, rows: np.ndarray, position: np.ndarray, noise: np.ndarray) -> None:
        """Take in measurements.

        Args:
            rows: (M,) indices of distinct tracks.
            position: (M, N).
            noise: (M, N, N).
        """
        count, size = position.shape
        before = self.covariance.take(rows, 0)
        seen = before[:, 0].transpose(0, 2, 1, 3).reshape(count, size, 2 * size)
        gain = np.linalg.solve(before[:, 0, 0] + noise, seen).transpose(0, 2, 1)
        residual = position - self.position.take(rows, 0)
        self.mean[rows] += (gain @ residual[..., None]).reshape(count, 2, size)
        known = (gain @ seen).reshape(count, 2, size, 2, size).transpose(0, 1, 3, 2, 4)
        after = before - known
        # Rounding makes it a little asymmetric, and that grows exponentially if it is left.
        self.covariance[rows] = 0.5 * (after + after.transpose(0, 2, 1, 4, 3))
