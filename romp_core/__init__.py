"""ROMP: one forward pass from an image to everybody's 3D body.

Example:
    >>> import romp_core
    >>> romp = romp_core.load("open")  # doctest: +SKIP
    >>> people = romp.predict(image)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from romp_core.body.model import BodyModel
    from romp_core.model import Romp, load
    from romp_core.people import People

__all__ = ["BodyModel", "People", "Romp", "load"]

_MODULES = {"BodyModel": "body.model", "People": "people", "Romp": "model", "load": "model"}


def __getattr__(name: str) -> Any:
    # Who needs only a part, such as `romp_core.media`, does not wait for torch.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
