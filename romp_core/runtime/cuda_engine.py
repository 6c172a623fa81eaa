"""NVIDIA GPUs: images go up on one stream, are worked on in another, people come back on a third.

The whole way, letterbox to bodies, has fixed shapes and never waits for the host. With the runtime
"cuda-graph" it is recorded once for each combination of image sizes and then started by a single
call.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from romp_core.kept import Kept
from romp_core.preprocessing import DeviceLetterbox, frame_rows
from romp_core.runtime.dense import Runtime
from romp_core.runtime.device_path import DevicePath, Request, pack, unpack
from romp_core.runtime.engines import Found
from romp_core.runtime.reserve import Reserve

_PINNED = {"pin_memory": True}
"""Host memory that the GPU reads and writes by itself."""

_KEPT_WAYS = 8
_WARM_UPS = 3

Sizes = tuple[tuple[int, int], ...]


class Packed(NamedTuple):
    """People of B images in rows.

    Attributes:
        counts: (B,) int64, people of each image.
        rows: (R, P) float32, a person each, those found first; see `pack`.
        shapes: of the fields in a row.
    """

    counts: Tensor
    rows: Tensor
    shapes: dict[str, torch.Size]


class WholePath:
    """From uploaded bytes to packed people: one function of fixed shapes, on any device.

    Args:
        path: from maps to people.
        runtime: runs the network.
        sizes: heights and widths of the images.
        device: where all is.
    """

    def __init__(self, path: DevicePath, runtime: Runtime, sizes: Sizes, device: torch.device):
        self._path = path
        self._runtime = runtime
        self._sizes = sizes
        side = path.network.config.input_size
        self._letterboxes = [DeviceLetterbox(*size, side, device) for size in sizes]
        self._seen = path.seen(sizes)
        self._frames = frame_rows(sizes).to(device)

    def __call__(self, pixels: Tensor, request: Request) -> Packed:
        """People of images.

        Args:
            pixels: uint8, the BGR bytes of all images in a row.
            request: what is asked.
        """
        parts = pixels.split([3 * height * width for height, width in self._sizes])
        squares = [
            letterbox(part.view(*size, 3))
            for letterbox, part, size in zip(self._letterboxes, parts, self._sizes, strict=True)
        ]
        dense = self._runtime(torch.stack([square[self._seen] for square in squares]))
        counts, people = self._path(dense, self._frames, request, fixed_size=True)
        return Packed(counts, *pack(people))


class CudaEngine:
    """See `Engine`.

    Args:
        path: from maps to people.
        runtime: runs the network; "cuda-graph" records graphs.
        device: the GPU that both are on.
    """

    def __init__(self, path: DevicePath, runtime: Runtime, device: torch.device):
        self._path = path
        self._runtime = runtime
        self._device = device
        self._compute = torch.cuda.Stream(device)
        self._free: list[_Slot] = []  # of launches that were answered
        self._ways: Kept[Callable[[Tensor, Request], Packed]] = Kept(_KEPT_WAYS)
        self._memory = torch.cuda.graph_pool_handle()

    @torch.inference_mode()
    def launch(self, images: Sequence[np.ndarray], request: Request) -> Callable[[], Found]:
        """See `Engine`; returns while the GPU still works."""
        slot = self._free.pop() if self._free else _Slot(self._device)
        pixels = slot.upload(images)
        sizes = tuple(image.shape[:2] for image in images)
        with torch.cuda.device(self._device), torch.cuda.stream(self._compute):
            self._compute.wait_event(slot.uploaded)
            packed = self._way(sizes, pixels, request)(pixels, request)
            slot.keep(packed)

        def answer() -> Found:
            found = slot.download(packed.shapes)
            self._free.append(slot)
            return found

        return answer

    def _way(
        self, sizes: Sizes, pixels: Tensor, request: Request
    ) -> Callable[[Tensor, Request], Packed]:
        def make() -> Callable[[Tensor, Request], Packed]:
            way = WholePath(self._path, self._runtime, sizes, self._device)
            recorded = self._runtime.name == "cuda-graph"
            return _Graph(way, pixels, request, self._memory) if recorded else way

        return self._ways.get((sizes, request.max_people, request.with_vertices), make)


class _Graph:
    """A way recorded on the current stream."""

    def __init__(self, way: WholePath, pixels: Tensor, request: Request, memory: object):
        self._way = way  # holds what the graph reads beside its inputs
        self._pixels = pixels.clone()
        self._threshold = torch.tensor(request.threshold, device=pixels.device)
        request = request._replace(threshold=self._threshold)
        stream = torch.cuda.current_stream()
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):  # the shapes are fixed
            for _ in range(_WARM_UPS):
                way(self._pixels, request)
            stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, pool=memory, stream=stream):
                self._packed = way(self._pixels, request)

    def __call__(self, pixels: Tensor, request: Request) -> Packed:
        """People of other images of the same sizes; the next graph overwrites them."""
        self._pixels.copy_(pixels)
        self._threshold.fill_(request.threshold)
        self._graph.replay()
        return self._packed


class _Slot:
    """Memory for one launch on both sides, and the two copies between them.

    Two images, then one, then two again, as cameras of different rates send them, use the same
    memory: pinning some anew would cost more than a forward pass.
    """

    def __init__(self, device: torch.device):
        self._uploads, self._downloads = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self.uploaded, self._computed = torch.cuda.Event(), torch.cuda.Event()
        self._host_pixels = Reserve(dtype=torch.uint8, **_PINNED)
        self._device_pixels = Reserve(dtype=torch.uint8, device=device)
        self._host_rows, self._device_rows = Reserve(**_PINNED), Reserve(device=device)
        self._host_counts = Reserve(dtype=torch.int64, **_PINNED)
        self._counts = self._rows = torch.empty(0)

    def upload(self, images: Sequence[np.ndarray]) -> Tensor:
        """The bytes of all images in a row on the device; `uploaded` tells when they are there."""
        total = sum(image.size for image in images)
        self.uploaded.synchronize()  # an earlier copy out of the same memory
        host, pixels = self._host_pixels.take(total), self._device_pixels.take(total)
        start = 0
        for image in images:
            part = host[start : start + image.size].numpy()
            np.copyto(part.reshape(image.shape), image)
            start += image.size
        with torch.cuda.stream(self._uploads):
            self._uploads.wait_event(self._computed)  # an earlier use of the same memory
            pixels.copy_(host, non_blocking=True)
            self.uploaded.record()
        return pixels

    def keep(self, packed: Packed) -> None:
        """Copy people out of memory that the next launch may overwrite, on the current stream."""
        self._rows = self._device_rows.take(*packed.rows.shape)
        self._counts = self._host_counts.take(*packed.counts.shape)
        self._rows.copy_(packed.rows)
        self._counts.copy_(packed.counts, non_blocking=True)
        self._computed.record()

    def download(self, shapes: dict[str, torch.Size]) -> Found:
        """Wait for the launch, then fetch exactly the people found, in one copy."""
        self._computed.synchronize()
        counts = self._counts.numpy().copy()
        rows = self._rows[: counts.sum()]
        found = self._host_rows.take(*rows.shape)
        with torch.cuda.stream(self._downloads):
            found.copy_(rows, non_blocking=True)
        self._downloads.synchronize()
        return Found(counts, unpack(found.numpy(), shapes))
