"""`romp-core bench`: how fast a network is on this machine, by runtime."""

import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from romp_core.errors import ConfigError, ImageError
from romp_core.media import open_media
from romp_core.model import Romp, load
from romp_core.runtime import choices
from romp_core.timing import describe_machine, milliseconds, spread

DEMO_CLIP = Path(__file__).parents[1] / "assets" / "demo_clip.mp4"


def bench(
    source: Path = DEMO_CLIP,
    weights: str = "open",
    body: str = "open",
    device: str | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    input_size: int | None = None,
    vertices: bool = True,
    runs: int = 30,
) -> None:
    """Time prediction, image to people, by every runtime that is installed.

    The table's first line is what "auto" takes: the fastest whose results are those of PyTorch in
    float32.

    Args:
        source: Image, folder of images or video; its first picture is used.
        weights: "open", or a weights file.
        body: "open", or an SMPL file (.npz, .pkl, packed .pth).
        device: cpu, cuda, ...; by default a GPU where there is one.
        runtime: Only this one.
        precision: Only this one.
        input_size: Side of the square that an image is brought to, a multiple of 64 pixels; by
            default the weights' own.
        vertices: Whether the bodies' surface is computed too.
        runs: How often each is timed.

    Raises:
        FileNotFoundError: The source, the weights or the body does not exist.
        ImageError: Nothing in the source can be read.
        ConfigError: The device or a runtime is not there, or runs below 1.
    """
    if runs < 1:
        raise ConfigError(f"runs is {runs}; expected at least 1")
    image = _first_picture(source)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")

    def start(runtime: str, precision: str) -> tuple[Romp, float]:
        """A predictor, and how many seconds it took until it was there."""
        begin = time.perf_counter()
        romp = load(
            weights,
            body=body,
            device=device,
            runtime=runtime,
            precision=precision,
            input_size=input_size,
        )
        return romp, time.perf_counter() - begin

    chosen, seconds = start(runtime, precision)
    height, width = image.shape[:2]
    people = len(chosen.predict(image))
    machine = describe_machine()
    threads = f"{machine['threads']} threads"
    print(f"{machine['processor']}, {threads}, GPU: {machine['gpu']}; runs on {device}")
    print(f"{chosen.network.config.backbone}, one image of {width}x{height}, {people} people\n")
    print(f"{'runtime':28} {'median':>9} {'10 %':>9} {'90 %':>9} {'images/s':>9} {'start':>8}")
    _print_row(f"auto: {chosen.runtime_name}", chosen, image, vertices, runs, seconds)
    taken = (chosen.runtime.name, chosen.runtime.precision)
    for choice in choices(runtime, precision, torch.device(device)):
        if choice == taken:
            continue
        try:
            romp, seconds = start(*choice)
        except Exception as error:  # whatever a driver or runtime comes up with
            reason = str(error) or type(error).__name__
            print(f"{', '.join(choice):28} {reason.splitlines()[0]}")
            continue
        _print_row(romp.runtime_name, romp, image, vertices, runs, seconds)


def _first_picture(source: Path) -> np.ndarray:
    unreadable: list[ImageError] = []
    for _, image in islice(open_media(source, unreadable.append), 1):
        return image
    raise unreadable[0] if unreadable else ImageError(f"{source} holds no picture")


def _print_row(
    name: str, romp: Romp, image: np.ndarray, vertices: bool, runs: int, seconds: float
) -> None:
    times = milliseconds(lambda: romp.predict(image, with_vertices=vertices), runs)
    found = spread(times, digits=2)
    columns = " ".join(f"{found[key]:6.1f} ms" for key in ("median", "p10", "p90"))
    print(f"{name:28} {columns} {1e3 / found['median']:9.1f} {seconds:6.1f} s")
