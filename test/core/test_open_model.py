"""The open weights: what they find in the demo clip and in photographs."""

import json
import warnings

import numpy as np
import pytest
import torch

from romp_core import load
from romp_core.body.joints import SMPL_JOINTS
from romp_core.checkpoints import OPEN_WEIGHTS
from romp_core.commands.evaluate import evaluate
from romp_core.geometry.cameras import intrinsics_from_fov
from romp_core.geometry.lens import CameraModel
from romp_core.media import Video

CLIP = OPEN_WEIGHTS.with_name("demo_clip.mp4")
ANKLES = [SMPL_JOINTS.index(name) for name in ("left_ankle", "right_ankle")]


@pytest.fixture(scope="module")
def romp():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # they belong to the open body: nothing is zeroed
        return load("open", device="cpu")


def test_weights_are_small_enough_for_the_repository():
    assert OPEN_WEIGHTS.stat().st_size < 35e6


def test_three_people_are_found_in_the_demo_clip(romp):
    frames = [image for _, image in Video(CLIP)][::15]
    found = [romp.predict(image) for image in frames]
    assert np.median([len(people) for people in found]) >= 3
    for image, people in zip(frames, found, strict=True):
        inside = (people.center >= 0) & (people.center < image.shape[1::-1])
        assert inside.all()
        assert (people.translation[:, 2] > 0.5).all()


def test_meshes_lie_on_the_people_of_the_demo_clip(romp):
    """Seen by the camera, bodies are where their keypoints are, also beside the middle."""
    for image in [image for _, image in Video(CLIP)][::15]:
        K = intrinsics_from_fov(*image.shape[:2])
        people = romp.predict(image, K)
        off = np.linalg.norm(CameraModel(K).project(people.joints) - people.keypoints_2d, axis=-1)
        height = people.boxes[:, 3] - people.boxes[:, 1]
        assert (off[:, :24].mean(1) < 0.028 * height).all()
        assert (off[:, ANKLES].max(1) < 0.065 * height).all()


def test_vertices_are_the_bodys_for_pose_and_betas(romp):
    people = romp.predict(next(iter(Video(CLIP)))[1])
    with torch.inference_mode():
        body = romp.body(torch.from_numpy(people.pose), torch.from_numpy(people.betas))
    for name in ("vertices", "joints"):
        rebuilt = getattr(body, name).numpy() + people.translation[:, None]
        np.testing.assert_allclose(getattr(people, name), rebuilt, atol=1e-4)


def test_floors_on_photographs(shared, tmp_path):
    """Must show: at least 80 % found and 30 % posed of people never trained on."""
    evaluate(dataset="samples", root=shared / "samples", out=tmp_path, device="cpu", plots=False)
    result = json.loads((tmp_path / "report.json").read_text())["results"]["all"]
    assert result["people"] == 23
    assert result["found"] >= 80
    assert result["posed"] >= 30
