"""From images to everybody's numbers on the host: one engine per kind of device."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from romp_core.preprocessing import HostLetterbox, frame_rows
from romp_core.runtime.dense import Runtime
from romp_core.runtime.device_path import DevicePath, Request

MOST_AT_ONCE = 2
"""So many images go through a network at once on a CPU. More would be no faster there
(docs/benchmarks.md, batch), but runtimes would have to prepare for each number of images, which
takes a second, and memory that grows with it."""


class Found(NamedTuple):
    """People of several images on the host.

    Attributes:
        counts: (B,) int64, people of each image.
        fields: of all of them, image by image, by the names of `PeopleTensors`.
    """

    counts: np.ndarray
    fields: dict[str, np.ndarray]


class Engine(Protocol):
    """Takes images through a network to people."""

    def launch(self, images: Sequence[np.ndarray], request: Request) -> Callable[[], Found]:
        """Begin with images, (H, W, 3) uint8 BGR each; the answer, to be asked for once, waits
        for what is found.

        The images may be changed after the call. For one thread at a time.
        """


class HostEngine:
    """For the CPU, and for devices without an engine of their own.

    On the CPU a batch goes in parts of `MOST_AT_ONCE` images.

    Args:
        path: from maps to people.
        runtime: runs the network.
        device: where both are.
    """

    def __init__(self, path: DevicePath, runtime: Runtime, device: torch.device):
        self._path = path
        self._runtime = runtime
        self._device = device
        self._letterbox = HostLetterbox(path.network.config.input_size)

    @torch.inference_mode()
    def launch(self, images: Sequence[np.ndarray], request: Request) -> Callable[[], Found]:
        """See `Engine`; all is done when this returns."""
        seen = self._path.seen([image.shape[:2] for image in images])
        most = MOST_AT_ONCE if self._device.type == "cpu" else len(images)
        parts = [
            self._found(images[start : start + most], seen, request)
            for start in range(0, len(images), most)
        ]
        found = parts[0] if len(parts) == 1 else _joined(parts)
        return lambda: found

    def _found(
        self, images: Sequence[np.ndarray], seen: tuple[slice, slice], request: Request
    ) -> Found:
        """People of images of whose squares the network sees these rows and columns."""
        rows, columns = seen
        squares = self._letterbox(images)[:, rows, columns]
        dense = self._runtime(squares.to(self._device))
        frames = frame_rows([image.shape[:2] for image in images]).to(self._device)
        counts, people = self._path(dense, frames, request, fixed_size=False)
        fields = {name: value.cpu().numpy() for name, value in people._asdict().items()}
        return Found(counts.cpu().numpy(), fields)


def _joined(parts: Sequence[Found]) -> Found:
    return Found(
        np.concatenate([part.counts for part in parts]),
        {name: np.concatenate([part.fields[name] for part in parts]) for name in parts[0].fields},
    )


def start_engine(path: DevicePath, runtime: Runtime, device: torch.device) -> Engine:
    """The engine for a device."""
    if device.type == "cuda":
        from romp_core.runtime.cuda_engine import CudaEngine

        return CudaEngine(path, runtime, device)
    return HostEngine(path, runtime, device)
