"""What `people_recorder` writes: people, overlay video and a summary. Needs no ROS."""

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from romp_core import People
from romp_core.errors import DataError
from romp_core.media import VideoWriter, write_image

PeopleFormat = Literal["jsonl", "npz"]

LONGEST_STILL = 2.0
"""Seconds for which the video repeats a frame at most, when the next one is that late."""

_FILES = ("people.jsonl", "overlay.mp4", "overlay.png", "body_model.npz", "summary.json")
_PEOPLE_FILE = r"\d{6,}\.npz"


@dataclass
class Arrival:
    """One people message.

    Attributes:
        seconds: its stamp.
        latency: seconds from its stamp to its arrival.
        count: people in it.
    """

    seconds: float
    latency: float
    count: int


@dataclass
class Recording:
    """A folder that fills as results come.

    people.jsonl holds a JSON object per message; or, as npz, people/000000.npz, ... hold one
    `People` each, for `People.load`. overlay.mp4 runs as fast as the cameras' stamps say. Each
    file is begun with its first content; `close` adds summary.json, and leaves no file where
    nothing came.

    Args:
        folder: where to; made if need be.
        people_format: jsonl or npz.
        fps: frames per second of the video.
        overwrite: whether the files of an earlier recording in the folder are removed.

    Raises:
        DataError: the folder cannot be written to, or holds a recording that is not to go.
    """

    folder: Path
    people_format: PeopleFormat = "jsonl"
    fps: float = 10.0
    overwrite: bool = field(default=False, kw_only=True)
    arrivals: list[Arrival] = field(default_factory=list, init=False)
    overlays: int = field(default=0, init=False)
    best_overlay: tuple[int, np.ndarray] | None = field(default=None, init=False)

    def __post_init__(self):
        _make_room(self.folder, self.overwrite)
        self._video: VideoWriter | None = None
        self._video_size = (0, 0)
        self._video_start = 0.0
        self._video_frames = 0
        self._last_overlay: float | None = None
        self._jsonl = None
        self._counts: dict[float, int] = {}

    def add_people(self, people: People, seconds: float, latency: float, frame_id: str) -> None:
        """Write the people of one image.

        Args:
            people: in it.
            seconds: its stamp.
            latency: seconds that it took to arrive.
            frame_id: its optical frame.
        """
        number = len(self.arrivals)
        self.arrivals.append(Arrival(seconds, latency, len(people)))
        self._counts[seconds] = len(people)
        if self.people_format == "npz":
            (self.folder / "people").mkdir(exist_ok=True)
            people.save(self.folder / "people" / f"{number:06d}.npz")
            return
        if self._jsonl is None:
            self._jsonl = (self.folder / "people.jsonl").open("w")
        content = {name: getattr(people, name).tolist() for name in _json_fields(people)}
        json.dump({"stamp": seconds, "frame_id": frame_id, **content}, self._jsonl)
        self._jsonl.write("\n")
        self._jsonl.flush()

    def add_body(self, **arrays: Any) -> None:
        """Write the body that the people have, as body_model.npz holds it."""
        np.savez_compressed(self.folder / "body_model.npz", **arrays)

    def add_overlay(self, picture: np.ndarray, seconds: float) -> None:
        """Append an overlay, (H, W, 3) uint8 BGR, with its stamp in seconds.

        The first one gives the video its size; one of another size is fitted into that.

        Raises:
            ImageError: the video cannot be written.
        """
        if self._video is None:
            self._video = VideoWriter(self.folder / "overlay.mp4", self.fps)
        if not self._video_frames:
            self._video_size = picture.shape[:2]
            self._video_start = seconds
        fitted = _fit(picture, *self._video_size)
        due = round((seconds - self._video_start) * self.fps) + 1
        repeats = due - self._video_frames
        stands_still = seconds == self._last_overlay
        # A pause, or the clock was set; a clock that stands says nothing about the pace.
        if stands_still or not 0 <= repeats <= LONGEST_STILL * self.fps:
            self._video_start = seconds - self._video_frames / self.fps
            repeats = 1
        for _ in range(repeats):
            self._video.write(fitted)
        self._video_frames += repeats
        self._last_overlay = seconds
        self.overlays += 1
        count = self._counts.get(seconds, 0)
        if self.best_overlay is None or count >= self.best_overlay[0]:
            self.best_overlay = count, picture

    def close(self) -> dict[str, object]:
        """Finish all files; returns the summary that summary.json holds."""
        if self._video is not None:
            self._video.close()
        if self._jsonl is not None:
            self._jsonl.close()
        summary = self.summary()
        if not self.arrivals and not self.overlays:
            (self.folder / "body_model.npz").unlink(missing_ok=True)
            return summary
        if self.best_overlay is not None:
            path = self.folder / "overlay.png"
            write_image(path, self.best_overlay[1])
            summary["overlay"] = str(path)
        (self.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        return summary

    def summary(self) -> dict[str, object]:
        """Frames, rate, latency and people so far."""
        counts = [arrival.count for arrival in self.arrivals]
        summary: dict[str, object] = {
            "frames": len(counts),
            "overlays": self.overlays,
            "people": sum(counts),
            "most_people_in_a_frame": max(counts, default=0),
        }
        if len(counts) > 1:
            stamps = [arrival.seconds for arrival in self.arrivals]
            duration = max(stamps) - min(stamps)
            summary["frames_per_second"] = round((len(counts) - 1) / duration, 2) if duration else 0
        if counts:
            p50, p95 = np.percentile([arrival.latency for arrival in self.arrivals], [50, 95])
            summary["latency_p50_s"], summary["latency_p95_s"] = round(p50, 4), round(p95, 4)
        return summary


def _make_room(folder: Path, overwrite: bool) -> None:
    """Make the folder of a recording; an earlier one in it is removed or refused."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected one to write to, or a free name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror}): name another") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"{folder} cannot be written to: change who may, or name another folder")
    people = folder / "people"
    earlier = [path for path in (folder / name for name in _FILES) if path.exists()]
    earlier += [path for path in people.glob("*.npz") if re.fullmatch(_PEOPLE_FILE, path.name)]
    if earlier and not overwrite:
        raise DataError(
            f"{folder} already holds a recording ({earlier[0].relative_to(folder)}): name another "
            "folder, or replace the recording by --overwrite"
        )
    for path in earlier:
        path.unlink()
    with suppress(OSError):  # there is none, or it holds something else
        people.rmdir()


def _fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture as large as it fits into (height, width), black around it."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    if size == picture.shape[1::-1] == (width, height):
        return picture
    framed = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    framed[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size)
    return framed


def _json_fields(people: People) -> list[str]:
    """Names of what a JSON line holds: vertices only if there are some."""
    names = [each.name for each in fields(people)]
    return [name for name in names if name != "vertices" or people.vertices.size]
