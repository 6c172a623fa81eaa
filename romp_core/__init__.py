"""ROMP: one forward pass from an image to everybody's 3D body.

Example:
    >>> import romp_core
    >>> romp = romp_core.load("open")  # doctest: +SKIP
    >>> people = romp.predict(image)  # doctest: +SKIP
"""

from romp_core.body.model import BodyModel
from romp_core.model import Romp, load
from romp_core.people import People

__all__ = ["BodyModel", "People", "Romp", "load"]
