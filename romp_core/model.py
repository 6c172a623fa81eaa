"""Romp: from images to people."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from romp_core.body.model import BodyModel
from romp_core.center_map import Detections, decode
from romp_core.checkpoints import body_family, read_checkpoint
from romp_core.errors import ConfigError
from romp_core.geometry.cameras import Letterbox, intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.geometry.rotations import matrix_to_axis_angle
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.people import People
from romp_core.place.monocular import place_by_pixels
from romp_core.posing import boxes_around
from romp_core.preprocessing import check_image, letterbox_batch

RUNTIMES = ("auto", "torch")


class Romp:
    """A network, a body, and the way from an image to `People`.

    Args:
        network: the network; moved to the device.
        body: the body; moved to the device.
        device: where everything runs.
        root_align: whether the network was trained with the body's root subtracted before
            projection (it belongs to the weights).
        use_betas: false where the weights were trained with another body: betas are then zero.
        center_threshold: confidence that a person must exceed (paper: 0.2).
        max_people: at most so many people per image.
        horizontal_fov_deg: horizontal field of view in degrees where no intrinsics are given.

    Attributes:
        network: (B, 3, S, S) float RGB 0..255 -> `Maps`.
    """

    def __init__(
        self,
        network: RompNetwork,
        body: BodyModel,
        *,
        device: str | torch.device = "cpu",
        root_align: bool = True,
        use_betas: bool = True,
        center_threshold: float = 0.2,
        max_people: int = 64,
        horizontal_fov_deg: float = 60.0,
    ):
        _check_options(center_threshold, max_people, horizontal_fov_deg)
        self.device = _usable_device(device)
        self.network = network.to(self.device).eval()
        self.decoder = MeshDecoder(body, root_align=root_align, use_betas=use_betas)
        self.decoder.to(self.device).eval()
        self.center_threshold = center_threshold
        self.max_people = max_people
        self.horizontal_fov_deg = horizontal_fov_deg

    @property
    def body(self) -> BodyModel:
        """The body; its `faces`, `joint_names` and `parents` describe the results."""
        return self.decoder.body

    def predict(
        self,
        image: np.ndarray,
        intrinsics: np.ndarray | CameraModel | None = None,
        *,
        with_vertices: bool = True,
    ) -> People:
        """Everybody in one image.

        Args:
            image: (H, W, 3) uint8, BGR.
            intrinsics: (3, 3) K in pixels of the image, or `CameraModel` where the lens distorts;
                None assumes `horizontal_fov_deg`.
            with_vertices: false saves the mesh; `vertices` is then (K, 0, 3).

        Returns:
            `People`, most confident first; of length 0 where nobody is seen.

        Raises:
            ImageError: not a non-empty (H, W, 3) uint8 array.
            ValueError: intrinsics that are no camera's.
        """
        return self.predict_batch([image], [intrinsics], with_vertices=with_vertices)[0]

    def predict_batch(
        self,
        images: Sequence[np.ndarray],
        intrinsics: Sequence[np.ndarray | CameraModel | None] | None = None,
        *,
        with_vertices: bool = True,
    ) -> list[People]:
        """Everybody in several images, in one forward pass.

        Args:
            images: (H, W, 3) uint8, BGR; sizes may differ.
            intrinsics: one (3, 3) K, `CameraModel` or None per image.
            with_vertices: as in `predict`.

        Returns:
            `People` per image.

        Raises:
            As `predict`.
        """
        for image in images:
            check_image(image)
        if intrinsics is None:
            intrinsics = [None] * len(images)
        if len(intrinsics) != len(images):
            raise ValueError(
                f"{len(intrinsics)} intrinsics for {len(images)} images; expected one each, or None"
            )
        cameras = [
            self._camera(image, given) for image, given in zip(images, intrinsics, strict=True)
        ]
        if len(images) == 0:
            return []
        size = self.network.config.input_size
        with torch.inference_mode():
            maps = self.network(letterbox_batch(list(images), size, self.device))
            found = decode(maps.center_map, maps.params_map, self.center_threshold, self.max_people)
            return self._people(
                found,
                [image.shape[:2] for image in images],
                cameras,
                with_vertices=with_vertices,
            )

    def _camera(
        self, image: np.ndarray, intrinsics: np.ndarray | CameraModel | None
    ) -> CameraModel:
        if isinstance(intrinsics, CameraModel):
            return intrinsics
        if intrinsics is None:
            intrinsics = intrinsics_from_fov(*image.shape[:2], self.horizontal_fov_deg)
        return CameraModel(intrinsics)

    def _people(
        self,
        found: Detections,
        sizes: Sequence[tuple[int, int]],
        cameras: Sequence[CameraModel],
        *,
        with_vertices: bool,
    ) -> list[People]:
        """People per image out of detections (B, N); all bodies in one batch."""
        counts = found.valid.sum(1)
        owner = torch.repeat_interleave(counts)  # the image that each person is in
        bodies = self.decoder(found.params[found.valid].float(), with_vertices=with_vertices)
        half_side, offset, limit = self._letterboxes(sizes)
        half_side, offset, limit = half_side[owner], offset[owner], limit[owner]

        def to_pixels(normalized: Tensor) -> Tensor:
            return (normalized + 1) * half_side[:, None, None] - offset[:, None]

        keypoints = to_pixels(bodies.projected)
        mesh = bodies.joints[:, :0] if bodies.vertices is None else bodies.vertices
        cells = found.cells[found.valid].float() + 0.5
        stride = self.network.config.map_stride / self.network.config.input_size
        result = {
            "confidence": found.confidence[found.valid],
            "pose": matrix_to_axis_angle(bodies.rotations).flatten(1),
            "betas": bodies.betas,
            "camera": bodies.camera,
            "translation": torch.zeros(len(owner), 3),
            "vertices": mesh,
            "joints": bodies.joints,
            "keypoints_2d": keypoints,
            "boxes": boxes_around(keypoints, limit),
            "track_ids": torch.zeros(len(owner), dtype=torch.int64),
            "center": to_pixels((2 * stride * cells - 1)[:, None])[:, 0],
        }
        everybody = People(**{name: value.cpu().numpy() for name, value in result.items()})
        ends = counts.cpu().numpy().cumsum()
        each = [everybody[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return [
            people.moved(place_by_pixels(people.joints, people.keypoints_2d, camera, size))
            for people, camera, size in zip(each, cameras, sizes, strict=True)
        ]

    def _letterboxes(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Half sides (B,), pixel offsets (B, 2) and last pixels (B, 2) of the padded squares."""
        boxes = [Letterbox(*size) for size in sizes]
        half_side = torch.tensor([box.side / 2 for box in boxes])
        offset = torch.tensor([[box.left + 0.5, box.top + 0.5] for box in boxes])
        limit = torch.tensor([[box.width - 1.0, box.height - 1.0] for box in boxes])
        return half_side.to(self.device), offset.to(self.device), limit.to(self.device)


def load(
    weights: str | Path = "open",
    *,
    device: str | torch.device | None = None,
    runtime: str = "auto",
    body: str | Path = "open",
    root_align: bool | None = None,
    center_threshold: float = 0.2,
    max_people: int = 64,
    horizontal_fov_deg: float = 60.0,
) -> Romp:
    """A predictor out of weights and a body.

    Args:
        weights: `"open"`, or the path of a file: ours, the published `ROMP.pkl`, or a
            checkpoint of the published training code.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.
        runtime: what runs the network: `"torch"`, or `"auto"` for the fastest there is.
        body: `"open"`, or the path of an SMPL file (.npz, .pkl, packed .pth). Betas belong to the
            body that the weights were trained with: with another one they are zeroed, and one
            warning says so.
        root_align: None takes what belongs to the weights.
        center_threshold, max_people, horizontal_fov_deg: see `Romp`.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError, BodyFileError: a file that is damaged or something else.
        ConfigError: a device or runtime that is not there, or a number out of range.
    """
    _check_options(center_threshold, max_people, horizontal_fov_deg)
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime is {runtime!r}; expected one of {', '.join(RUNTIMES)}")
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = _usable_device(device)
    checkpoint = read_checkpoint(weights)
    body_model = BodyModel.load(body)
    family = body_family(body_model)
    if family != checkpoint.body:
        warnings.warn(
            f"weights {weights} were trained with the body {checkpoint.body!r}, but the body is "
            f"{family!r}: betas do not carry over and are set to zero",
            stacklevel=2,
        )
    return Romp(
        checkpoint.build(),
        body_model,
        device=device,
        root_align=checkpoint.root_align if root_align is None else root_align,
        use_betas=family == checkpoint.body,
        center_threshold=center_threshold,
        max_people=max_people,
        horizontal_fov_deg=horizontal_fov_deg,
    )


def _check_options(threshold: float, max_people: int, horizontal_fov_deg: float) -> None:
    if math.isnan(threshold):
        raise ConfigError(f"center_threshold is {threshold}; expected a number, such as 0.2")
    if max_people < 1:
        raise ConfigError(f"max_people is {max_people}; expected at least 1")
    if not 0 < horizontal_fov_deg < 180:
        raise ConfigError(
            f"horizontal_fov_deg is {horizontal_fov_deg}; expected more than 0 and less than 180"
        )


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {str(device)!r} cannot be used ({reason}); expected cpu, or cuda on a "
            "machine with an NVIDIA GPU and a CUDA build of torch"
        ) from error
    return device
