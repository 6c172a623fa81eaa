"""The reader of 3DPW: its official pickles, left and right, what may be wrong."""

import pickle

import pytest
import torch
from three_dpw_factory import write_bodies, write_three_dpw

from romp_core.body.joints import JOINTS_71
from romp_core.data.readers import open_data_set
from romp_core.data.sample import OCCLUDED, VISIBLE
from romp_core.errors import ConfigError, DataError


@pytest.fixture
def three_dpw_root(tmp_path, small_body_data):
    write_three_dpw(tmp_path / "3dpw", write_bodies(tmp_path / "smpl", small_body_data))
    return tmp_path


def test_three_dpw_sides(three_dpw_root, small_body_data):
    """People are SMPL's, so that left is where the body puts it, before and behind the camera."""
    records = open_data_set("3dpw", three_dpw_root / "3dpw", smpl=three_dpw_root / "smpl",
                            split="test")  # fmt: skip
    sample = records[0]
    for person in range(2):
        body = records.body_of(0, person)
        pose = torch.from_numpy(sample.pose[person, None])
        joints = body(pose, torch.from_numpy(sample.betas[person, None])).joints[0].numpy()
        expected = joints + sample.translation[person]
        assert sample.joints_3d[person] == pytest.approx(expected, abs=1e-5)
        projected = expected[:, :2] / expected[:, 2:] * 140 + [79.5, 44.5]
        labeled = sample.keypoints_2d[person, :, 2] > 0
        assert labeled.sum() > 10
        assert sample.keypoints_2d[person, labeled, :2] == pytest.approx(
            projected[labeled], abs=0.01
        )


def test_three_dpw_hidden_and_missing_people(three_dpw_root):
    file = three_dpw_root / "3dpw" / "sequenceFiles" / "test" / "downtown_walking_00.pkl"
    content = pickle.loads(file.read_bytes())
    content["poses2d"][0][0] = 0  # person 0 was not detected in frame 0
    content["poses2d"][1][0][2, 4] = 0  # the right wrist of person 1 was not
    file.write_bytes(pickle.dumps(content, protocol=2))
    records = open_data_set("3dpw", three_dpw_root / "3dpw", smpl=three_dpw_root / "smpl",
                            split="test")  # fmt: skip
    assert [len(records[i]) for i in range(4)] == [1, 2, 2, 2]
    # Nor is who was not detected, or passes by, taken for background.
    assert [len(records[i].ignored_boxes) for i in range(4)] == [1, 0, 0, 0]
    assert not records[0].everybody_annotated
    visibility = dict(zip(JOINTS_71, records[0].keypoints_2d[0, :, 2], strict=True))
    assert visibility["right_wrist"] == OCCLUDED
    assert visibility["left_wrist"] == VISIBLE
    assert records.problems.counts == {"people without detected joints": 1}


def test_three_dpw_damaged(three_dpw_root):
    root, smpl = three_dpw_root / "3dpw", three_dpw_root / "smpl"
    file = root / "sequenceFiles" / "test" / "downtown_walking_00.pkl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="downtown_walking_00"):
        open_data_set("3dpw", root, smpl=smpl, split="test")
    file.write_bytes(pickle.dumps({"sequence": "a"}, protocol=2))
    with pytest.raises(DataError, match="lacks genders"):
        open_data_set("3dpw", root, smpl=smpl, split="test")
    content = pickle.loads(whole)
    content["poses"][0] = content["poses"][0][:, :66]
    file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match="poses has shape"):
        open_data_set("3dpw", root, smpl=smpl, split="test")
    with pytest.raises(FileNotFoundError, match="sequenceFiles"):
        open_data_set("3dpw", root / "sequenceFiles", smpl=smpl, split="test")
    with pytest.raises(ConfigError, match="SMPL_NEUTRAL"):
        open_data_set("3dpw", root)


def test_a_pickle_that_runs_code_is_refused(three_dpw_root):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    file = three_dpw_root / "3dpw" / "sequenceFiles" / "test" / "downtown_walking_00.pkl"
    file.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(DataError, match="refused and nothing of it was run"):
        open_data_set("3dpw", three_dpw_root / "3dpw", smpl=three_dpw_root / "smpl", split="test")
