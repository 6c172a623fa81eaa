"""People drawn over the image that they were seen in, and maps of who is where."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np

from romp_core.errors import ConfigError
from romp_core.geometry.cameras import checked_intrinsics, intrinsics_from_fov
from romp_core.preprocessing import check_image
from romp_core.render.gl import NEAR, Mesh, RenderTarget, current_device, projection_matrix
from romp_core.render.mesh import Topology

if TYPE_CHECKING:
    from romp_core.people import People

Order = Literal["depth", "body"]

# From the palettes of Okabe and Ito and of Tol. With colour-blind eyes as well, any two are at
# least 20 apart in CIELAB, and neighbours in the list 50.
_PALETTE = (
    (86, 180, 233),
    (240, 228, 66),
    (0, 158, 115),
    (0, 114, 178),
    (213, 94, 0),
    (136, 34, 85),
    (221, 221, 221),
    (51, 34, 136),
    (221, 204, 119),
)

_VERTEX_SHADER = """
#version 330
uniform mat4 projection;
in vec3 in_position;
in vec3 in_normal;
out vec3 position;
out vec3 normal;
void main() {
    position = in_position;
    normal = in_normal;
    gl_Position = projection * vec4(in_position, 1.0);
}
"""

# A key light over the viewer's left shoulder that wraps around the body, light from above, and
# edges that darken a little so that bodies of like colours part.
_SHADED = """
#version 330
uniform vec3 color;
in vec3 position;
in vec3 normal;
out vec4 shaded;
const vec3 to_key_light = normalize(vec3(-0.45, -0.65, -0.75));
void main() {
    vec3 n = normalize(normal);
    vec3 to_eye = normalize(-position);
    float key = max((dot(n, to_key_light) + 0.3) / 1.3, 0.0);
    float sky = 0.5 - 0.5 * n.y;
    float facing = max(dot(n, to_eye), 0.0);
    float gloss = pow(max(dot(n, normalize(to_key_light + to_eye)), 0.0), 30.0);
    float light = (0.30 + 0.18 * sky + 0.60 * key) * mix(0.72, 1.0, sqrt(facing));
    shaded = vec4(color * light + 0.10 * gloss, 1.0);
}
"""

_NUMBERED = """
#version 330
uniform float number;
out float shaded;
void main() { shaded = number; }
"""


def track_color(track_id: int) -> tuple[int, int, int]:
    """Colour of an identity, RGB 0..255, from a fixed palette fit for colour-blind eyes.

    Ids that follow each other differ; the palette starts over after nine.
    """
    return _PALETTE[(track_id - 1) % len(_PALETTE)]


class Renderer:
    """Draws bodies off-screen. Any thread may use it; each thread gets a context of its own.

    What is drawn once (contexts, buffers, framebuffers of recent sizes) is kept for the next image.

    Raises:
        RendererError: no off-screen OpenGL context can be had; it names the packages to install.
    """

    def __init__(self):
        current_device()
        self._thread = threading.local()

    def draw_people(
        self,
        image: np.ndarray,
        people: "People",
        faces: np.ndarray,
        intrinsics: np.ndarray | None = None,
        *,
        order: Order = "depth",
        alpha: float = 1.0,
    ) -> np.ndarray:
        """Copy of an image with every person's body over it, one colour per track id.

        Args:
            image: (H, W, 3) uint8 BGR.
            people: their `vertices` (K, V, 3), metres in the optical frame, and `track_ids` (K,);
                people without identity (0) are coloured by their order.
            faces: (F, 3) int triangles, as in `BodyModel.faces`.
            intrinsics: (3, 3) K in pixels; else a horizontal field of view of 60 degrees.
            order: "depth" decides who is in front pixel by pixel. "body" draws people whole, the
                farthest first, so that no limb reaches through another person (the paper's
                body-level depth order).
            alpha: 0 (nothing) to 1 (opaque).

        Returns:
            (H, W, 3) uint8 BGR; a plain copy where nobody is.

        Raises:
            ImageError: the image has another shape or dtype.
            ConfigError: the intrinsics, the order or alpha cannot be used.
            ValueError: vertices or faces of another shape, or faces of another body.
            RendererError: the image is larger than OpenGL can draw.
        """
        check_image(image)
        check_alpha(alpha)
        height, width = image.shape[:2]
        bodies = _Bodies(people.vertices, intrinsics, height, width, order)
        overlay = image.copy()
        if bodies.box is None or alpha == 0:
            return overlay
        colors = [
            # BGR, as the image.
            np.divide(track_color(int(track_id) or index + 1)[::-1], 255)
            for index, track_id in enumerate(people.track_ids)
        ]
        device = current_device()
        target = device.target(height, width, samples=device.samples)
        self._draw(target, bodies, faces, _SHADED, "color", colors)
        left, top, right, bottom = bodies.box
        _blend(overlay[top:bottom, left:right], target.read(bodies.box), alpha)
        return overlay

    def render_ids(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        height: int,
        width: int,
        intrinsics: np.ndarray | None = None,
        *,
        order: Order = "depth",
    ) -> np.ndarray:
        """Whom each pixel's centre shows.

        Args:
            vertices: (K, V, 3), metres in the optical frame.
            faces: (F, 3) int triangles.
            height, width: image size in pixels.
            intrinsics, order: as in `draw_people`.

        Returns:
            (H, W) int32: 0 to K-1, and -1 where nobody is.
        """
        bodies = _Bodies(vertices, intrinsics, height, width, order)
        ids = np.full((height, width), -1, np.int32)
        if bodies.box is None:
            return ids
        target = current_device().target(height, width, components=1, dtype="f4")
        # Numbered from 1: an empty target holds zeros.
        numbers = np.arange(1, len(vertices) + 1)
        self._draw(target, bodies, faces, _NUMBERED, "number", numbers)
        left, top, right, bottom = bodies.box
        ids[top:bottom, left:right] = target.read(bodies.box)[..., 0] - 1
        return ids

    def _draw(
        self,
        target: RenderTarget,
        bodies: "_Bodies",
        faces: np.ndarray,
        fragment_shader: str,
        uniform: str,
        values: Sequence,
    ) -> None:
        """Draw all bodies, each with its own value of a uniform."""
        topology, mesh = self._mesh_for(faces, bodies.vertices.shape[1])
        program = current_device().program(_VERTEX_SHADER, fragment_shader)
        # OpenGL keeps matrices column by column.
        program["projection"].write(bodies.projection.T.tobytes())
        normals = topology.normals(bodies.vertices) if "in_normal" in program else None
        target.start()
        for index in bodies.drawing_order:
            program[uniform] = values[index]
            mesh.write(in_position=bodies.vertices[index])
            if normals is not None:
                mesh.write(in_normal=normals[index])
            if bodies.order == "body":
                target.clear_depth(bodies.box)
            mesh.draw(program)

    def _mesh_for(self, faces: np.ndarray, vertex_count: int) -> tuple[Topology, Mesh]:
        """This thread's buffers for a body; made again only when the body changes."""
        kept = getattr(self._thread, "mesh", None)
        if kept is not None:
            topology, _ = kept
            if topology.vertex_count == vertex_count and np.array_equal(topology.faces, faces):
                return kept
        topology = Topology(faces, vertex_count)
        attributes = {"in_position": 3, "in_normal": 3}
        mesh = Mesh(current_device(), topology.faces, vertex_count, attributes)
        self._thread.mesh = (topology, mesh)
        return self._thread.mesh


class _Bodies:
    """Checked bodies in front of a camera: what is drawn, in which order, and where it lands."""

    def __init__(
        self,
        vertices: np.ndarray,
        intrinsics: np.ndarray | None,
        height: int,
        width: int,
        order: Order,
    ):
        if order not in get_args(Order):
            raise ConfigError(f"order is {order!r}; expected 'depth' or 'body'")
        if intrinsics is None:
            intrinsics = intrinsics_from_fov(height, width)
        K = checked_intrinsics(intrinsics).astype(np.float64)
        self.vertices = np.asarray(vertices, np.float32)
        shape = self.vertices.shape
        if len(shape) != 3 or shape[2] != 3 or (shape[0] and not shape[1]):
            raise ValueError(
                f"vertices have shape {shape}; expected (K, V, 3): the vertices of each person, "
                "which prediction leaves out if told so"
            )
        self.order = order
        self.projection = projection_matrix(K, height, width)
        self.box = _pixel_box(self.vertices, K, height, width)

    @property
    def drawing_order(self) -> np.ndarray:
        """Numbers of the bodies, the farthest first where bodies are drawn whole."""
        depth = self.vertices[..., 2].mean(1)
        return np.argsort(-depth) if self.order == "body" else np.arange(len(depth))


def _pixel_box(
    vertices: np.ndarray, K: np.ndarray, height: int, width: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (excluded) around everything that may be seen, or None."""
    seen = vertices[vertices[..., 2].max(1, initial=-np.inf) > NEAR]
    if not seen.size:
        return None
    if seen[..., 2].min() <= NEAR:
        return 0, 0, width, height
    projected = seen.reshape(-1, 3) @ K[:2].T / seen.reshape(-1, 1, 3)[..., 2]
    # A pixel reaches half a pixel from its centre; the next whole number covers that.
    low = np.floor(projected.min(0)).astype(int)
    high = np.ceil(projected.max(0)).astype(int) + 1
    left, right = np.clip([low[0], high[0]], 0, width)
    top, bottom = np.clip([low[1], high[1]], 0, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def check_alpha(alpha: float) -> None:
    """Raise ConfigError on an opacity that is not 0 to 1."""
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha is {alpha}; expected 0 to 1")


def _blend(image: np.ndarray, drawn: np.ndarray, alpha: float) -> None:
    """Put premultiplied BGRA (h, w, 4) over a BGR view (h, w, 3), in place."""
    color = cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)
    coverage = cv2.cvtColor(cv2.extractChannel(drawn, 3), cv2.COLOR_GRAY2BGR)
    hidden = cv2.multiply(image, coverage, scale=alpha / 255)
    image[:] = cv2.addWeighted(cv2.subtract(image, hidden), 1, color, alpha, 0)
