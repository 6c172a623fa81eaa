"""`romp-core predict`: the people in images and videos, as pictures and as numbers."""

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)

from romp_core.errors import ConfigError, ImageError, RendererError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.media import ImageFiles, Video, VideoWriter, open_media, write_image
from romp_core.model import load
from romp_core.render.overlay import Renderer, check_alpha

Frames = ImageFiles | Video

_FRAME_FILE = r"\d{6,}\.npz"


def predict(
    source: Path,
    out: Path = Path("out"),
    weights: str = "open",
    body: str = "open",
    device: str | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    input_size: int | None = None,
    threshold: float = 0.2,
    max_people: int = 64,
    horizontal_fov_deg: float = 60.0,
    intrinsics: tuple[float, float, float, float] | None = None,
    order: Literal["depth", "body"] = "depth",
    alpha: float = 1.0,
    overlay: bool = True,
    npz: bool = True,
) -> None:
    """Find the people in an image, a folder of images or a video.

    An image NAME.png gives NAME.overlay.jpg and NAME.npz; a video NAME.mp4 gives NAME.overlay.mp4
    and NAME/000000.npz, one per frame. `romp_core.People.load` reads the .npz files. Damaged
    images of a folder, and those too large to be drawn, are named at the end. Of a video that
    breaks off, what could be read is written.

    Args:
        source: Image, folder of images, or video.
        out: Folder to write to; made if need be.
        weights: "open", or a weights file.
        body: "open", or an SMPL file (.npz, .pkl, packed .pth).
        device: cpu, cuda, ...; by default a GPU where there is one.
        runtime: What runs the network: torch, compiled, cuda-graph, onnxruntime or openvino; "auto"
            takes the fastest that is installed and exact enough.
        precision: Of the network: float32, bfloat16 or float16; "auto" as above.
        input_size: Side of the square that an image is brought to, a multiple of 64 pixels; by
            default the weights' own.
        threshold: Confidence that a person must exceed.
        max_people: At most so many people per image.
        horizontal_fov_deg: Horizontal field of view in degrees, used without intrinsics.
        intrinsics: Focal lengths and principal point fx, fy, cx, cy in pixels, of every image.
        order: Who is in front: decided per pixel ("depth") or per person ("body").
        alpha: Opacity of the drawn bodies, 0 to 1.
        overlay: Whether to write pictures.
        npz: Whether to write .npz files.

    Raises:
        FileNotFoundError: The source, the weights or the body does not exist.
        ImageError: Nothing in the source can be read, or not all of a video.
        ConfigError: Nothing would be written, overlays would land among the source's images, or
            alpha is not 0 to 1.
        RendererError: Pictures are wanted, but there is no off-screen OpenGL, or nothing in the
            source could be drawn, or not all of a video; the numbers are then written.
    """
    _check_output(source, out, overlay or npz)
    if overlay:
        check_alpha(alpha)
    unreadable: list[ImageError] = []
    frames = open_media(source, unreadable.append)
    renderer = Renderer() if overlay else None
    romp = load(
        weights,
        device=device,
        runtime=runtime,
        precision=precision,
        input_size=input_size,
        body=body,
        center_threshold=threshold,
        max_people=max_people,
        horizontal_fov_deg=horizontal_fov_deg,
    )
    counts: list[int] = []
    undrawn: list[RendererError] = []
    start = time.perf_counter()
    with closing(_Output(out, frames, npz)) as output:
        for name, image in _with_progress(frames, source.name, unreadable):
            K = _camera_matrix(image, intrinsics, horizontal_fov_deg)
            people = romp.predict(image, K)
            counts.append(len(people))
            if npz:
                people.save(output.people_path(name))
            if renderer is None:
                continue
            try:
                picture = renderer.draw_people(
                    image, people, romp.body.faces, K, order=order, alpha=alpha
                )
                output.write_overlay(name, picture)
            except (RendererError, ImageError) as error:
                whose = source.name if isinstance(frames, Video) else name
                undrawn.append(RendererError(f"{whose}: {error}"))
                if isinstance(frames, Video):  # frames after a gap would come too early
                    renderer = None
    _report(frames, counts, time.perf_counter() - start, out, unreadable, undrawn)


def _check_output(source: Path, out: Path, anything: bool) -> None:
    if not anything:
        raise ConfigError("overlay and npz are both off: nothing would be written; turn one on")
    if source.is_dir() and out.resolve() == source.resolve():
        raise ConfigError(
            f"out is the source folder {source}, where the next run would take overlays for "
            "images; choose another folder"
        )


def _camera_matrix(
    image: np.ndarray, intrinsics: tuple[float, float, float, float] | None, fov_deg: float
) -> np.ndarray:
    if intrinsics is None:
        return intrinsics_from_fov(*image.shape[:2], fov_deg)
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)


class _Output:
    """Names and writes what comes of each frame.

    Args:
        folder: where to; made if need be.
        frames: what is read: it decides the names, and whether overlays become a video.
        npz: whether people are written: those of an earlier video of that name then go.
    """

    def __init__(self, folder: Path, frames: Frames, npz: bool):
        self._stems: dict[str, str] = {}
        self._video: VideoWriter | None = None
        if isinstance(frames, Video):
            self._folder = folder / frames.path.stem
            self._video = VideoWriter(folder / f"{frames.path.stem}.overlay.mp4", frames.fps)
        else:
            self._folder = folder
            self._stems = _output_stems(frames.paths)
        self._folder.mkdir(parents=True, exist_ok=True)
        if npz and isinstance(frames, Video):
            for path in self._folder.iterdir():
                if re.fullmatch(_FRAME_FILE, path.name):
                    path.unlink()

    def people_path(self, name: str) -> Path:
        return self._folder / f"{self._stems.get(name, name)}.npz"

    def write_overlay(self, name: str, picture: np.ndarray) -> None:
        if self._video is not None:
            self._video.write(picture)
        else:
            write_image(self._folder / f"{self._stems[name]}.overlay.jpg", picture)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()


def _output_stems(paths: Iterable[Path]) -> dict[str, str]:
    """File names without their endings, except where two files would then share one name."""
    uses = Counter(name for path in paths for name in (path.stem, path.name))
    return {path.name: path.stem if uses[path.stem] == 1 else path.name for path in paths}


class _Rate(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> str:
        return f"{task.speed:.1f}/s" if task.speed else ""


def _with_progress(
    frames: Frames, title: str, unreadable: list[ImageError]
) -> Iterator[tuple[str, np.ndarray]]:
    """The frames, with a bar on stderr while they last; it counts those left out as well."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=len(frames) or None)
        for done, frame in enumerate(frames, 1):
            yield frame
            progress.update(task, completed=done + len(unreadable))


def _report(
    frames: Frames,
    counts: list[int],
    seconds: float,
    out: Path,
    unreadable: list[ImageError],
    undrawn: list[RendererError],
) -> None:
    """Say what was done, and what was not.

    Raises:
        ImageError, RendererError: nothing could be read or drawn, or not all of a video.
    """
    if isinstance(frames, Video):
        failures, missing = [*unreadable, *undrawn][:1], ""
    else:
        failures = undrawn[:1] if len(undrawn) == len(counts) else []
        missing = f", {len(undrawn)} not drawn" if undrawn else ""
    for done, errors in (("left out", unreadable), ("not drawn", undrawn)):
        for error in errors:
            if error not in failures:
                print(f"{done}: {error}", file=sys.stderr)
    if not counts:
        raise ImageError(f"none of the {len(unreadable)} images could be read")
    left_out = len(frames) - len(counts) if unreadable else 0
    print(
        f"{len(counts)} frames, {sum(counts)} people in {seconds:.1f} s "
        f"({len(counts) / seconds:.1f} frames/s), {left_out} left out{missing}; written to {out}"
    )
    if failures:
        raise failures[0]
