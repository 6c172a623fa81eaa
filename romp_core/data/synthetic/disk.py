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
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from romp_core.data.sample import DenseMaps, Sample
from romp_core.data.synthetic.config import SyntheticConfig
from romp_core.data.synthetic.generator import SyntheticPeople
from romp_core.errors import ConfigError, DataError
from romp_core.media import write_image

PICTURES_PER_SHARD = 256
_PERSON_ARRAYS = ("keypoints_2d", "boxes", "pose", "betas", "translation", "joints_3d")
_DEPTH_UNIT = 1e-3
_worker: SyntheticPeople | None = None


def render_to_disk(
    config: SyntheticConfig, seed: int, folder: Path, workers: int = 1
) -> Iterator[int]:
    """Render all pictures of a configuration; what is there already is kept. Pictures that got
    lost since are rendered again.

    Args:
        config: what the pictures show, and how many: `length`.
        seed: the generator's seed.
        folder: where to; made if need be.
        workers: processes to render with.

    Yields:
        The number of pictures of each shard, as it gets ready.

    Raises:
        ConfigError: less than one worker.
        DataError: the folder holds a data set of another configuration or seed, or a worker was
            killed.
    """
    if workers < 1:
        raise ConfigError(f"workers is {workers}; expected at least 1")
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
    with ProcessPoolExecutor(workers, context, _start_worker, (config, seed)) as pool:
        shards = [pool.submit(_render_shard, job) for job in jobs]
        try:
            for shard in as_completed(shards):
                yield shard.result()
        except BrokenProcessPool as error:
            raise DataError(
                f"a worker that rendered to {folder} was killed, perhaps because memory ran out. "
                "What is finished is kept: run again to go on, with fewer workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _check_same(file: Path, description: dict) -> dict:
    """The description in a file; DataError if it is of other pictures."""
    found = _description(file)
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


def _description(file: Path) -> dict:
    try:
        found = json.loads(file.read_text())
        return {"seed": found["seed"], "body_id": found["body_id"], "config": found["config"]}
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{file} is damaged ({error!r}): render the data set into another folder"
        ) from error


def _start_worker(config: SyntheticConfig, seed: int) -> None:
    global _worker
    # One process per core renders more than one process with threads.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker = SyntheticPeople(config, seed)


def _render_shard(job: tuple[Path, int, int]) -> int:
    folder, start, end = job
    shard = _longest_shards(folder).get(start)
    if shard is not None and _end(shard) >= end:
        for index in range(start, end):
            if not all(_is_there(file) for file in _files(folder, index)):
                _render_picture(folder, index)
        return end - start
    samples = [_render_picture(folder, index) for index in range(start, end)]
    file = folder / "annotations" / f"{start:07d}-{end:07d}.npz"
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **_tables(samples, start))
    partial.rename(file)
    if shard is not None:
        shard.unlink()  # the end of an earlier, smaller data set
    return end - start


def _longest_shards(folder: Path) -> dict[int, Path]:
    """The annotations by the first picture that they are of. A run that was interrupted while it
    made a data set larger may leave shorter ones of the same pictures."""
    files = sorted(folder.glob("annotations/*.npz"), key=_end)
    return dict(sorted((int(file.stem.split("-")[0]), file) for file in files))


def _end(shard: Path) -> int:
    return int(shard.stem.split("-")[1])


def _files(folder: Path, index: int) -> list[Path]:
    """The files of a picture, and, where the data set has them, of its dense maps."""
    image, dense = folder / "images" / f"{index:08d}.jpg", folder / "dense" / f"{index:08d}.npz"
    return [image, dense] if _worker.config.dense else [image]


def _is_there(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _render_picture(folder: Path, index: int) -> Sample:
    """Write a picture's files; its sample without dense maps."""
    sample = _worker[index]
    image, *dense = _files(folder, index)
    write_image(image, sample.image)
    for file in dense:
        _write_dense(file, sample.dense)
    return replace(sample, dense=None)


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


def _read_tables(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file) as data:
            return dict(data)
    except Exception as error:  # numpy and zipfile fail in many ways on damaged files
        raise DataError(
            f"{file} is not readable ({error}): remove it and render the data set again"
        ) from error


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
            f"{file} is missing or not readable ({error}): remove it and render the data set again"
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
        shards = list(_longest_shards(self._folder).values())
        if not file.is_file() or not shards:
            raise DataError(
                f"{folder} holds no rendered people; make them with romp-core render-dataset"
            )
        if dense and not (self._folder / "dense").is_dir():
            raise DataError(f"{folder} was rendered without dense maps; render it with dense")
        self.body_id = _description(file)["body_id"]
        self._indices = np.concatenate(
            [np.arange(*map(int, shard.stem.split("-"))) for shard in shards]
        )
        tables = [_read_tables(shard) for shard in shards]
        self._tables = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: int) -> Sample:
        index, tables = self._indices[position], self._tables
        path = self._folder / "images" / f"{index:08d}.jpg"
        image = cv2.imread(str(path))
        if image is None:
            raise DataError(
                f"{path} is missing or not readable: remove it and render the data set again"
            )
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
