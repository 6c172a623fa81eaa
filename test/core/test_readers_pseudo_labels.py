"""Fits of SPIN and EFT attached to the pictures of a set, and pictures that are damaged."""

import json

import numpy as np
import pytest
from reader_factory import HEIGHT, LSP, WIDTH, pixels, write_picture
from scipy.io import savemat
from scipy.spatial.transform import Rotation
from three_dpw_factory import write_bodies

from romp_core.data.readers import open_data_set
from romp_core.errors import ImageError
from romp_core.media import read_image


@pytest.fixture
def lsp_root(tmp_path):
    person = np.column_stack([pixels(LSP) + 1, np.ones(14)])
    savemat(tmp_path / "joints.mat", {"joints": np.stack([person, person], -1)})
    for number in (1, 2):
        write_picture(tmp_path / "images" / f"im0000{number}.jpg")
    return tmp_path


def test_fits_of_spin_and_eft_attach(lsp_root, small_body_data):
    write_bodies(lsp_root / "smpl", small_body_data)
    rng = np.random.default_rng(0)
    pose, betas = rng.normal(0, 0.4, (4, 72)), rng.normal(0, 1, (4, 10))
    names = ["images/im00001.jpg", "im00002.jpg", "a/COCO_train2014_im00002.jpg", "im00009.jpg"]
    centers = [[50, 60], [500, 500], [51, 60], [50, 60]]
    np.savez(lsp_root / "spin.npz", imgname=names, center=centers, pose=pose, shape=betas,
             has_smpl=[1, 1, 1, 1])  # fmt: skip
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(4, 24, 3, 3)
    entries = [
        {"imageName": name, "bbox_center": center, "parm_pose": turn.tolist(),
         "parm_shape": shape.tolist()}
        for name, center, turn, shape in zip(names, centers, rotations, betas, strict=True)
    ]  # fmt: skip
    (lsp_root / "eft.json").write_text(json.dumps({"ver": 0.1, "data": entries}))
    for file in ("spin.npz", "eft.json"):
        records = open_data_set("lspet", lsp_root, fits=lsp_root / file, smpl=lsp_root / "smpl")
        for picture, fit in ((0, 0), (1, 2)):
            sample = records[picture]
            assert sample.pose[0] == pytest.approx(pose[fit], abs=1e-5)
            assert sample.betas[0] == pytest.approx(betas[fit], abs=1e-5)
        assert records.problems.counts == {"fits without a person": 1, "fits without a picture": 1}
        without = open_data_set("lspet", lsp_root, fits=lsp_root / file)
        assert without[0].has_pose.all()
        assert not without[0].has_betas.any()


def test_fits_find_their_picture_among_those_of_one_name(tmp_path):
    """Pictures of videos are numbered alike in every folder."""
    images = [{"id": number, "file_name": f"{folder}/000001.jpg"} for number, folder in
              enumerate("ab")]  # fmt: skip
    people = [{"id": number, "image_id": number, "bbox": [20, 5, 60, 105],
               "keypoints": [50, 50, 2] * 17} for number in range(2)]  # fmt: skip
    content = {"images": images, "annotations": people}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    for folder in "ab":
        write_picture(tmp_path / "images" / folder / "000001.jpg")
    np.savez(tmp_path / "spin.npz", imgname=["images/b/000001.jpg"], center=[[50, 60]],
             pose=np.ones((1, 72)), shape=np.zeros((1, 10)))  # fmt: skip
    records = open_data_set("coco_style", tmp_path, fits=tmp_path / "spin.npz")
    assert [sample.has_pose.tolist() for sample in records] == [[False], [True]]
    assert records.problems.counts == {}


def test_bad_spin_fits_are_left_out(lsp_root):
    np.savez(lsp_root / "spin.npz", imgname=["im00001.jpg"], center=[[50, 60]],
             pose=np.zeros((1, 72)), shape=np.zeros((1, 10)), has_smpl=[0])  # fmt: skip
    assert not open_data_set("lspet", lsp_root, fits=lsp_root / "spin.npz")[0].has_pose.any()


def test_a_damaged_picture_says_which(lsp_root):
    records = open_data_set("lspet", lsp_root)
    path = lsp_root / "images" / "im00001.jpg"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match="im00001"):
        records[0]
    assert read_image(lsp_root / "images" / "im00002.jpg").shape == (HEIGHT, WIDTH, 3)
