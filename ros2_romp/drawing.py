"""What people look at, markers and overlays, made while the network sees the next image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import rclpy
from rclpy.impl.rcutils_logger import RcutilsLogger

from romp_core import People
from romp_core.errors import RendererError
from romp_core.render.overlay import Renderer
from ros2_romp.camera import Camera, Frame, Wanted
from ros2_romp.parameters import Settings
from ros2_romp.worker import Worker


@dataclass(frozen=True)
class Scene:
    """What is to be drawn of one image.

    Attributes:
        camera: whose image it is.
        frame: the image.
        people: in it, with vertices if `wanted.needs_meshes`.
        wanted: what is asked for.
        settings: of that moment.
    """

    camera: Camera
    frame: Frame
    people: People
    wanted: Wanted
    settings: Settings


class Drawing:
    """Publishes markers and overlays from a thread of its own.

    A result never waits for them: where drawing takes longer than the network, each camera's
    newest scene is drawn and those before it are not.

    Args:
        faces: (F, 3) triangles of the body.
        logger: where trouble is reported, at most once a second.

    Attributes:
        overlay_problem: why overlays cannot be drawn; empty: nothing is known against it.
    """

    def __init__(self, faces: np.ndarray, logger: RcutilsLogger):
        self._faces = faces
        self._logger = logger
        self._renderer: Renderer | None = None
        self._worker: Worker[Scene] = Worker(self._draw)
        self._worker.start()
        self.overlay_problem = ""

    def put(self, scene: Scene) -> None:
        """Leave a scene to be drawn if anything of it is asked for; never waits."""
        wanted = scene.wanted
        if wanted.markers or wanted.overlay or scene.camera.shows_markers:
            self._worker.put(scene.camera.name, scene)

    def stop(self, timeout: float | None = None) -> bool:
        """Draw nothing more; see `Worker.stop`."""
        return self._worker.stop(timeout)

    def _draw(self, scenes: Mapping[str, Scene]) -> None:
        for scene in scenes.values():
            try:
                scene.camera.publish_markers(
                    scene.frame, scene.people, scene.wanted, scene.settings
                )
                if scene.wanted.overlay:
                    self._publish_overlay(scene)
            except Exception as error:  # whatever it is, the next scene gets its chance
                if not rclpy.ok():  # nobody is there any more to publish to, or to tell
                    return
                self._logger.error(
                    f"nothing drawn: {type(error).__name__}: {error}", throttle_duration_sec=1.0
                )

    def _publish_overlay(self, scene: Scene) -> None:
        lens = scene.frame.calibration.camera
        people = replace(scene.people, vertices=lens.as_pinhole_sees(scene.people.vertices))
        try:
            if self._renderer is None:
                self._renderer = Renderer()  # in the thread that draws
            picture = self._renderer.draw_people(
                scene.frame.pixels, people, self._faces, lens.intrinsics
            )
        except RendererError as error:
            self.overlay_problem = str(error)
            self._logger.warning(f"no overlay: {error}", throttle_duration_sec=1.0)
            return
        self.overlay_problem = ""
        scene.camera.publish_overlay(scene.frame, picture)
