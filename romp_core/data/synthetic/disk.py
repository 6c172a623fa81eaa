"""Synthetic pictures on disk: written by several processes, read back as the same samples.

A folder holds `dataset.json` (configuration, seed, body), `images/00000012.jpg`, if asked for
`dense/00000012.npz`, and the annotations in `annotations/0000000-0000256.npz`: per-person rows
of the pictures in that range, with `picture` (N,) telling whose row it is. A shard's
annotations are written last, so rendering that was interrupted goes on where it stopped.
"""

import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from romp_core.data.sample import DenseMaps, Sample
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.generator import SyntheticPeople
from romp_core.errors import DataError

PICTURES_PER_SHARD = 256
_PERSON_ARRAYS = ("keypoints_2d", "boxes", "pose", "betas", "translation", "joints_3d")
_JPEG_QUALITY = 95
_DEPTH_UNIT = 1e-3
_worker: SyntheticPeople | None = None


def render_to_disk(
    config: SyntheticConfig, seed: int, folder: Path, workers: int = 1
) -> Iterator[int]:
    """Render all pictures of a configuration; what is there already is kept.

    Args:
        config: what the pictures show, and how many: `length`.
        seed: the generator's seed.
        folder: where to; made if need be.
        workers: processes to render with.

    Yields:
        The number of pictures of each shard, as it gets ready.

    Raises:
        DataError: the folder holds a data set of another configuration or seed.
    """
    folder = Path(folder)
    people = SyntheticPeople(config, seed)
    for name in ("images", "annotations", *(["dense"] if config.dense else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    description = {
        "seed": seed,
        "body_id": people.body.body_id,
        "config": {key: _plain(value) for key, value in asdict(config).items()},
    }
    file = folder / "dataset.json"
    if file.exists():
        earlier = _check_same(file, description)
        description["config"]["length"] = max(config.length, earlier["config"]["length"])
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(description, indent=1))
    partial.replace(file)
    jobs = [
        (folder, start, min(start + PICTURES_PER_SHARD, config.length))
        for start in range(0, config.length, PICTURES_PER_SHARD)
    ]
    if workers == 1:
        _start_worker(config, seed)
        yield from map(_render_shard, jobs)
        return
    # A forked child would share its parent's OpenGL context and threads.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (config, seed)) as pool:
        yield from pool.imap_unordered(_render_shard, jobs)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _check_same(file: Path, description: dict) -> dict:
    """The description in a file; DataError if it is of other pictures."""
    found = json.loads(file.read_text())
    old, new = (
        {**d["config"], "seed": d["seed"], "body": d["body_id"]} for d in (found, description)
    )
    differing = [key for key in new if key != "length" and old.get(key) != new[key]]
    if differing:
        was = ", ".join(f"{key} {old.get(key)}" for key in differing)
        wanted = ", ".join(f"{key} {new[key]}" for key in differing)
        raise DataError(
            f"{file} describes other pictures: {was}, not {wanted}. Choose an empty folder, or "
            "the same options to go on"
        )
    return found


def _start_worker(config: SyntheticConfig, seed: int) -> None:
    global _worker
    # One process per core renders more than one process with threads.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker = SyntheticPeople(config, seed)


def _render_shard(job: tuple[Path, int, int]) -> int:
    folder, start, end = job
    file = folder / "annotations" / f"{start:07d}-{end:07d}.npz"
    there = {path: int(path.stem.split("-")[1]) for path in file.parent.glob(f"{start:07d}-*.npz")}
    if max(there.values(), default=0) >= end:
        return end - start
    samples = []
    for index in range(start, end):
        sample = _worker[index]
        path = folder / "images" / f"{index:08d}.jpg"
        cv2.imwrite(str(path), sample.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if sample.dense is not None:
            _write_dense(folder / "dense" / f"{index:08d}.npz", sample.dense)
        samples.append(replace(sample, dense=None))
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **_tables(samples, start))
    partial.rename(file)
    for shorter in there:
        shorter.unlink()  # the end of an earlier, smaller data set
    return end - start


def _tables(samples: list[Sample], start: int) -> dict[str, np.ndarray]:
    numbers = np.arange(start, start + len(samples))
    tables = {
        "picture": np.repeat(numbers, [len(sample) for sample in samples]),
        "ignored_picture": np.repeat(numbers, [len(s.ignored_boxes) for s in samples]),
        "intrinsics": np.stack([sample.intrinsics for sample in samples]),
    }
    for name in (*_PERSON_ARRAYS, "ignored_boxes"):
        tables[name] = np.concatenate([getattr(sample, name) for sample in samples])
    return tables


def _write_dense(file: Path, dense: DenseMaps) -> None:
    depth = np.nan_to_num(dense.depth, posinf=0) / _DEPTH_UNIT
    np.savez_compressed(
        file,
        depth=np.minimum(depth, np.iinfo(np.uint16).max).astype(np.uint16),
        parts=dense.parts,
        normals=np.rint(dense.normals * 127).astype(np.int8),
    )


def _read_dense(file: Path) -> DenseMaps:
    try:
        with np.load(file) as data:
            depth, parts, normals = (data[name] for name in ("depth", "parts", "normals"))
    except Exception as error:  # numpy and zipfile fail in many ways on damaged files
        raise DataError(
            f"{file} is missing or not readable ({error}): render the data set again"
        ) from error
    depth = depth.astype(np.float32) * _DEPTH_UNIT
    depth[depth == 0] = np.inf
    return DenseMaps(depth, parts, normals.astype(np.float32) / 127)


class RenderedPeople:
    """Map-style data set of the pictures that `render_to_disk` has written so far.

    Args:
        folder: the data set's folder.
        dense: also read depth, parts and normals.

    Raises:
        DataError: the folder holds no rendered pictures, or no dense maps though asked for.
    """

    def __init__(self, folder: Path, dense: bool = False):
        self._folder, self._dense = Path(folder), dense
        file = self._folder / "dataset.json"
        shards = sorted(self._folder.glob("annotations/*.npz"))
        if not file.is_file() or not shards:
            raise DataError(
                f"{folder} holds no rendered people; make them with romp-core render-dataset"
            )
        if dense and not (self._folder / "dense").is_dir():
            raise DataError(f"{folder} was rendered without dense maps; render it with dense")
        self.body_id = json.loads(file.read_text())["body_id"]
        self._indices = np.concatenate(
            [np.arange(*map(int, shard.stem.split("-"))) for shard in shards]
        )
        tables = [dict(np.load(shard)) for shard in shards]
        self._tables = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> Sample:
        index, tables = self._indices[position], self._tables
        path = self._folder / "images" / f"{index:08d}.jpg"
        image = cv2.imread(str(path))
        if image is None:
            raise DataError(f"{path} is missing or not readable: render the data set again")
        rows = _rows(tables["picture"], index)
        ignored = _rows(tables["ignored_picture"], index)
        dense = _read_dense(self._folder / "dense" / f"{index:08d}.npz") if self._dense else None
        return Sample(
            image=image,
            source=str(path),
            intrinsics=tables["intrinsics"][position],
            body_id=self.body_id,
            ignored_boxes=tables["ignored_boxes"][ignored],
            dense=dense,
            **{name: tables[name][rows] for name in _PERSON_ARRAYS},
        )


def _rows(pictures: np.ndarray, index: int) -> slice:
    """Rows of a picture in a sorted column of picture numbers."""
    return slice(*np.searchsorted(pictures, [index, index + 1]))
