"""From a network's maps to everybody's numbers, on the network's device."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from romp_core.center_map import Centers, cell_positions, find_centers, sample_params
from romp_core.geometry.cameras import Letterbox
from romp_core.geometry.rotations import matrix_to_axis_angle
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import RompNetwork
from romp_core.posing import boxes_around
from romp_core.runtime import DenseMaps


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

    def forward(
        self,
        dense: DenseMaps,
        frames: Tensor,
        threshold: float | Tensor,
        max_people: int,
        *,
        with_vertices: bool,
        fixed_size: bool,
    ) -> tuple[Tensor, PeopleTensors]:
        """People of B images.

        Args:
            dense: maps.
            frames: (B, 5) of `frame_rows`.
            threshold, max_people: as in `find_centers`.
            with_vertices: false saves the mesh; `vertices` is then (R, 0, 3).
            fixed_size: R = B * N whatever is seen, those found first and then anything. The host
                then never waits for the device, which lets the whole be captured in a CUDA
                graph. False computes those who were found only.

        Returns:
            (B,) int64, how many were found in each image, and the people.
        """
        centers = find_centers(dense.center_map, threshold, max_people)
        counts = centers.valid.sum(1)
        if not fixed_size:  # of each image only as many columns as some image needs
            most = int(counts.max())
            centers = Centers(*(values[:, :most] for values in centers))
        rows = _rows(centers.valid, fixed_size)
        params = self._params(dense.source, centers.cells)
        bodies = self.decoder(params.flatten(0, 1)[rows].float(), with_vertices=with_vertices)
        owner = torch.div(rows, max(centers.valid.shape[1], 1), rounding_mode="floor")
        half_side, offset, limit = frames[owner].split([1, 2, 2], 1)

        def to_pixels(normalized: Tensor) -> Tensor:
            return (normalized + 1) * half_side[..., None] - offset[:, None]

        keypoints = to_pixels(bodies.projected)
        side = dense.center_map.shape[3]
        cells = cell_positions(centers.cells.flatten()[rows], side) + 0.5
        return counts, PeopleTensors(
            confidence=centers.confidence.flatten()[rows],
            pose=matrix_to_axis_angle(bodies.rotations).flatten(1),
            betas=bodies.betas,
            camera=bodies.camera,
            vertices=bodies.joints[:, :0] if bodies.vertices is None else bodies.vertices,
            joints=bodies.joints,
            keypoints_2d=keypoints,
            boxes=boxes_around(keypoints, limit),
            center=to_pixels((cells * (2 / side) - 1)[:, None])[:, 0],
        )

    def _params(self, source: Tensor, cells: Tensor) -> Tensor:
        """(B, N, 145) parameters at cells."""
        if self.network.lifting is None:
            return sample_params(source, cells)
        return self.network.lifted_params(source, cells)


def frame_rows(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """(B, 5) where images of these heights and widths lie in their padded squares.

    Half the square's side, x and y of the image's origin, and the image's last pixel, in pixels.
    """
    boxes = [Letterbox(*size) for size in sizes]
    return torch.tensor(
        [
            [box.side / 2, box.left + 0.5, box.top + 0.5, box.width - 1.0, box.height - 1.0]
            for box in boxes
        ]
    )


def _rows(valid: Tensor, fixed_size: bool) -> Tensor:
    """(R,) which of the flattened (B, N) cells are people, image by image."""
    valid = valid.flatten()
    if fixed_size:
        return (~valid).to(torch.uint8).argsort(stable=True)
    return valid.nonzero()[:, 0]
