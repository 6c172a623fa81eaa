"""From what one image shows to people with a place, an identity and smooth motion. Needs no ROS."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from romp_core import BodyModel, People
from romp_core.place.depth import DepthImage, place_by_depth
from romp_core.posing import posed
from romp_core.tracking import Tracker
from ros2_romp.calibration import Calibration
from ros2_romp.parameters import Settings


@dataclass(frozen=True)
class Moment:
    """What goes with the people of one image.

    Attributes:
        seconds: the image's stamp.
        size: its height and width, pixels.
        calibration: of its camera.
        depth: of the same moment; None: there is none.
    """

    seconds: float
    size: tuple[int, int]
    calibration: Calibration
    depth: DepthImage | None


@dataclass(frozen=True)
class Placed:
    """People, and where their distances come from.

    Attributes:
        people: in the given order.
        source: "monocular", or how much measured depth weighs for how many of them.
    """

    people: People
    source: str


class Refiner:
    """Places, tracks and smooths the people of one camera.

    Args:
        body: of the people.
        ids: where track ids come from; cameras that share it never share an id.

    Attributes:
        tracker: of the camera.
    """

    def __init__(self, body: BodyModel, ids: Iterator[int]):
        self._body = body
        self.tracker = Tracker(ids=ids)

    def place(self, people: People, moment: Moment) -> Placed:
        """Fuse the distances with measured depth, where there is some.

        Args:
            people: as predicted; with vertices if there is depth.
            moment: of the image.

        Raises:
            ImageError: depth of another view than the image's.
        """
        if moment.depth is None:
            return Placed(people, "monocular")
        known = moment.calibration.is_known
        placement = place_by_depth(
            people,
            moment.depth,
            moment.calibration.camera,
            moment.size,
            self._body,
            calibrated=known,
        )
        return Placed(placement.people, describe_shares(placement.shares))

    def track(
        self, people: People, moment: Moment, settings: Settings, *, with_vertices: bool
    ) -> People:
        """The same people with ids and, where the settings say so, smoothed.

        Args:
            people: placed.
            moment: of the image.
            settings: `tracking` and `smoothing`.
            with_vertices: whether the result needs meshes.
        """
        if not settings.tracking:
            self.tracker.reset()
            return people
        people = self.tracker.update(people, moment.seconds, strength=settings.smoothing)
        if not settings.smoothing:
            return people
        camera = moment.calibration.camera
        return posed(people, self._body, camera, moment.size, with_vertices=with_vertices)


def describe_shares(shares: np.ndarray) -> str:
    """Weights (K,) of measured depth in words."""
    measured = shares[shares > 0]
    if not len(measured):
        return "monocular"
    return f"depth weighs {measured.mean():.3f} for {len(measured)} of {len(shares)} people"
