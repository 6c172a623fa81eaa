"""Plots of an evaluation: error per joint, PCK curve, error by occlusion."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from romp_core.errors import missing_extra
from romp_core.evaluation.protocols import Protocol
from romp_core.evaluation.scoring import PersonResult, PictureResult
from romp_core.evaluation.summary import known_joint_errors, pck_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OCCLUSION_EDGES = (0.0, 0.01, 0.25, 0.5, 1.01)
_OCCLUSION_NAMES = ("none", "up to 25 %", "25 to 50 %", "over 50 %")


def draw_plots(folder: Path, results: Sequence[PictureResult], protocol: Protocol) -> list[Path]:
    """The plots that there is something to draw for.

    Args:
        folder: where to.
        results: of all pictures.
        protocol: what they were measured by.

    Returns:
        `error_per_joint.png`, `pck_curve.png` and `error_by_occlusion.png`; none of them where
        no 3D joints are known.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    people = [p for r in results for p in r.people if p.joint_errors is not None]
    if not people:
        return []
    known = known_joint_errors(people)
    errors, limbs = known.numpy(), pck_errors(known, protocol).numpy()
    return [
        draw(folder / "error_per_joint.png", lambda a: _per_joint(a, errors, protocol.joints)),
        draw(folder / "pck_curve.png", lambda a: _pck_curve(a, limbs, protocol.auc_mm)),
        draw(folder / "error_by_occlusion.png", lambda a: _by_occlusion(a, people, errors)),
    ]


def draw(path: Path, plot: Callable[["Axes"], None]) -> Path:
    """One plot as a picture.

    Args:
        path: where to.
        plot: fills the axes that it is given.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("plots are drawn by matplotlib", "evaluation") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    plot(axes)
    figure.savefig(path, dpi=120)
    return path


def _per_joint(axes: "Axes", errors: np.ndarray, joints: Sequence[str]) -> None:
    known = np.isfinite(errors).any(0)
    names = [name.removesuffix("_h17") for name in np.array(joints)[known]]
    axes.barh(names, np.nanmean(errors[:, known], 0))
    axes.invert_yaxis()
    axes.set(xlabel="mean error in mm, root aligned", title="Error per joint")


def _pck_curve(axes: "Axes", errors: np.ndarray, limit: float) -> None:
    known = np.sort(errors[np.isfinite(errors)])
    thresholds = np.linspace(0, limit, 201)
    axes.plot(thresholds, 100 * np.searchsorted(known, thresholds) / len(known))
    axes.set(
        xlim=(0, limit), ylim=(0, 100), title="Correct joints by threshold",
        xlabel="threshold in mm", ylabel="joints nearer than it, %",
    )  # fmt: skip


def _by_occlusion(axes: "Axes", people: Sequence[PersonResult], errors: np.ndarray) -> None:
    occluded = np.array([person.occluded for person in people])
    mean = np.nanmean(errors, 1)
    group = np.digitize(occluded, _OCCLUSION_EDGES) - 1
    labels = []
    for number, name in enumerate(_OCCLUSION_NAMES):
        chosen = mean[group == number]
        labels.append(f"{name}\n{len(chosen)} people")
        if len(chosen):
            axes.boxplot(chosen, positions=[number], widths=0.6, showfliers=False)
    axes.set_xticks(range(len(labels)), labels)
    axes.set(
        xlabel="share of the labeled joints that are hidden", ylabel="MPJPE in mm",
        title="Error by occlusion",
    )  # fmt: skip
