"""The script that trains the open model, from MoveNet's form of weights to a finished file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_movenet import write_tensorflow_js

from romp_core.checkpoints import read_checkpoint
from romp_core.network.mobilenet import MobileNetPyramid

pytest.importorskip("lightning", reason="the training extra is not installed")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_open_model.sh"
TINY = ("schedule.epochs=1", "schedule.steps_per_epoch=1", "schedule.batch_size=2",
        "schedule.workers=0", "schedule.precision=32-true", "size=128",
        "seen_pictures=2")  # fmt: skip


def test_the_open_model_can_be_trained_by_one_script(tmp_path):
    weights = tmp_path / "movenet.json"
    write_tensorflow_js(weights, MobileNetPyramid())
    np.savez(tmp_path / "poses.npz", pose=0.1 * np.random.default_rng(0).normal(size=(9, 24, 3)))
    panoramas = tmp_path / "panoramas"
    panoramas.mkdir()
    cv2.imwrite(str(panoramas / "grey.jpg"), np.full((64, 128, 3), 128, np.uint8))
    light = {"sh9_rgb": np.eye(9, 3).tolist(), "exposure": 1.0}
    (panoramas / "lighting.json").write_text(json.dumps({"grey": light}))

    def run(*changes: str) -> str:
        """What the script prints."""
        words = [SCRIPT, tmp_path / "poses.npz", panoramas, "2", "--"]
        ended = subprocess.run(
            [*words, *(f"--set={change}" for change in (*TINY, *changes))],
            cwd=tmp_path,
            env={
                **os.environ,
                "MOVENET": str(weights),
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(SCRIPT.parents[1]),
            },
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    run()
    result = tmp_path / "runs" / "open.safetensors"
    checkpoint = read_checkpoint(result)
    assert checkpoint.config.lifting
    assert checkpoint.build(64).config.levels == 2

    before = result.read_bytes()
    said = run("schedule.epochs=2")
    assert "Everything is finished already" in said
    assert result.read_bytes() == before
    # What it says to do, for the last step.
    (tmp_path / "runs" / "open_seen_lifting" / "finished").unlink()
    assert "open_mobilenet is finished already" in run("schedule.epochs=2")
    assert result.read_bytes() != before
