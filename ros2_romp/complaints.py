"""What the log says about trouble that lasts. Needs no ROS."""

import re
from collections.abc import Callable


class Complaints:
    """Tells each reason once, after several images in a row with some trouble.

    Args:
        tell: gets the sentence.
        topic: that it is about.
        remedy: what was expected, or helps.
        patience: so many images; what only comes late is no trouble.
    """

    def __init__(self, tell: Callable[[str], object], topic: str, remedy: str, patience: int):
        self._tell = tell
        self._topic, self._remedy = topic, remedy
        self._patience = patience
        self._told: set[str] = set()
        self._count = 0

    def note(self, reason: str) -> None:
        """What is wrong at an image; empty: nothing."""
        self._count = self._count + 1 if reason else 0
        kind = re.sub(r"[\d.]+", "", reason)  # times and shares differ from image to image
        if reason and self._count >= self._patience and kind not in self._told:
            self._told.add(kind)
            self._tell(f"{self._topic}: {reason} ({self._remedy})")
