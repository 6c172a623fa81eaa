"""Synthetic people on disk: the same as made on the spot, whatever interrupted the rendering."""

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from romp_core.cli import main
from romp_core.data.synthetic import (
    RenderedPeople,
    SyntheticConfig,
    SyntheticPeople,
    render_to_disk,
)
from romp_core.errors import ConfigError, DataError

CONFIG = SyntheticConfig(height=128, width=160, length=3, dense=True)


def test_disk_round_trip_and_resume(tmp_path):
    config, people = CONFIG, SyntheticPeople(CONFIG, seed=7)
    assert sum(render_to_disk(config, 7, tmp_path)) == 3
    rendered = RenderedPeople(tmp_path, dense=True)
    assert len(rendered) == 3
    for index in range(3):
        stored, made = rendered[index], people[index]
        for name in ("pose", "betas", "translation", "joints_3d", "keypoints_2d", "boxes"):
            assert np.array_equal(getattr(stored, name), getattr(made, name)), name
        assert np.array_equal(stored.dense.parts, made.dense.parts)
        finite = np.isfinite(made.dense.depth)
        near = finite & (made.dense.depth < 60)
        np.testing.assert_allclose(stored.dense.depth[near], made.dense.depth[near], atol=1e-3)
        assert np.abs(stored.image.astype(int) - made.image).mean() < 8
    pictures = [sample.image for sample in rendered]
    (tmp_path / "dense" / "00000001.npz").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"00000001\.npz is missing or not readable"):
        rendered[1]
    (tmp_path / "dense" / "00000001.npz").unlink()
    (tmp_path / "images" / "00000002.jpg").write_bytes(b"")
    written = (tmp_path / "images" / "00000000.jpg").stat().st_mtime_ns
    list(render_to_disk(config, 7, tmp_path))
    assert (tmp_path / "images" / "00000000.jpg").stat().st_mtime_ns == written
    # What got lost is rendered again, the same.
    assert all(map(np.array_equal, pictures, [sample.image for sample in rendered]))
    assert sum(render_to_disk(replace(config, length=5), 7, tmp_path)) == 5
    assert len(RenderedPeople(tmp_path)) == 5
    first = rendered[2]
    annotations = tmp_path / "annotations"
    content = (annotations / "0000000-0000005.npz").read_bytes()
    # As an interruption leaves it while a data set grows.
    np.savez(annotations / "0000000-0000003.npz", **_some(annotations / "0000000-0000005.npz", 3))
    assert len(RenderedPeople(tmp_path)) == 5
    assert np.array_equal(RenderedPeople(tmp_path)[2].boxes, first.boxes)
    assert (annotations / "0000000-0000005.npz").read_bytes() == content
    assert sum(render_to_disk(replace(config, length=2), 7, tmp_path)) == 2
    assert len(RenderedPeople(tmp_path)) == 5  # those beyond are kept
    with pytest.raises(DataError, match="seed 7, not seed 8"):
        list(render_to_disk(config, 8, tmp_path))


def test_command_renders_with_several_processes(tmp_path, capfd):
    out = tmp_path / "pictures"
    assert main(["render-dataset", str(out), "--count", "2", "--size", "64"]) == 0
    assert len(RenderedPeople(out)) == 2
    assert main(["render-dataset", str(out), "--count", "2", "--size", "96"]) == 2
    assert "height 64, width 64, not height 96, width 96" in capfd.readouterr().err


def _some(shard, count):
    """The annotations of the first pictures of a shard."""
    with np.load(shard) as data:
        tables = dict(data)
    seen, ignored = (tables[key] < count for key in ("picture", "ignored_picture"))
    rows = {len(seen): seen, len(ignored): ignored}
    rows |= {5: np.arange(5) < count}  # intrinsics
    return {
        key: value[ignored if key.startswith("ignored") else rows[len(value)]]
        for key, value in tables.items()
    }


def test_less_than_one_worker_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="workers is 0; expected at least 1"):
        list(render_to_disk(CONFIG, 7, tmp_path, workers=0))


def test_a_killed_worker_ends_the_rendering(tmp_path):
    """Wart: its pictures were waited for for ever."""

    def kill():
        while not (workers := multiprocessing.active_children()):
            time.sleep(0.05)
        os.kill(workers[0].pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    config = replace(CONFIG, length=600)
    with pytest.raises(DataError, match="was killed, perhaps because memory ran out"):
        list(render_to_disk(config, 7, tmp_path, workers=2))


def test_damaged_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no rendered people"):
        RenderedPeople(tmp_path)
    assert sum(render_to_disk(replace(CONFIG, length=1), 7, tmp_path)) == 1
    [shard] = (tmp_path / "annotations").iterdir()
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(DataError, match=r"0000000-0000001\.npz is not readable"):
        RenderedPeople(tmp_path)
    (tmp_path / "dataset.json").write_text('{"seed": ')
    with pytest.raises(DataError, match=r"dataset\.json is damaged"):
        RenderedPeople(tmp_path)
    with pytest.raises(DataError, match=r"dataset\.json is damaged"):
        list(render_to_disk(replace(CONFIG, length=1), 7, tmp_path))
