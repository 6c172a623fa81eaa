"""Pictures of the open body on a plain background."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from romp_core.body.model import BodyModel
from romp_core.render.overlay import Renderer

_TILE = (420, 360)
_DISTANCE = 25.0  # metres: far enough for the floor line to meet every foot
_FLOOR_COLOR = (190, 190, 190)
_EXTREME = 2.0


def draw_rest(body: BodyModel, path: Path) -> None:
    """The mean body from the front, the side and behind, and its face, hand and foot."""
    vertices = _bodies(body, np.zeros((1, 72)), np.zeros((1, 10)))[0]
    views = [((0, 0), (0, -0.05, 0), 1.05), ((90, 0), (0, -0.05, 0), 1.05)]
    views += [((180, 0), (0, -0.05, 0), 1.05), ((25, 5), (0, 0.65, 0.05), 0.17)]
    views += [((0, 80), (0.72, 0.42, 0), 0.15), ((25, 30), (0.12, -0.82, 0.05), 0.15)]
    tiles = [_tile(vertices, body.faces, turn, centre, half) for turn, centre, half in views]
    _write(tiles, 3, path)


def draw_shapes(body: BodyModel, path: Path) -> None:
    """The first five shape directions, one a column: two standard deviations down, then up."""
    betas = np.zeros((10, 10))
    betas[np.arange(5), np.arange(5)] = -_EXTREME
    betas[np.arange(5, 10), np.arange(5)] = _EXTREME
    bodies = _bodies(body, np.zeros((10, 72)), betas)
    tiles = [_tile(vertices, body.faces, (20, 0), (0, -0.05, 0), 1.12) for vertices in bodies]
    _write(tiles, 5, path)


def draw_poses(body: BodyModel, poses: np.ndarray, path: Path, yaw: float) -> None:
    """Poses (N, 24, 3) of the mean body on a floor line at its lowest point."""
    bodies = _bodies(body, poses.reshape(len(poses), 72), np.zeros((len(poses), 10)))
    tiles = []
    for vertices in bodies:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        half = max((high - low)[1] / 2 * 1.1, np.linalg.norm((high - low)[[0, 2]]) / 2 * 1.2)
        tiles.append(_tile(vertices, body.faces, (yaw, 0), (low + high) / 2, half, low[1]))
    _write(tiles, 4, path)


def _bodies(body: BodyModel, pose: np.ndarray, betas: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        output = body(
            torch.as_tensor(pose, dtype=torch.float32), torch.as_tensor(betas, dtype=torch.float32)
        )
    return output.vertices.numpy()


def _tile(
    vertices: np.ndarray,
    faces: np.ndarray,
    turn: tuple[float, float],
    centre: tuple[float, float, float],
    half_height: float,
    floor: float | None = None,
) -> np.ndarray:
    """One body (V, 3), turned by yaw and pitch in degrees, seen from afar."""
    yaw, pitch = np.radians(turn)
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    view = np.array(about_x) @ np.array(about_y)
    # The optical frame has y down and looks along +z: the body comes to face the camera.
    optical = (vertices - centre) @ view.T * [1, -1, -1] + [0, 0, _DISTANCE]
    height, width = _TILE
    focal = height / 2 / half_height * _DISTANCE
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
    image = np.full((height, width, 3), 255, np.uint8)
    if floor is not None:
        row = round(height / 2 * (1 + (centre[1] - floor) / half_height))
        cv2.line(image, (0, row), (width, row), _FLOOR_COLOR, 1)
    person = SimpleNamespace(vertices=optical[None].astype(np.float32), track_ids=np.array([7]))
    return Renderer().draw_people(image, person, faces, intrinsics)


def _write(tiles: list[np.ndarray], columns: int, path: Path) -> None:
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
