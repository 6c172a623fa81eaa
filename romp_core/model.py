"""Romp: from images to people."""

import logging
import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS
from romp_core.body.model import BodyModel
from romp_core.checkpoints import body_family, read_checkpoint
from romp_core.errors import ConfigError
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.people import People
from romp_core.place.monocular import place_by_pixels, turn_to_pixels
from romp_core.preprocessing import check_image
from romp_core.runtime import Runtime, choices
from romp_core.runtime.device_path import DevicePath, Request
from romp_core.runtime.engines import Found, start_engine
from romp_core.runtime.guard import choose_runtime

logger = logging.getLogger(__name__)


class Romp:
    """A network, a body, and the way from an image to `People`.

    Any thread may predict; they take turns.

    Args:
        network: the network; moved to the device.
        body: the body; moved to the device.
        device: where everything runs.
        runtime: what runs the network, one of `runtime.RUNTIMES`; "auto" takes the fastest that is
            installed and passes the accuracy guard (`runtime.guard`).
        precision: of the network, one of `runtime.PRECISIONS`; "auto" as above.
        root_align: whether the network was trained with the body's root subtracted before
            projection (it belongs to the weights).
        use_betas: false where the weights were trained with another body: betas are then zero.
        center_threshold: confidence that a person must exceed (paper: 0.2).
        max_people: at most so many people per image.
        horizontal_fov_deg: horizontal field of view in degrees where no intrinsics are given.

    Attributes:
        network: (B, 3, S, S) float RGB 0..255 -> `Maps`; the runtime has a copy of its own.
    """

    def __init__(
        self,
        network: RompNetwork,
        body: BodyModel,
        *,
        device: str | torch.device = "cpu",
        runtime: str = "torch",
        precision: str = "float32",
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
        self._path = DevicePath(self.network, self.decoder)
        self._turn = threading.Lock()  # engines and runtimes serve one thread at a time
        self.runtime = choose_runtime(self, choices(runtime, precision, self.device, self.network))
        logger.info("runtime: %s on %s", self.runtime_name, self.device)

    @property
    def runtime(self) -> Runtime:
        """What runs the network; another one may be set."""
        return self._runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._engine = start_engine(self._path, runtime, self.device)

    @property
    def runtime_name(self) -> str:
        """What runs the network and in which precision, in words."""
        return f"{self.runtime.name}, {self.runtime.precision}"

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
        """Everybody in several images, in one forward pass where they have one shape.

        On a CPU, where that would gain nothing, two go through the network at a time.

        Args:
            images: (H, W, 3) uint8, BGR; sizes may differ.
            intrinsics: one (3, 3) K, `CameraModel` or None per image.
            with_vertices: as in `predict`.

        Returns:
            `People` per image.

        Raises:
            As `predict`.
        """
        with self._turn:
            return self._launch(images, intrinsics, with_vertices)()

    def predict_stream(
        self,
        images: Iterable[np.ndarray],
        intrinsics: np.ndarray | CameraModel | None = None,
        *,
        with_vertices: bool = True,
    ) -> Iterator[People]:
        """Everybody in each image of a video or recording, in order.

        On a GPU the next image is uploaded while the network is still busy with the current one:
        more images per second, each answered one image later.

        Args:
            images: (H, W, 3) uint8, BGR.
            intrinsics: of the camera, as in `predict`.
            with_vertices: as in `predict`.

        Raises:
            As `predict`, at the image in question; the people of the one before are lost, too.
        """
        pending = None
        for image in images:
            with self._turn:
                launched = self._launch([image], [intrinsics], with_vertices)
                people = pending()[0] if pending is not None else None
            if people is not None:
                yield people
            pending = launched
        if pending is not None:
            with self._turn:
                people = pending()[0]
            yield people

    def _launch(
        self,
        images: Sequence[np.ndarray],
        intrinsics: Sequence[np.ndarray | CameraModel | None] | None,
        with_vertices: bool,
    ) -> Callable[[], list[People]]:
        """Begin with images; the answer waits for their people."""
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
        sizes = [image.shape[:2] for image in images]
        if not sizes:
            return list
        request = Request(self.center_threshold, self.max_people, with_vertices)
        wait = self._launch_alike(images, request)
        return lambda: [
            self._placed(people, camera, size)
            for people, camera, size in zip(wait(), cameras, sizes, strict=True)
        ]

    def _launch_alike(
        self, images: Sequence[np.ndarray], request: Request
    ) -> Callable[[], list[People]]:
        """Begin with images; those of which the network sees other parts of squares go one after
        the other, so that what is found in an image does not depend on the others."""
        alike: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            rows, columns = self._path.seen([image.shape[:2]])
            alike.setdefault((rows.start, columns.start), []).append(index)
        if len(alike) == 1:
            wait = self._engine.launch(images, request)
            return lambda: _each(wait())
        people: dict[int, People] = {}
        for group in alike.values():
            found = _each(self._engine.launch([images[index] for index in group], request)())
            people |= zip(group, found, strict=True)
        return lambda: [people[index] for index in range(len(images))]

    def _placed(self, people: People, camera: CameraModel, size: tuple[int, int]) -> People:
        """People without translation at their place, in the arrays nobody else has seen yet."""
        shift = place_by_pixels(people.joints, people.keypoints_2d, camera, size)
        if self.network.lifting is None:  # orientations are what the weights say
            for points in (people.vertices, people.joints):
                points += shift[:, None]
            return replace(people, translation=shift)
        joints = slice(len(SMPL_JOINTS))
        turns, shift = turn_to_pixels(
            people.joints[:, joints], people.keypoints_2d[:, joints], shift, camera, size
        )
        return _turned(people, turns, shift)

    def _camera(
        self, image: np.ndarray, intrinsics: np.ndarray | CameraModel | None
    ) -> CameraModel:
        if isinstance(intrinsics, CameraModel):
            return intrinsics
        if intrinsics is None:
            intrinsics = intrinsics_from_fov(*image.shape[:2], self.horizontal_fov_deg)
        return CameraModel(intrinsics)


def load(
    weights: str | Path = "open",
    *,
    device: str | torch.device | None = None,
    runtime: str = "auto",
    precision: str = "auto",
    body: str | Path = "open",
    root_align: bool | None = None,
    input_size: int | None = None,
    center_threshold: float = 0.2,
    max_people: int = 64,
    horizontal_fov_deg: float = 60.0,
) -> Romp:
    """A predictor out of weights and a body.

    Args:
        weights: `"open"`, or the path of a file: ours, the published `ROMP.pkl`, or a
            checkpoint of the published training code.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.
        runtime, precision: what runs the network, see `Romp`.
        body: `"open"`, or the path of an SMPL file (.npz, .pkl, packed .pth). Betas belong to the
            body that the weights were trained with: with another one they are zeroed, and one
            warning says so.
        root_align: None takes what belongs to the weights.
        input_size: side in pixels, a multiple of 64, of the square that an image is brought to.
            None takes what belongs to the weights; less is faster, and sees people that are far
            away worse.
        center_threshold, max_people, horizontal_fov_deg: see `Romp`.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError, BodyFileError: a file that is damaged or something else.
        ConfigError: a device or runtime that is not there, or a number out of range.
    """
    _check_options(center_threshold, max_people, horizontal_fov_deg)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = _usable_device(device)
    choices(runtime, precision, device)  # a wrong name is refused before the files are read
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
        checkpoint.build(input_size),
        body_model,
        device=device,
        runtime=runtime,
        precision=precision,
        root_align=checkpoint.root_align if root_align is None else root_align,
        use_betas=family == checkpoint.body,
        center_threshold=center_threshold,
        max_people=max_people,
        horizontal_fov_deg=horizontal_fov_deg,
    )


def _each(found: Found) -> list[People]:
    """`People` per image, without translation."""
    total = int(found.counts.sum())
    everybody = People(
        **found.fields,
        translation=np.zeros((total, 3), np.float32),
        track_ids=np.zeros(total, np.int64),
    )
    ends = found.counts.cumsum()
    return [everybody[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _turned(people: People, turns: np.ndarray, shift: np.ndarray) -> People:
    """People turned by (K, 3, 3) about the root joint, then moved by (K, 3)."""
    root = people.joints[:, 0]
    offset = torch.from_numpy(root - (turns @ root[..., None])[..., 0] + shift)[:, None]
    matrices = torch.from_numpy(turns).mT
    # One pass over the vertices: many people's no longer fit into a cache.
    vertices, joints = (
        torch.baddbmm(offset, torch.from_numpy(points), matrices).numpy()
        for points in (people.vertices, people.joints)
    )
    pose = people.pose.copy()
    orient = Rotation.from_matrix(turns) * Rotation.from_rotvec(pose[:, :3])
    pose[:, :3] = orient.as_rotvec()
    return replace(people, pose=pose, translation=shift, vertices=vertices, joints=joints)


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
        torch.empty(0, device=device).cpu()  # what is on "meta" does not come back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {str(device)!r} cannot be used ({reason}); expected cpu, or cuda on a "
            "machine with an NVIDIA GPU, its driver, and a CUDA build of torch: `pip install "
            "--upgrade torch` brings one on Linux"
        ) from error
    return device
