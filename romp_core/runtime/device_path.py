"""From a network's maps to everybody's numbers, on the network's device."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from romp_core.center_map import Centers, cell_positions, find_centers, sample_params
from romp_core.geometry.rotations import matrix_to_axis_angle
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.network.evidence import Part
from romp_core.network.romp import SIZE_MULTIPLE
from romp_core.posing import boxes_around
from romp_core.preprocessing import unpadded
from romp_core.runtime.dense import DenseMaps

_CANDIDATES = 64
"""So many centers at least are looked at where confidence is known only afterwards."""


class Request(NamedTuple):
    """What is asked beside the images.

    Attributes:
        threshold: confidence that a person must exceed; a tensor on the device can be changed
            in a captured graph.
        max_people: at most so many per image.
        with_vertices: false saves the mesh; `vertices` is then (R, 0, 3).
    """

    threshold: float | Tensor
    max_people: int
    with_vertices: bool


class PeopleTensors(NamedTuple):
    """R people of a batch, image by image, in each the most confident first; see `People`.

    Places are the body's own: no translation is added.
    """

    confidence: Tensor
    pose: Tensor
    betas: Tensor
    camera: Tensor
    vertices: Tensor
    joints: Tensor
    keypoints_2d: Tensor
    boxes: Tensor
    center: Tensor


class DevicePath(nn.Module):
    """Finds the people in maps and evaluates their bodies.

    Args:
        network: whose maps they are.
        decoder: evaluates bodies.
    """

    def __init__(self, network: RompNetwork, decoder: MeshDecoder):
        super().__init__()
        self.network = network
        self.decoder = decoder

    def seen(self, sizes: Sequence[tuple[int, int]]) -> tuple[slice, slice]:
        """Rows and columns of squares that the network is to see: images of these heights and
        widths, and of their padding only as much as its strides want.

        The published networks know the padding from training, and see all of it.
        """
        side = self.network.config.input_size
        if not self.network.config.lifting:
            return slice(0, side), slice(0, side)
        return unpadded(sizes, side, SIZE_MULTIPLE // 2)

    def forward(
        self, dense: DenseMaps, frames: Tensor, request: Request, *, fixed_size: bool
    ) -> tuple[Tensor, PeopleTensors]:
        """People of B images.

        Args:
            dense: maps.
            frames: (B, 5) of `frame_rows`.
            request: what is asked.
            fixed_size: R = B * N whatever is seen, those found first and then anything. The host
                then never waits for the device, which lets the whole be captured in a CUDA
                graph. False computes those who were found only.

        Returns:
            (B,) int64, how many were found in each image, and the people.
        """
        height, width = dense.center_map.shape[2:]
        side = self.network.config.input_size // self.network.config.map_stride
        if self.network.lifting is None:
            found = find_centers(dense.center_map, request.threshold, request.max_people)
            found = found if fixed_size else _trimmed(found)
            params = sample_params(dense.source, found.cells)
        else:
            part = Part(width / side, height / side)
            found, params = self._lifted(dense, part, request, fixed_size)
        rows = _rows(found.valid, fixed_size)
        params = params.flatten(0, 1)[rows].float()
        bodies = self.decoder(params, with_vertices=request.with_vertices)
        owner = torch.div(rows, max(found.valid.shape[1], 1), rounding_mode="floor")
        half_side, offset, limit = frames[owner].split([1, 2, 2], 1)

        def to_pixels(normalized: Tensor) -> Tensor:
            return (normalized + 1) * half_side[..., None] - offset[:, None]

        keypoints = to_pixels(bodies.projected)
        middles = 2 * cell_positions(found.cells.flatten()[rows], width) + 1
        across, down = middles.unbind(-1)
        middles = torch.stack([across - width, down - height], -1) / side
        return found.valid.sum(1), PeopleTensors(
            confidence=found.confidence.flatten()[rows],
            pose=matrix_to_axis_angle(bodies.rotations).flatten(1),
            betas=bodies.betas,
            camera=bodies.camera,
            vertices=bodies.joints[:, :0] if bodies.vertices is None else bodies.vertices,
            joints=bodies.joints,
            keypoints_2d=keypoints,
            boxes=boxes_around(keypoints, limit),
            center=to_pixels(middles[:, None])[:, 0],
        )

    def _lifted(
        self, dense: DenseMaps, part: Part, request: Request, fixed_size: bool
    ) -> tuple[Centers, Tensor]:
        """People in the order of how sure both the center map and their keypoints are of them.

        Confidence is the geometric mean of both: the center map alone is as sure of people whom it
        finds as of bodies that it does not see well enough to pose (docs/open-model.md).

        Returns:
            The surest whose confidence exceeds the threshold, and parameters (B, N, 145).
        """
        # Keypoints are sure to 1 at most: no other center can exceed the threshold.
        least = request.threshold * abs(request.threshold)
        centers = find_centers(dense.center_map, least, max(request.max_people, _CANDIDATES))
        centers = centers if fixed_size else _trimmed(centers)
        params, certainty = self.network.lift(dense.source, centers.cells, part)
        confidence = (centers.confidence.clamp(min=0) * certainty).sqrt()
        valid = centers.valid & (confidence > request.threshold)
        order = torch.where(valid, confidence, -torch.inf).argsort(
            dim=1, descending=True, stable=True
        )[:, : request.max_people]
        people = Centers(*(each.gather(1, order) for each in (valid, confidence, centers.cells)))
        return people, params.gather(1, order[..., None].expand(-1, -1, params.shape[-1]))


def _trimmed(centers: Centers) -> Centers:
    """Of each image only as many columns as some image needs."""
    most = int(centers.valid.sum(1).max())
    return Centers(*(values[:, :most] for values in centers))


def _rows(valid: Tensor, fixed_size: bool) -> Tensor:
    """(R,) which of the flattened (B, N) cells are people, image by image."""
    valid = valid.flatten()
    if fixed_size:
        return (~valid).to(torch.uint8).argsort(stable=True)
    return valid.nonzero()[:, 0]


def pack(people: PeopleTensors) -> tuple[Tensor, dict[str, torch.Size]]:
    """All numbers of each person in one row, so that one copy brings exactly those found.

    Returns:
        (R, P) float32, and the shape of each field for one person.
    """
    rows = torch.cat([value.reshape(len(value), -1) for value in people], 1)
    return rows, {name: value.shape[1:] for name, value in people._asdict().items()}


def unpack(rows: np.ndarray, shapes: dict[str, torch.Size]) -> dict[str, np.ndarray]:
    """Fields out of rows (K, P) of `pack`, as arrays of their own."""
    fields, start = {}, 0
    for name, shape in shapes.items():
        stop = start + shape.numel()
        fields[name] = rows[:, start:stop].reshape(len(rows), *shape).copy()
        start = stop
    return fields
