"""Who is who over time, and motion without jitter. NumPy and SciPy only."""

from romp_core.tracking.config import SmoothingConfig, TrackingConfig
from romp_core.tracking.tracker import Tracker

__all__ = ["SmoothingConfig", "Tracker", "TrackingConfig"]
