"""From a batch of images to people: settings, memory limits and times. Needs no ROS."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from romp_core import People, Romp, load
from romp_core.errors import RompError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from ros2_romp.parameters import Settings


class PredictionError(RompError, RuntimeError):
    """The network could not process images that are fine in themselves."""


_COMMON_SHAPES = (480, 640), (720, 1280)
"""Of images, height and width: for each shape something may have to be prepared."""


@dataclass(frozen=True)
class Prediction:
    """What one call of the network gave.

    Attributes:
        people: of each image.
        seconds: how long the images waited for it.
    """

    people: list[People]
    seconds: float


class Predictor:
    """A model under the node's parameters.

    Args:
        settings: which model to load.

    Attributes:
        romp: the model.
        batch_limit: most images in one forward pass; None: as many as there are cameras.

    Raises:
        FileNotFoundError: no such weights or body.
        CheckpointError, BodyFileError, ConfigError: they, or the device, cannot be used.
        PredictionError: the device cannot run the model.
    """

    def __init__(self, settings: Settings):
        self.romp: Romp = load(
            os.path.expanduser(settings.model),
            device=None if settings.device == "auto" else settings.device,
            runtime=settings.runtime,
            precision=settings.precision,
            body=os.path.expanduser(settings.body_model),
            input_size=settings.input_size or None,
        )
        self.batch_limit: int | None = None
        self._warm_up(settings)

    def _warm_up(self, settings: Settings) -> None:
        """Meet a device's troubles, and pay for its preparations, before the first image."""
        for shape in _COMMON_SHAPES:
            camera = CameraModel(intrinsics_from_fov(*shape, settings.horizontal_fov_deg))
            image = np.zeros((*shape, 3), np.uint8)
            self.predict([image], [camera], settings, with_vertices=True)

    def predict(
        self,
        images: Sequence[np.ndarray],
        cameras: Sequence[CameraModel],
        settings: Settings,
        *,
        with_vertices: bool,
    ) -> Prediction:
        """Everybody in several images.

        When the device's memory does not suffice for all at once, they go one by one from then
        on.

        Args:
            images: (H, W, 3) uint8 BGR each.
            cameras: that took them.
            settings: thresholds.
            with_vertices: whether meshes are needed.

        Raises:
            PredictionError: the network failed, also with a single image.
        """
        self.romp.center_threshold = settings.center_threshold
        self.romp.max_people = settings.max_people
        start = time.perf_counter()
        try:
            people = self._in_batches(images, cameras, with_vertices)
        except torch.OutOfMemoryError as error:
            reason = f"the memory of {self.romp.device} does not suffice for one image"
            raise PredictionError(f"{reason}: {_first_line(error)}") from error
        except Exception as error:  # whatever a driver or runtime comes up with
            raise PredictionError(f"{type(error).__name__}: {_first_line(error)}") from error
        return Prediction(people, time.perf_counter() - start)

    def _in_batches(
        self,
        images: Sequence[np.ndarray],
        cameras: Sequence[CameraModel],
        with_vertices: bool,
    ) -> list[People]:
        people: list[People] = []
        while len(people) < len(images):
            limit = self.batch_limit or len(images)
            batch = slice(len(people), len(people) + limit)
            try:
                people += self.romp.predict_batch(
                    images[batch], cameras[batch], with_vertices=with_vertices
                )
            except torch.OutOfMemoryError:
                if limit == 1:
                    raise
                self.batch_limit = 1
                free_device_memory()
        return people

    def describe(self) -> dict[str, str]:
        """What runs where, in words."""
        config = self.romp.network.config
        described = {
            "network": f"{config.backbone}, {config.input_size}x{config.input_size} pixels",
            "body": self.romp.body.id,
            "device": str(self.romp.device),
            "runtime": self.romp.runtime_name,
            "images per forward pass": str(self.batch_limit or "all cameras"),
        }
        if self.romp.device.type == "cuda":
            megabytes = torch.cuda.memory_reserved(self.romp.device) >> 20
            described["device memory (MiB)"] = str(megabytes)
        return described


def free_device_memory() -> None:
    """Give back what a model that is gone has left in torch's reserve."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
