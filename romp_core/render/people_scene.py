"""Draws a synthetic scene: background, shadows, and people and objects in one draw call."""

from dataclasses import dataclass

import cv2
import moderngl
import numpy as np

from romp_core.render import people_backdrop as backdrop_shaders
from romp_core.render import people_shaders as shaders
from romp_core.render.gl import current_device, projection_matrix

_SHADOW_SIZE = 384
_LAYOUT = "3f 3f 3f 3f 1f", "in_position", "in_normal", "in_rest", "in_region", "in_part"
_FLOATS_PER_VERTEX = 13
_PROGRAMS = {
    "body": (shaders.BODY_VERTEX, shaders.BODY_FRAGMENT),
    "piece": (shaders.PIECE_VERTEX, shaders.PIECE_FRAGMENT),
    "object": (shaders.OBJECT_VERTEX, shaders.OBJECT_FRAGMENT),
}


@dataclass(frozen=True)
class Figure:
    """Triangles that look alike: somebody's body, something that they wear, or an object.

    Attributes:
        kind: "body", "object", or one of `people_shaders.PIECES`.
        number: written where it is seen: 1 + number of the person, or 255 for objects.
        looks: (len(LOOKS), 4) float32.
        faces: (F, 3) int32 numbers of the scene's vertices.
    """

    kind: str
    number: int
    looks: np.ndarray
    faces: np.ndarray


@dataclass
class Scene:
    """Everything that a picture shows, in the camera's optical frame.

    Attributes:
        vertices: (N, 13) float32: position, normal, rest position, region (arm, leg, trunk),
            body part.
        figures: what is drawn with them; the nearest first is fastest.
        irradiance: (9, 3) spherical harmonics of the diffuse light, panorama's frame.
        panorama_from_optical: (3, 3), may mirror.
        world_from_optical: (3, 3) rotation into the frame with y up.
        elevation: metres of the camera above the floor.
        key_direction: (3,) towards the key light, optical frame.
        key_color: (3,) RGB.
        mode: "panorama", "picture" or "room".
        backdrop: (h, w, 3) uint8 RGB panorama or picture; None for a room.
        room: half width, height and depth of the room in metres.
        room_looks: (len(LOOKS), 4) float32, the room's surfaces: TOP is its walls, BOTTOM its
            floor.
        contact: (h, w) float32, 0..1: how much of the sky the floor does not see.
        contact_box: x, z of the contact map's corner and its extent in x and z, metres.
        shadow_strength: 1 where shadows fall on the floor as they should.
    """

    vertices: np.ndarray
    figures: list[Figure]
    irradiance: np.ndarray
    panorama_from_optical: np.ndarray
    world_from_optical: np.ndarray
    elevation: float
    key_direction: np.ndarray
    key_color: np.ndarray
    mode: str
    backdrop: np.ndarray | None
    room: tuple[float, float, float]
    room_looks: np.ndarray
    contact: np.ndarray
    contact_box: tuple[float, float, float, float]
    shadow_strength: float


@dataclass
class Rendering:
    """Layers of a rendering; H x W at the resolution that was asked for.

    Attributes:
        color: (H, W, 3) float32 RGB, 0..255, gamma-encoded.
        depth: (H, W) float32 metres along the optical axis, the floor's where it is seen.
        normals: (H, W, 3) float32, optical frame; zero off people and objects.
        rows: (H, W) uint8: 0 background, 255 object, else 1 + row.
        parts: (H, W) uint8: 0 background, 255 object, else 1 + joint number.
    """

    color: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    rows: np.ndarray
    parts: np.ndarray


def shadow_matrix(points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Clip matrix of a light far away: everything that casts or takes shadow is in its box.

    Args:
        points: (N, 3) optical frame.
        direction: (3,) unit vector towards the light.

    Returns:
        (4, 4) float32 for column vectors.
    """
    side = np.cross(direction, [0.31, 0.17, 0.94])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), -direction])
    seen = points @ axes.T
    low, high = seen.min(0) - 0.1, seen.max(0) + 0.1
    high[2] += 10.0  # the floor behind the last person
    matrix = np.eye(4)
    matrix[:3, :3] = axes * (2 / (high - low))[:, None]
    matrix[:3, 3] = -(high + low) / (high - low)
    return matrix.astype(np.float32)


def _set_looks(program: moderngl.Program, looks: np.ndarray) -> None:
    # Compilers shorten an array to the entries that are used.
    uniform = program["looks"]
    uniform.write(np.ascontiguousarray(looks[: uniform.array_length], np.float32))


class SceneRenderer:
    """Renders scenes of one size; belongs to the thread that makes it.

    Args:
        height, width: picture in pixels.
        supersampling: samples per pixel and axis.
        noise: (h, w, 4) float32 tileable noise.
        prints: (h, w, 4) uint8 RGBA atlas of prints.
        face: where the face is in the rest pose: `head_center` (3,), `head_radius`, `eyes`
            (distance from the middle, height, depth) and `mouth_height`, metres.

    Raises:
        RendererError: no off-screen context can be had.
    """

    def __init__(
        self,
        height: int,
        width: int,
        supersampling: int,
        noise: np.ndarray,
        prints: np.ndarray,
        face: dict[str, float | tuple],
    ):
        device = current_device()
        self._ctx = device.ctx
        self._samples = supersampling
        self._size = width * supersampling, height * supersampling
        self._figures = {kind: device.program(*sources) for kind, sources in _PROGRAMS.items()}
        self._shadow = device.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        self._backgrounds = {
            mode: device.program(
                backdrop_shaders.BACKGROUND_VERTEX, backdrop_shaders.background_fragment(mode)
            )
            for mode in backdrop_shaders.BACKGROUND_MODES
        }
        self._uniforms: dict[str, list[moderngl.Uniform]] = {}
        for program in (*self._figures.values(), self._shadow, *self._backgrounds.values()):
            for name in program:
                self._uniforms.setdefault(name, []).append(program[name])
        self._make_textures(noise, prints)
        self._make_targets()
        corners = self._ctx.buffer(np.array([-1, -1, -1, 3, 3, -1], np.float32))
        self._backdrop_arrays = {
            mode: self._ctx.vertex_array(program, [(corners, "2f", "in_corner")])
            for mode, program in self._backgrounds.items()
        }
        self._make_mesh(1 << 18, 1 << 18)
        for name, value in face.items():
            self._set(**{name: value})

    def _make_textures(self, noise: np.ndarray, prints: np.ndarray) -> None:
        ctx = self._ctx
        self._noise = ctx.texture(noise.shape[1::-1], 4, (noise * 255).astype(np.uint8))
        self._prints = ctx.texture(prints.shape[1::-1], 4, np.ascontiguousarray(prints))
        for texture in (self._noise, self._prints):
            texture.build_mipmaps()
            texture.filter = moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR
        self._textures = {"noise_texture": self._noise, "prints": self._prints}

    def _make_targets(self) -> None:
        ctx = self._ctx
        self._layers = [
            ctx.texture(self._size, 4),
            ctx.texture(self._size, 4, dtype="f4"),
            ctx.texture(self._size, 2, dtype="u1"),
        ]
        self._target = ctx.framebuffer(self._layers, ctx.depth_renderbuffer(self._size))
        # Backgrounds are smooth: one sample per pixel is enough for them.
        coarse = self._size[0] // self._samples, self._size[1] // self._samples
        self._backdrop_layers = [ctx.texture(coarse, 4), ctx.texture(coarse, 1, dtype="f4")]
        self._backdrop_target = ctx.framebuffer(self._backdrop_layers)
        self._shadow_map = ctx.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = ctx.framebuffer(depth_attachment=self._shadow_map)
        self._textures["shadow_map"] = self._shadow_map

    def _make_mesh(self, vertices: int, faces: int) -> None:
        self._capacity = vertices, faces
        self._vertices = self._ctx.buffer(reserve=4 * _FLOATS_PER_VERTEX * vertices)
        self._faces = self._ctx.buffer(reserve=12 * faces)
        self._figure_arrays = {
            kind: self._ctx.vertex_array(
                program, [(self._vertices, *_LAYOUT)], self._faces, skip_errors=True
            )
            for kind, program in self._figures.items()
        }
        content = [(self._vertices, f"3f {4 * (_FLOATS_PER_VERTEX - 3)}x", "in_position")]
        self._shadow_array = self._ctx.vertex_array(self._shadow, content, self._faces)

    def _set(self, **uniforms) -> None:
        """Set uniforms in every program that has them."""
        for name, value in uniforms.items():
            for uniform in self._uniforms.get(name, ()):
                if isinstance(value, np.ndarray):
                    uniform.write(np.ascontiguousarray(value, np.float32))
                else:
                    uniform.value = value

    def __call__(self, scene: Scene, intrinsics: np.ndarray) -> Rendering:
        """Draw.

        Args:
            scene: what to draw.
            intrinsics: (3, 3) of the picture, before supersampling.

        Returns:
            The layers; colour averaged over the samples of a pixel, the others from one sample.
        """
        width, height = self._size
        fine = np.diag([self._samples, self._samples, 1.0]) @ intrinsics
        fine[:2, 2] += (self._samples - 1) / 2
        self._upload(scene)
        temporary = self._upload_backdrop(scene)
        projection = projection_matrix(fine, height, width)
        # Clip (x, y, 1) to a ray with z = 1: the inverse of the projection's upper left.
        clip_from_ray = np.array(
            [projection[0, :3], projection[1, :3], [0.0, 0.0, 1.0]], np.float64
        )
        self._set(
            irradiance=scene.irradiance,
            panorama_from_optical=scene.panorama_from_optical.T,
            world_from_optical=scene.world_from_optical.T,
            camera_height=float(scene.elevation),
            key_direction=scene.key_direction,
            key_color=scene.key_color,
            ray_from_clip=np.linalg.inv(clip_from_ray).T,
            shadow_strength=float(scene.shadow_strength),
            shadow_texel=1.2 / _SHADOW_SIZE,
            room=tuple(scene.room),
        )
        for unit, (name, texture) in enumerate(self._textures.items()):
            texture.use(unit)
            self._set(**{name: unit})
        self._draw_shadows(scene)
        self._set(projection=projection.T)
        self._backdrop_target.use()
        if scene.mode == "room":
            _set_looks(self._backgrounds["room"], scene.room_looks)
        self._backdrop_arrays[scene.mode].render(moderngl.TRIANGLES)
        self._target.use()
        self._target.clear()
        self._draw_figures(scene)
        for texture in temporary:
            texture.release()
        return self._read()

    def _upload(self, scene: Scene) -> None:
        faces = [figure.faces for figure in scene.figures]
        faces = np.concatenate([np.zeros((0, 3), np.int32), *faces])
        if len(scene.vertices) > self._capacity[0] or len(faces) > self._capacity[1]:
            self._make_mesh(2 * len(scene.vertices), 2 * len(faces))
        self._vertices.write(np.ascontiguousarray(scene.vertices, np.float32))
        self._faces.write(np.ascontiguousarray(faces, np.int32))

    def _draw_figures(self, scene: Scene) -> None:
        first = 0
        for figure in scene.figures:
            kind = "piece" if figure.kind in shaders.PIECES else figure.kind
            program = self._figures[kind]
            _set_looks(program, figure.looks)
            program["row"].value = figure.number
            if kind == "piece":  # sheets of cloth, seen from both sides
                program["piece"].value = shaders.PIECES.index(figure.kind)
                self._ctx.disable(moderngl.CULL_FACE)
            count = 3 * len(figure.faces)
            self._figure_arrays[kind].render(moderngl.TRIANGLES, vertices=count, first=first)
            self._ctx.enable(moderngl.CULL_FACE)
            first += count

    def _upload_backdrop(self, scene: Scene) -> list[moderngl.Texture]:
        image = scene.backdrop if scene.backdrop is not None else np.zeros((1, 1, 3), np.uint8)
        backdrop = self._ctx.texture(
            image.shape[1::-1], 3, np.ascontiguousarray(image), alignment=1
        )
        backdrop.filter = moderngl.LINEAR, moderngl.LINEAR
        backdrop.repeat_y = False
        contact = self._ctx.texture(
            scene.contact.shape[::-1],
            1,
            np.ascontiguousarray(scene.contact, np.float32),
            dtype="f4",
        )
        contact.filter = moderngl.LINEAR, moderngl.LINEAR
        contact.repeat_x = contact.repeat_y = False
        x, z, width, depth = scene.contact_box
        self._set(contact_box=(x, z, 1 / width, 1 / depth))
        self._textures |= {"backdrop": backdrop, "contact_map": contact}
        return [backdrop, contact]

    def _draw_shadows(self, scene: Scene) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        count = sum(3 * len(figure.faces) for figure in scene.figures)
        if not count or not scene.key_color.any():
            self._set(shadow_matrix=np.eye(4, dtype=np.float32))
            return
        matrix = shadow_matrix(scene.vertices[::5, :3], scene.key_direction)
        self._set(shadow_matrix=matrix.T)
        self._ctx.disable(moderngl.CULL_FACE)
        self._shadow_array.render(moderngl.TRIANGLES, vertices=count)
        self._ctx.enable(moderngl.CULL_FACE)

    def _read(self) -> Rendering:
        width, height = self._size
        coarse = width // self._samples, height // self._samples
        color, geometry, ids = (
            np.frombuffer(layer.read(), dtype).reshape(height, width, -1)
            for layer, dtype in zip(self._layers, (np.uint8, np.float32, np.uint8), strict=True)
        )
        behind, floor = (
            np.frombuffer(layer.read(), dtype).reshape(coarse[1], coarse[0], -1)
            for layer, dtype in zip(self._backdrop_layers, (np.uint8, np.float32), strict=True)
        )
        # The mean of the samples; its alpha is the share of a pixel that people cover.
        color = cv2.resize(color, coarse, interpolation=cv2.INTER_AREA).astype(np.float32)
        alpha = color[..., 3:] / 255
        color = color[..., :3] + (1 - alpha) * behind[..., :3]
        middle = slice(self._samples // 2, None, self._samples)
        geometry, ids = geometry[middle, middle], ids[middle, middle]
        rows = ids[..., 0].copy()
        depth = np.where(rows > 0, geometry[..., 3], floor[..., 0])
        return Rendering(color, depth, geometry[..., :3].copy(), rows, ids[..., 1].copy())
