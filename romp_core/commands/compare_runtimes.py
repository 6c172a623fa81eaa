"""`romp-core compare-runtimes`: how far each runtime's people are from PyTorch's in float32."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople
from romp_core.errors import ConfigError, ImageError
from romp_core.media import open_media
from romp_core.model import load
from romp_core.people import People
from romp_core.runtime import choices, start_runtime
from romp_core.runtime.guard import measure_shift
from romp_core.runtime.selection import REFERENCE

_SEED = 7
_PROGRESS = Console(stderr=True)
_HEADINGS = ("runtime", "people", "found", "same", "keypoints px", "PMPJPE mm", "auto may take it")


def compare_runtimes(
    source: Path | None = None,
    weights: str = "open",
    body: str = "open",
    device: str | None = None,
    threshold: float = 0.2,
    count: int = 200,
) -> None:
    """Compare every installed runtime and precision with PyTorch in float32, as a Markdown table.

    "people" are those of PyTorch, "found" those of the runtime, "same" those of both, over whom
    the shifts of 2D keypoints and of aligned 3D joints (PMPJPE) are averaged. Of one that does not
    start the row says why.

    Args:
        source: Image, folder of images or video; without it, synthetic people are rendered.
        weights: "open", or a weights file.
        body: "open", or an SMPL file (.npz, .pkl, packed .pth).
        device: cpu, cuda, ...; by default a GPU where there is one.
        threshold: Confidence that a person must exceed.
        count: At most so many pictures.

    Raises:
        FileNotFoundError: The source, the weights or the body does not exist.
        ImageError: Nothing in the source can be read.
        ConfigError: The device is not there, or count is below 1.
        RendererError: There is no source, and no off-screen OpenGL to render people.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; expected at least 1")
    name, precision = REFERENCE
    romp = load(
        weights,
        device=device,
        runtime=name,
        precision=precision,
        body=body,
        center_threshold=threshold,
    )
    pictures = _synthetic(count) if source is None else _frames(source, count)

    def people(description: str) -> list[People]:
        shown = track(pictures, description, console=_PROGRESS)
        return [romp.predict(picture, with_vertices=False) for picture in shown]

    reference = people(romp.runtime_name)
    print(f"{len(pictures)} pictures, {romp.network.config.backbone} on {romp.device}\n")
    print(_row(_HEADINGS), _row("---" for _ in _HEADINGS), sep="\n")
    for choice in choices("auto", "auto", romp.device):
        if choice == REFERENCE:
            continue
        runtime = ", ".join(choice)
        try:
            romp.runtime = start_runtime(choice, romp.network, romp.device)
            shift = measure_shift(reference, people(runtime))
        except Exception as error:  # whatever a driver or runtime comes up with
            reason = str(error) or type(error).__name__
            print(_row((runtime, *[""] * 5, f"no: {reason.splitlines()[0]}")))
            continue
        counts = shift.people, shift.found, shift.matched
        distances = f"{shift.keypoints_px:.3f}", f"{shift.pose_mm:.3f}"
        print(_row((runtime, *counts, *distances, "no" if shift.objection else "yes")))


def _synthetic(count: int) -> list[np.ndarray]:
    dataset = SyntheticPeople(SyntheticConfig(height=480, width=640, length=count), _SEED)
    return [dataset[index].image for index in track(range(count), "rendering", console=_PROGRESS)]


def _frames(source: Path, count: int) -> list[np.ndarray]:
    unreadable: list[ImageError] = []
    pictures = [image for _, image in islice(open_media(source, unreadable.append), count)]
    if not pictures:
        raise unreadable[0]
    return pictures


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
