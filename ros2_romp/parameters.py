"""The node's parameters: one table of names, defaults, ranges and meanings, and its checks."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from romp_core.network.romp import SIZE_MULTIPLE
from romp_core.runtime import PRECISIONS, RUNTIMES

TRANSPORTS = ("raw", "compressed")


@dataclass(frozen=True)
class Rule:
    """What a parameter accepts, and when.

    Attributes:
        description: one sentence, shown by ``ros2 param describe``.
        low, high: smallest and largest number; None for what is no number.
        choices: the only values; empty: any.
        requires: a module without which it cannot be true; empty: none.
        live: whether a change takes effect in the next result. Others enter with the model,
            when the node is configured.
        read_only: whether it is read once, when the node starts.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    requires: str = ""
    live: bool = True
    read_only: bool = False


def _parameter(default: Any, description: str, **rule: Any) -> Any:
    return dataclasses.field(default=default, metadata={"rule": Rule(description, **rule)})


@dataclass(frozen=True)
class Settings:
    """Values of all parameters at one moment."""

    model: str = _parameter(
        "open", "Network weights: 'open', or the path of a weights file.", live=False
    )
    body_model: str = _parameter(
        "open", "Body: 'open', or the path of an SMPL file (.npz, .pkl, packed .pth).", live=False
    )
    device: str = _parameter(
        "auto", "Where the network runs: 'auto' takes a GPU where there is one.", live=False
    )
    runtime: str = _parameter(
        "auto",
        "What runs the network: 'auto' takes the fastest that is installed and exact enough.",
        choices=RUNTIMES,
        live=False,
    )
    precision: str = _parameter(
        "auto",
        "Of the network: 'auto' takes the fastest that is exact enough.",
        choices=PRECISIONS,
        live=False,
    )
    input_size: int = _parameter(
        0,
        "Side in pixels, a multiple of 64, of the square that images are brought to; 0: that of "
        "the weights. Less is faster, and sees people far away worse.",
        low=0,
        high=2048,
        live=False,
    )
    cameras: tuple[str, ...] = _parameter(
        ("",),
        "Names of the cameras, each the prefix of its topics; an empty name: no prefix.",
        live=False,
    )
    image_transport: str = _parameter(
        "raw", "Type of the image topics.", choices=TRANSPORTS, live=False
    )
    center_threshold: float = _parameter(
        0.2, "Confidence that a person must exceed.", low=0.0, high=1.0
    )
    max_people: int = _parameter(64, "At most so many people per image.", low=1, high=1024)
    horizontal_fov_deg: float = _parameter(
        60.0,
        "Horizontal field of view in degrees, used until a calibrated camera_info comes.",
        low=1.0,
        high=179.0,
    )
    rectified: bool = _parameter(
        False, "Whether images are rectified: camera_info's P counts, else its K and D."
    )
    max_depth_delay: float = _parameter(
        0.05, "Seconds that an image and its depth image may lie apart.", low=0.0, high=10.0
    )
    tracking: bool = _parameter(True, "Whether people get ids that last.")
    smoothing: float = _parameter(
        0.5, "How much jitter is taken out of the motion of tracked people; 0: off.",
        low=0.0, high=1.0,
    )  # fmt: skip
    max_image_age: float = _parameter(
        0.0, "Images older than so many seconds are not processed; 0: none is too old.",
        low=0.0, high=3600.0,
    )  # fmt: skip
    publish_vertices: bool = _parameter(False, "Whether people carry their mesh vertices.")
    publish_markers: bool = _parameter(True, "Whether markers go to those who subscribe to them.")
    marker_alpha: float = _parameter(1.0, "Opacity of the markers.", low=0.0, high=1.0)
    marker_lifetime: float = _parameter(
        2.0, "Seconds until a marker that gets no news vanishes; 0: never.", low=0.0, high=3600.0
    )
    marker_shading: bool = _parameter(
        True, "Whether meshes carry shading in per-vertex colours; else one flat colour each."
    )
    marker_skeleton: bool = _parameter(False, "Whether markers include each person's skeleton.")
    marker_labels: bool = _parameter(False, "Whether markers include each person's id as text.")
    publish_tf: bool = _parameter(
        False,
        "Whether tracked people's bodies are broadcast as TF frames.",
        requires="tf2_msgs",
        live=False,
    )
    publish_ros4hri: bool = _parameter(
        False,
        "Whether tracked people are also published as ROS4HRI (REP 155) has them.",
        requires="hri_msgs",
        live=False,
    )
    autostart: bool = _parameter(
        True, "Whether the node configures and activates itself.", live=False, read_only=True
    )


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
"""The fields of `Settings` by name."""


def rule_of(name: str) -> Rule:
    """The rule of one parameter."""
    return FIELDS[name].metadata["rule"]


def refusal(name: str, value: Any) -> str | None:
    """Why a parameter cannot have a value, in one sentence; None if it can.

    Args:
        name: one of `FIELDS`.
        value: of the parameter's own type.
    """
    rule = rule_of(name)
    if rule.choices and value not in rule.choices:
        return f"{name} is {value!r}; expected one of {', '.join(rule.choices)}"
    if rule.low is not None and not rule.low <= value <= rule.high:  # a NaN is refused, too
        return f"{name} is {value}; expected {rule.low:g} to {rule.high:g}"
    if rule.requires and value and find_spec(rule.requires) is None:
        return f"{name} needs the package {rule.requires}, which is not installed"
    if name == "input_size" and value % SIZE_MULTIPLE:
        return (
            f"input_size is {value}; expected a multiple of {SIZE_MULTIPLE}, or 0 for that of the "
            "weights"
        )
    if name == "cameras":
        return _cameras_refusal(value)
    if isinstance(FIELDS[name].default, str) and not value:
        return f"{name} is empty; its default is {FIELDS[name].default!r}"
    return None


def _cameras_refusal(names: Sequence[str]) -> str | None:
    if not names:
        return "cameras is empty; expected names, or [''] for one camera without a prefix"
    if len(set(names)) != len(names):
        return f"cameras has a name twice: {', '.join(names)}"
    for name in names:
        is_topic = all(part.isidentifier() and part.isascii() for part in name.split("/"))
        if name and not is_topic:
            return (
                f"cameras has {name!r}; expected names that can stand in a topic: letters, digits "
                "and underscores, not starting with a digit"
            )
    return None
