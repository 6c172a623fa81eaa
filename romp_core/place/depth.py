"""Where people stand by a depth image that shows the same scene pixel by pixel.

Pixels alone leave a person's distance open by as much as the person's size is unknown. Measured
depth settles it where it shows the person: not where something stands in front, where the sensor
has holes, or where the outline that was found misses the body and the wall behind shows.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from romp_core.body.model import BodyModel
from romp_core.errors import ImageError
from romp_core.geometry.lens import CameraModel
from romp_core.people import People
from romp_core.place.monocular import place_by_pixels
from romp_core.posing import posed

ASSUMED_CAMERA_SD = 0.3
"""Standard deviation of distances, as a share, where the camera's field of view is a guess."""

LEAST_SIZE_SD = 0.06
"""That of a person's size that the network's shape never falls below."""

PIXEL_SD = 2.0
"""Standard deviation in pixels of a body's extent in the picture."""

SURFACE_SD, SENSOR_SD = 0.035, 0.012
"""Standard deviation of a measured point from the mesh: metres of clothes and pose, and a share
of the distance by the sensor's noise."""

DEPTH_BIAS_SD = 0.015
"""Metres by which all points of a person may be off together."""

OCCLUDED, SEEN_THROUGH = 0.5, 1e-3
"""Shares of points that show something in front of a person, and something behind: people are
often hidden in part, but never transparent."""

OCCLUDER_SPREAD, DEEPEST = 1.0, 10.0
"""Metres over which the depth of what shows in front, and behind, is spread."""

FEWEST_POINTS, LEAST_SHARE = 12, 0.1
"""Points that must show the person, also as a share of those with a depth."""

INDEPENDENT_POINTS = 40
"""Neighbouring points err together: more than so many say nothing new."""

INNER = 0.09
"""Metres from a body's outline within which points are not trusted."""

_EVERY = 2  # vertex of a mesh of thousands is looked at
_CELL_METRES, _MOST_CELLS = 0.045, 40  # coarser than the points, or the outline has holes
_CANDIDATES = 200
_REACH = 3.0  # standard deviations
_LARGEST_SHAPE_CHANGE = 3.0


@dataclass(frozen=True, eq=False)
class DepthImage:
    """Distances along the optical axis, registered to a colour image: the same view.

    Args:
        metres: (H, W) float32, of any size whose sides have the ratio of the colour image's. What
            is not positive and finite is unknown.

    Raises:
        ImageError: not a non-empty (H, W) array of floating-point numbers.
    """

    metres: np.ndarray

    def __post_init__(self):
        metres = np.asarray(self.metres)
        if metres.ndim != 2 or not metres.size or metres.dtype.kind != "f":
            raise ImageError(
                f"depth has shape {metres.shape} and dtype {metres.dtype}; expected (H, W), not "
                "empty, floating-point metres: sensors that give whole millimetres need / 1000"
            )
        object.__setattr__(self, "metres", metres)

    def check_view(self, size: tuple[int, int]) -> None:
        """Refuse a depth image that cannot be registered to a colour image of that size.

        Raises:
            ImageError: its sides have another ratio.
        """
        height, width = self.metres.shape
        if abs(width * size[0] - height * size[1]) > max(size[0] + height, size[1] + width):
            raise ImageError(
                f"depth has {width}x{height} pixels, the image {size[1]}x{size[0]}: another "
                "view; expected depth that is registered to the image"
            )

    def at(self, pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Depths that the nearest pixels show.

        Args:
            pixels: (*, 2) of the colour image.
            size: its height and width.

        Returns:
            (*,) metres; NaN where unknown or outside.
        """
        shape = np.array(self.metres.shape)
        rows_columns = (pixels[..., ::-1] + 0.5) * (shape / size)
        inside = ((rows_columns >= 0) & (rows_columns < shape)).all(-1)
        row, column = np.where(inside[..., None], rows_columns, 0).astype(np.int64).T
        found = self.metres[row.T, column.T]
        return np.where(inside & np.isfinite(found) & (found > 0), found, np.nan)


@dataclass(frozen=True, eq=False)
class DepthPlacement:
    """People whose place was set by depth.

    Attributes:
        people: K of them, in the given order.
        shares: (K,) weight 0..1 of measured depth in each distance; 0: the place by pixels.
    """

    people: People
    shares: np.ndarray


def place_by_depth(
    people: People,
    depth: DepthImage,
    camera: CameraModel,
    size: tuple[int, int],
    body: BodyModel,
    *,
    calibrated: bool = True,
) -> DepthPlacement:
    """Fuse the distances of people who were placed by their pixels with measured ones.

    The two are weighted by their variances. As pixels fix the ratio of size and distance, a
    person who turns out to be nearer is also smaller: the shape follows by the least change of
    betas that gives this size. Where the field of view is a guess, that is more likely wrong, and
    the shape follows by its part of the variance only.

    Args:
        people: as predicted, with vertices.
        depth: of the same moment.
        camera: of the colour image.
        size: height and width of the colour image.
        body: of the people.
        calibrated: whether the camera's field of view is known.

    Raises:
        ImageError: depth of another view than the image's.
        ValueError: people without vertices.
    """
    depth.check_view(size)
    if len(people) and not people.vertices.shape[1]:
        raise ValueError("the people have no vertices; predict them with with_vertices=True")
    surface = people.vertices[:, ::_EVERY]
    pixels = camera.project(surface)
    size_gradient = _size_gradient(body)
    size_sd = max(float(np.linalg.norm(size_gradient)), LEAST_SIZE_SD)
    place_sd = size_sd if calibrated else math.hypot(size_sd, ASSUMED_CAMERA_SD)
    found = [
        _measure(vertices, seen_at, depth, size, place_sd)
        for vertices, seen_at in zip(surface, pixels, strict=True)
    ]
    measured = np.array([each is not None for each in found], bool)
    if not measured.any():
        return DepthPlacement(people, np.zeros(len(people)))
    # The rest of what pixels got wrong is put down to the camera.
    steepness = max(float(size_gradient @ size_gradient), 1e-12)
    growth = size_gradient * (size_sd / place_sd) ** 2 / steepness
    moved = _moved(people[measured], [m for m in found if m], camera, size, body, growth)
    changed = {name: getattr(people, name).copy() for name in _CHANGED}
    for name, values in changed.items():
        values[measured] = getattr(moved, name)
    shares = np.zeros(len(people))
    shares[measured] = [m.share for m in found if m]
    return DepthPlacement(replace(people, **changed), shares)


_CHANGED = ("betas", "translation", "vertices", "joints")


@dataclass(frozen=True, eq=False)
class _Measurement:
    """What depth says about one person.

    Attributes:
        points: (N,) those that it shows, of every `_EVERY`-th vertex.
        depths: (N,) metres measured there.
        shift: metres by which they lie behind where they were placed.
        share: weight of it against the place by pixels.
    """

    points: np.ndarray
    depths: np.ndarray
    shift: float
    share: float


def _measure(
    vertices: np.ndarray,
    pixels: np.ndarray,
    depth: DepthImage,
    size: tuple[int, int],
    place_sd: float,
) -> _Measurement | None:
    """The depth of one person; None where too little of it is seen.

    `place_sd` is the standard deviation of places by pixels as a share of the distance.
    """
    inside = np.flatnonzero(((pixels > -0.5) & (pixels < np.subtract(size[::-1], 0.5))).all(1))
    if len(inside) < FEWEST_POINTS:
        return None
    points = inside[_points_in_sight(vertices[inside], pixels[inside])]
    depths = depth.at(pixels[points], size)
    known = np.isfinite(depths)
    points, depths = points[known], depths[known]
    if len(points) < FEWEST_POINTS:
        return None
    distance = float(vertices[:, 2].mean())
    extent = float(np.ptp(pixels, axis=0).max())
    pixel_place_sd = distance * math.hypot(place_sd, PIXEL_SD / max(extent, PIXEL_SD))
    residuals = depths - vertices[points, 2]
    noise = math.hypot(SURFACE_SD, SENSOR_SD * distance)
    shift = _likeliest_shift(residuals, distance, pixel_place_sd, noise)
    shows_person = np.abs(residuals - shift) < 2.5 * noise
    count = int(shows_person.sum())
    if count < max(FEWEST_POINTS, LEAST_SHARE * len(points)):
        return None
    residuals = residuals[shows_person]
    shift = float(np.median(residuals))
    spread = 1.4826 * float(np.median(np.abs(residuals - shift)))
    depth_sd = math.hypot(DEPTH_BIAS_SD, spread / math.sqrt(min(count, INDEPENDENT_POINTS)))
    share = pixel_place_sd**2 / (pixel_place_sd**2 + depth_sd**2)
    return _Measurement(points[shows_person], depths[shows_person], shift, share)


def _points_in_sight(vertices: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Indices of vertices that no other part of the body hides, well within its outline.

    They are spread evenly over the picture: one per cell of a grid, the nearest. Near the outline,
    and on thin limbs, a small error of the pose lets the background show.
    """
    metres = float(np.ptp(vertices, axis=0)[:2].max())
    count = int(np.clip(metres / _CELL_METRES, 1, _MOST_CELLS))
    side = max(float(np.ptp(pixels, axis=0).max()) / count, 1e-6)
    column, row = np.minimum((pixels - pixels.min(0)) / side, count - 1).astype(np.int64).T
    flat = row * count + column
    order = np.lexsort((vertices[:, 2], flat))
    cells, first = np.unique(flat[order], return_index=True)
    nearest = order[first]
    covered = np.zeros(count**2, np.uint8)
    covered[cells] = 1
    # What lies outside of the grid is not the body, either.
    to_outline = cv2.distanceTransform(
        np.pad(covered.reshape(count, count), 1), cv2.DIST_L2, cv2.DIST_MASK_5
    )[1:-1, 1:-1].reshape(-1)[cells]
    inner = to_outline * metres / count >= INNER
    return nearest[inner] if inner.sum() >= 2 * FEWEST_POINTS else nearest


def _likeliest_shift(
    residuals: np.ndarray, distance: float, pixel_place_sd: float, noise: float
) -> float:
    """The shift of a person's distance that explains best what the depth image shows.

    Each point shows the person, with Gaussian noise, something in front, or, seldom, something
    behind. So of two surfaces the farther one is the person, unless too few points show it:
    a box hides legs, but legs do not shine through.
    """
    reach = _REACH * pixel_place_sd
    shifts = np.linspace(max(-reach, -0.9 * distance), reach, _CANDIDATES)[:, None]
    density = np.exp(-0.5 * ((residuals - shifts) / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
    elsewhere = np.where(residuals < shifts, OCCLUDED / OCCLUDER_SPREAD, SEEN_THROUGH / DEEPEST)
    likelihood = np.log((1 - OCCLUDED - SEEN_THROUGH) * density + elsewhere).mean(1)
    independent = min(len(residuals), INDEPENDENT_POINTS)
    prior = -0.5 * (shifts[:, 0] / pixel_place_sd) ** 2
    return float(shifts[np.argmax(independent * likelihood + prior), 0])


def _moved(
    people: People,
    measurements: list[_Measurement],
    camera: CameraModel,
    size: tuple[int, int],
    body: BodyModel,
    growth: np.ndarray,
) -> People:
    """People of the size and at the distance that fit pixels and depth.

    `growth` (10,) is how betas change per logarithm of the distance.
    """
    distance = people.vertices[..., 2].mean(1)
    shift = np.array([each.shift for each in measurements])
    share = np.array([each.share for each in measurements])
    farther = np.log(np.maximum(1 + share * shift / distance, 0.1))
    step = farther[:, None] * growth
    length = np.linalg.norm(step, axis=1, keepdims=True)
    step *= np.minimum(1, _LARGEST_SHAPE_CHANGE / np.maximum(length, 1e-12))
    people = replace(people, betas=(people.betas + step).astype(np.float32))
    still = replace(people, translation=np.zeros_like(people.translation))
    shaped = posed(still, body, camera, size)
    shaped = shaped.moved(place_by_pixels(shaped.joints, people.keypoints_2d, camera, size))
    left = [
        np.median(each.depths - vertices[each.points, 2]) - (1 - each.share) * each.shift
        for each, vertices in zip(measurements, shaped.vertices[:, ::_EVERY], strict=True)
    ]
    middle = shaped.vertices.mean(1)
    along_ray = middle / middle[:, 2:] * np.array(left)[:, None]
    return shaped.moved(along_ray)


def _size_gradient(body: BodyModel) -> np.ndarray:
    """(10,) relative growth of a body per unit of each beta, over the 24 joints at rest."""
    joints = body.joints_template.cpu().numpy()
    directions = body.joints_shapedirs.cpu().numpy()
    centred = joints - joints.mean(0)
    return np.einsum("bjc,jc->b", directions, centred) / (centred**2).sum()
