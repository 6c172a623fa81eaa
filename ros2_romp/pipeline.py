"""What the worker does with waiting images: unpack, predict in one batch, publish."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import rclpy
from rclpy.impl.rcutils_logger import RcutilsLogger

from romp_core import People
from ros2_romp.camera import Camera, Frame, Wanted
from ros2_romp.drawing import Drawing, Scene
from ros2_romp.humans import Humans
from ros2_romp.parameters import Settings
from ros2_romp.predictor import PredictionError, Predictor
from ros2_romp.transforms import BodyFrames


@dataclass(frozen=True)
class SharedOutputs:
    """What the people of all cameras also go to; None: to neither.

    Attributes:
        frames: TF.
        humans: ROS4HRI.
    """

    frames: BodyFrames | None = None
    humans: Humans | None = None

    def clear(self) -> None:
        """Tell that nobody is seen any more."""
        if self.humans is not None:
            self.humans.clear()

    def destroy(self) -> None:
        """Take their topics away."""
        for output in (self.frames, self.humans):
            if output is not None:
                output.destroy()


class Pipeline:
    """From serialised images to published results; runs in the worker's thread.

    Args:
        predictor: the model.
        cameras: by name.
        outputs: that they share.
        settings: gives the current parameters.
        logger: where trouble is reported, at most once a second.
    """

    def __init__(
        self,
        predictor: Predictor,
        cameras: Mapping[str, Camera],
        outputs: SharedOutputs,
        settings: Callable[[], Settings],
        logger: RcutilsLogger,
    ):
        self._predictor = predictor
        self._cameras = cameras
        self._outputs = outputs
        self._settings = settings
        self._logger = logger
        self._drawing: Drawing | None = None

    def start(self) -> None:
        """Be ready to process."""
        self._drawing = Drawing(self._predictor.romp.body.faces, self._logger)

    def stop(self, timeout: float | None = None) -> bool:
        """Draw nothing more, once `process` is no longer called; see `Worker.stop`."""
        return self._drawing is None or self._drawing.stop(timeout)

    @property
    def overlay_problem(self) -> str:
        """Why overlays cannot be drawn; empty: nothing is known against it."""
        return self._drawing.overlay_problem if self._drawing else ""

    def process(self, messages: Mapping[str, bytes]) -> None:
        """Answer one serialised image of each camera that has one; never raises.

        Args:
            messages: by the camera's name.
        """
        start = time.perf_counter()
        settings = self._settings()
        batch: list[tuple[Camera, Frame]] = []
        for name, message in messages.items():
            camera = self._cameras.get(name)
            if camera is None:  # of a camera that is gone
                continue
            with self._failing(camera, problem="the image cannot be unpacked: "):
                frame = camera.unpack(message, settings)
                if frame is not None:
                    batch.append((camera, frame))
        if batch:
            with self._failing(*(camera for camera, _ in batch)):
                self._answer(batch, settings, start)

    @contextmanager
    def _failing(self, *cameras: Camera, problem: str = "") -> Iterator[None]:
        """Whatever fails inside is counted for these cameras; the next image gets its chance."""
        try:
            yield
        except Exception as error:
            if not rclpy.ok():  # nobody is there any more to publish to, or to tell
                return
            is_models = isinstance(error, PredictionError)
            kind = "model failed" if is_models else type(error).__name__
            reason = f"{problem}{kind}: {error}"
            for camera in cameras:
                camera.statistics.failed(reason)
            self._logger.error(f"no result: {reason}", throttle_duration_sec=1.0)

    def _answer(
        self, batch: Sequence[tuple[Camera, Frame]], settings: Settings, start: float
    ) -> None:
        wanted = [camera.wanted(settings) for camera, _ in batch]
        # Smoothed people get their meshes when they are smoothed.
        to_show = not (settings.tracking and settings.smoothing)
        prediction = self._predictor.predict(
            [frame.pixels for _, frame in batch],
            [frame.calibration.camera for _, frame in batch],
            settings,
            with_vertices=any(
                camera.needs_meshes or (wants.needs_meshes and to_show)
                for (camera, _), wants in zip(batch, wanted, strict=True)
            ),
        )
        for (camera, frame), people, wants in zip(batch, prediction.people, wanted, strict=True):
            with self._failing(camera):
                self._publish(camera, frame, people, wants, settings)
                overhead = time.perf_counter() - start - prediction.seconds
                camera.count_answer(frame, len(people), prediction.seconds, overhead)

    def _publish(
        self, camera: Camera, frame: Frame, people: People, wants: Wanted, settings: Settings
    ) -> None:
        """Everything about one image; markers and overlay are left to their own thread."""
        people = camera.refine(frame, people, settings, with_vertices=wants.needs_meshes)
        camera.publish(frame, people, wants)
        if self._outputs.frames is not None:
            self._outputs.frames.publish(people, frame.header)
        if self._outputs.humans is not None:
            self._outputs.humans.publish(camera.name, people, frame.header, frame.pixels)
        self._drawing.put(Scene(camera, frame, people, wants, settings))
