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
        self._size = size
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
        transition = self._along_axes([[1.0, moved], [0.0, kept]])
        # Exact discretisation of the process; van Kampen, Stochastic Processes, chapter VIII.
        noise = self._along_axes(
            [
                [2 * memory * (seconds - moved) - moved**2, moved**2 / memory],
                [moved**2 / memory, 1 - kept**2],
            ]
        )
        states = 2 * self._size
        mean = self.mean.reshape(-1, states) @ transition.T
        covariance = transition @ self.covariance.reshape(-1, states, states) @ transition.T
        self.mean = mean.reshape(self.mean.shape)
        self.covariance = (covariance + variance * noise).reshape(self.covariance.shape)

    def correct(self, rows: np.ndarray, position: np.ndarray, noise: np.ndarray) -> None:
        """Take in measurements.

        Args:
            rows: (M,) indices of distinct tracks.
            position: (M, N).
            noise: (M, N, N).
        """
        count, size = position.shape
        covariance = self.covariance.take(rows, 0).reshape(count, 2 * size, 2 * size)
        innovation = covariance[:, :size, :size] + noise
        gain = np.linalg.solve(innovation, covariance[:, :size]).transpose(0, 2, 1)
        residual = position - self.position.take(rows, 0)
        change = (gain @ residual[..., None]).reshape(count, 2, size)
        # Joseph form: stays symmetric and positive definite.
        left = np.eye(2 * size)[None].repeat(count, 0)
        left[:, :, :size] -= gain
        covariance = left @ covariance @ left.transpose(0, 2, 1)
        covariance += gain @ noise @ gain.transpose(0, 2, 1)
        self.mean[rows] += change
        self.covariance[rows] = covariance.reshape(count, 2, size, 2, size)

    def _along_axes(self, block: list[list[float]]) -> np.ndarray:
        """(2 N, 2 N): a matrix (2, 2) of position and velocity, the same along each axis."""
        axes = np.eye(self._size)[:, None]
        return (np.array(block)[:, None, :, None] * axes).reshape(2 * self._size, -1)
