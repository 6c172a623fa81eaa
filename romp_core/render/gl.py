"""Off-screen OpenGL: one context per thread, and what is kept in it from picture to picture.

Camera: the optical frame (x right, y down, z forward, metres) goes straight to the
framebuffer, whose first row is the image's first row, so nothing is flipped on the way
back. Seen like this, faces that are counter-clockwise from outside turn clockwise.
"""

import ctypes
import threading
from collections import OrderedDict

import moderngl
import numpy as np

from romp_core.errors import RendererError

NEAR = 0.05
"""Distance in metres of the plane in front of the lens where triangles are cut off."""

_MAX_TARGETS = 4
_thread = threading.local()


def projection_matrix(intrinsics: np.ndarray, height: int, width: int) -> np.ndarray:
    """OpenGL clip matrix of a pinhole camera, with nothing too far away to be seen.

    A point lands where ``K @ point`` says, pixel centres at integers: clip x / w is
    ``2 (u + 0.5) / width - 1``, and likewise for y.

    Args:
        intrinsics: (3, 3) K in pixels.
        height, width: image size in pixels.

    Returns:
        (4, 4) float32, to be multiplied with column vectors.
    """
    K = np.asarray(intrinsics, np.float64)
    pixels_to_clip = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1]])
    projection = np.zeros((4, 4))
    projection[:2, :3] = pixels_to_clip @ K
    # The limit of the usual depth row for a far plane at infinity.
    projection[2] = [0, 0, 1, -2 * NEAR]
    projection[3, 2] = 1
    return projection.astype(np.float32)


def _draw_nearest_outsides(ctx: moderngl.Context) -> None:
    ctx.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
    ctx.front_face = "cw"


class RenderTarget:
    """Framebuffer with depth, read back as an array whose first row is the image's first.

    Args:
        ctx: context of the calling thread.
        height, width: size in pixels.
        components: channels, 1 to 4.
        dtype: "f1" (uint8) or "f4" (float32).
        samples: samples per pixel for smooth edges; 0 for the value at the pixel's centre.
    """

    def __init__(
        self,
        ctx: moderngl.Context,
        height: int,
        width: int,
        components: int = 4,
        dtype: str = "f1",
        samples: int = 0,
    ):
        size = (width, height)
        self.ctx, self.components, self.dtype = ctx, components, dtype
        self.framebuffer = ctx.framebuffer(
            ctx.renderbuffer(size, components, samples=samples, dtype=dtype),
            ctx.depth_renderbuffer(size, samples=samples),
        )
        self._resolved = (
            ctx.framebuffer(ctx.renderbuffer(size, components, dtype=dtype)) if samples else None
        )

    def start(self) -> None:
        """Clear to zeros; what is drawn from now on goes here, outsides and nearest only."""
        # Others who draw in this context may have left it in another state.
        _draw_nearest_outsides(self.ctx)
        self.framebuffer.use()
        self.ctx.viewport = (0, 0, *self.framebuffer.size)
        self.framebuffer.clear()

    def clear_depth(self, box: tuple[int, int, int, int]) -> None:
        """Let whatever is drawn next in a box (left, top, right, bottom) cover what is there."""
        left, top, right, bottom = box
        self.framebuffer.color_mask = (False,) * 4
        self.framebuffer.clear(viewport=(left, top, right - left, bottom - top))
        self.framebuffer.color_mask = (True,) * 4
        self.framebuffer.use()  # makes the mask take effect

    def read(self, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """What was drawn.

        Args:
            box: left, top, right, bottom in pixels, right and bottom excluded; else everything.

        Returns:
            (bottom - top, right - left, components), uint8 or float32.
        """
        source = self.framebuffer
        if self._resolved is not None:
            self.ctx.copy_framebuffer(self._resolved, source)
            source = self._resolved
        left, top, right, bottom = box or (0, 0, *source.size)
        data = source.read(
            (left, top, right - left, bottom - top), self.components, dtype=self.dtype
        )
        values = np.frombuffer(data, np.uint8 if self.dtype == "f1" else np.float32)
        return values.reshape(bottom - top, right - left, self.components)


class Device:
    """An off-screen context with the programs and targets made in it; see `current_device`.

    Attributes:
        ctx: the moderngl context.
        samples: most samples per pixel that are worth while and possible.
    """

    def __init__(self):
        try:
            self._egl = ctypes.CDLL("libEGL.so.1")
            self.ctx = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:  # moderngl and the loader below it raise what they like
            raise RendererError(
                f"no off-screen OpenGL 3.3 context: {error}. Install EGL and Mesa's software "
                "renderer: apt-get install libegl1 libgl1-mesa-dri"
            ) from error
        _draw_nearest_outsides(self.ctx)
        # What Python has forgotten waits until its own thread has OpenGL delete it.
        self.ctx.gc_mode = "context_gc"
        self.samples = min(4, self.ctx.max_samples)
        self._programs: dict[tuple[str, str], moderngl.Program] = {}
        self._targets: OrderedDict[tuple, RenderTarget] = OrderedDict()

    def program(self, vertex_shader: str, fragment_shader: str) -> moderngl.Program:
        """Compiled shaders; compiled once."""
        key = (vertex_shader, fragment_shader)
        if key not in self._programs:
            self._programs[key] = self.ctx.program(*key)
        return self._programs[key]

    def target(
        self, height: int, width: int, components: int = 4, dtype: str = "f1", samples: int = 0
    ) -> RenderTarget:
        """A target of this size and kind; the few used last are kept.

        Raises:
            RendererError: the size is beyond what the context can hold.
        """
        limit = self.ctx.info["GL_MAX_RENDERBUFFER_SIZE"]
        if not (0 < height <= limit and 0 < width <= limit):
            raise RendererError(
                f"cannot render {width}x{height} pixels; expected 1 to {limit} on each side: take "
                "a smaller picture"
            )
        key = (height, width, components, dtype, samples)
        if key not in self._targets:
            if len(self._targets) == _MAX_TARGETS:
                self._targets.popitem(last=False)
            self._targets[key] = RenderTarget(self.ctx, *key)
        self._targets.move_to_end(key)
        return self._targets[key]

    def collect(self) -> int:
        """Delete the OpenGL objects that Python has forgotten; how many there were."""
        count = 0
        while self.ctx.objects:
            item = self.ctx.objects.popleft()
            # moderngl's own ctx.gc() trips over what somebody has released by hand.
            if hasattr(item, "release"):
                item.release()
                count += 1
        return count

    def __del__(self):
        # Runs as its thread ends. What was made in the context goes with it, but not before the
        # context is no longer the thread's current one.
        if hasattr(self, "ctx"):
            self.ctx.release()
            self._egl.eglReleaseThread()


def current_device() -> Device:
    """The calling thread's device, made at the first call: a context serves one thread only.

    Raises:
        RendererError: no context can be had.
    """
    if not hasattr(_thread, "device"):
        _thread.device = Device()
    _thread.device.collect()
    return _thread.device


class Mesh:
    """Triangles on a device whose vertices change from draw to draw; the buffers stay.

    Args:
        device: device of the calling thread.
        faces: (F, 3) int vertex numbers, counter-clockwise from outside.
        vertex_count: V.
        attributes: floats per vertex by attribute name, such as ``{"in_position": 3}``.
    """

    def __init__(
        self, device: Device, faces: np.ndarray, vertex_count: int, attributes: dict[str, int]
    ):
        self._ctx = device.ctx
        self._index = self._ctx.buffer(np.ascontiguousarray(faces, np.int32).tobytes())
        self._buffers = {
            name: self._ctx.buffer(reserve=4 * size * vertex_count, dynamic=True)
            for name, size in attributes.items()
        }
        self._sizes = attributes
        self._arrays: dict[moderngl.Program, moderngl.VertexArray] = {}

    def write(self, **values: np.ndarray) -> None:
        """Set attributes by name, each (V, size)."""
        for name, value in values.items():
            # A new store lets the driver finish the last draw while this one is filled.
            self._buffers[name].orphan()
            self._buffers[name].write(np.ascontiguousarray(value, np.float32))

    def draw(self, program: moderngl.Program) -> None:
        """Draw with a program that reads some or all of the attributes."""
        if program not in self._arrays:
            content = [
                (buffer, f"{self._sizes[name]}f", name)
                for name, buffer in self._buffers.items()
                if name in program
            ]
            self._arrays[program] = self._ctx.vertex_array(program, content, self._index)
        self._arrays[program].render()
