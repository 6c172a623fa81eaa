"""Readers of sets of 2D joints: official structure, left and right, and what may be wrong."""

import json

import numpy as np
import pytest
from reader_factory import HEIGHT, LSP, WIDTH, assert_same_person, limbs, pixels, write_picture
from scipy.io import savemat

from romp_core.body.joints import JOINTS_71
from romp_core.data.readers import open_data_set
from romp_core.data.readers.mpii import mpii_json
from romp_core.data.sample import OCCLUDED, VISIBLE
from romp_core.errors import ConfigError, DataError

MPII = (
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax neck head_top "
    "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist"
)
AI_CHALLENGER = (
    "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle head_top neck"
)
HEAD = {"head_top_lsp": "head_top", "neck_lsp": "neck"}
TORSO = {"pelvis_mpii": "pelvis", "thorax_mpii": "thorax"}


def visibility(sample, name, person=0):
    return sample.keypoints_2d[person, JOINTS_71.index(name), 2]


def test_lsp(tmp_path):
    hidden = np.zeros(14)
    hidden[0] = 1
    person = np.column_stack([pixels(LSP) + 1, hidden])
    savemat(tmp_path / "joints.mat", {"joints": np.stack([person.T] * 1002, -1)})
    write_picture(tmp_path / "images" / "im0001.jpg")
    write_picture(tmp_path / "images" / "im1001.jpg")
    train = open_data_set("lsp", tmp_path)
    assert_same_person(train[0], {**HEAD, **limbs()})
    assert visibility(train[0], "right_ankle") == OCCLUDED
    assert visibility(train[0], "left_ankle") == VISIBLE
    assert train.problems.counts == {"missing images": 999}
    test = open_data_set("lsp", tmp_path, split="test")
    assert [record.name for record in test.records] == ["im1001.jpg"]


def test_lspet(tmp_path):
    labeled = np.ones(14)
    labeled[0] = 0
    person = np.column_stack([pixels(LSP) + 1, labeled])
    savemat(tmp_path / "joints.mat", {"joints": np.stack([person, 0 * person], -1)})
    write_picture(tmp_path / "images" / "im00001.jpg")
    records = open_data_set("lspet", tmp_path)
    expected = {**HEAD, **limbs()}
    del expected["right_ankle"]
    assert_same_person(records[0], expected)
    assert records.problems.counts == {"people without labeled joints": 1}


def test_mpii_json(tmp_path):
    seen = [1] * 15 + [0]
    person = {"image": "1.jpg", "joints": (pixels(MPII) + 1).tolist(), "joints_vis": seen,
              "center": [51, 61], "scale": 0.6}  # fmt: skip
    beside = {**person, "joints_vis": [0] * 16, "center": [21, 31], "scale": 0.1}
    nowhere = {**beside, "center": [-1, -1]}
    nobody = {**person, "image": "2.jpg", "joints_vis": [0] * 16}
    people = [person, beside, person, nowhere, nobody]
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "valid.json").write_text(json.dumps(people))
    write_picture(tmp_path / "images" / "1.jpg")
    records = open_data_set("mpii", tmp_path, split="valid")
    expected = {**HEAD, **TORSO, **limbs()}
    del expected["left_wrist"]
    assert len(records) == 1
    assert_same_person(records[0], expected, person=1)
    assert not records.everybody_annotated
    assert records[0].ignored_boxes.tolist() == [[10, 20, 30, 40]]
    assert records.problems.counts == {
        "people without labeled joints": 3,
        "images without labeled people": 1,
    }


def mpii_release(people, training):
    """The official file's nesting: `people` per picture, each a dictionary of a rectangle."""

    def rectangles(entries):
        names = sorted({name for entry in entries for name in entry})
        array = np.zeros(len(entries), [(name, object) for name in names])
        for row, entry in enumerate(entries):
            for name in names:
                array[row][name] = entry.get(name, np.zeros(0))
        return array

    pictures = np.zeros(len(people), [("image", object), ("annorect", object)])
    for row, entries in enumerate(people):
        pictures[row] = {"name": f"{row + 1}.jpg"}, rectangles(entries)
    return {"RELEASE": {"annolist": pictures, "img_train": np.array(training)}}


def test_mpii_official(tmp_path):
    points = np.zeros(16, [(name, object) for name in ("x", "y", "id", "is_visible")])
    for number, (x, y) in enumerate(pixels(MPII) + 1):
        head = number in (8, 9)  # the head's joints have no visibility
        points[number] = x, y, number, np.zeros(0) if head else float(number != 15)
    person = {"scale": 0.6, "annopoints": {"point": points}, "x1": 40.0}
    only_head = {"x1": 40.0}
    placed = {"scale": 0.1, "objpos": {"x": 21.0, "y": 31.0}, "x1": 40.0}
    content = mpii_release([[person, only_head, placed], [person]], [1, 0])
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", content)
    write_picture(tmp_path / "images" / "1.jpg")
    records = open_data_set("mpii", tmp_path)
    assert len(records) == 1  # the second picture is of the test set
    assert_same_person(records[0], {**HEAD, **TORSO, **limbs()})
    assert visibility(records[0], "left_wrist") == OCCLUDED
    assert visibility(records[0], "head_top_lsp") == VISIBLE
    # Who is there but not labeled is no background.
    assert records[0].ignored_boxes.tolist() == [[10, 20, 30, 40]]
    assert records.problems.counts == {"people without labeled joints": 2}


def test_mpii_without_visibility(tmp_path):
    points = np.zeros(16, [(name, object) for name in ("x", "y", "id")])
    for number, (x, y) in enumerate(pixels(MPII) + 1):
        points[number] = x, y, number
    content = mpii_release([[{"scale": 0.6, "annopoints": {"point": points}}]], [1])
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", content)
    write_picture(tmp_path / "images" / "1.jpg")
    assert_same_person(open_data_set("mpii", tmp_path)[0], {**HEAD, **TORSO, **limbs()})


@pytest.mark.parametrize("release", [5.0, {"annolist": 5.0, "img_train": 1.0}])
def test_mpii_of_another_form(tmp_path, release):
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})
    with pytest.raises(DataError, match="of another form than the official"):
        open_data_set("mpii", tmp_path)


@pytest.mark.parametrize("name", ["lsp", "ai_challenger"])
def test_unknown_splits_are_answered_with_the_known_ones(tmp_path, name):
    with pytest.raises(ConfigError, match="split is 'val'; expected one of train, "):
        open_data_set(name, tmp_path, split="val")


def test_ai_challenger(tmp_path):
    state = np.ones(14)
    state[:2] = 2, 3  # right shoulder hidden, right elbow not labeled
    person = np.column_stack([pixels(AI_CHALLENGER), state]).ravel().astype(int).tolist()
    nothing = np.column_stack([0 * pixels(AI_CHALLENGER), 3 + 0 * state]).ravel().astype(int)
    content = [
        {"image_id": "a", "url": "", "keypoint_annotations": {"human2": nothing.tolist(),
         "human1": person}, "human_annotations": {"human1": [20, 5, 80, 110],
         "human2": [1, 1, 5, 5]}},
        {"image_id": "b", "url": "", "keypoint_annotations": {}, "human_annotations": {}},
    ]  # fmt: skip
    file = tmp_path / "keypoint_train_annotations_20170909.json"
    file.write_text(json.dumps(content))
    write_picture(tmp_path / "keypoint_train_images_20170902" / "a.jpg")
    records = open_data_set("ai_challenger", tmp_path)
    expected = {**HEAD, **limbs()}
    del expected["right_elbow"]
    assert_same_person(records[0], expected)
    assert visibility(records[0], "right_shoulder") == OCCLUDED
    assert records[0].boxes[0].tolist() == [20, 5, 80, 110]
    assert records.problems.counts == {
        "people without labeled joints": 1,
        "images without people": 1,
    }


def test_crowdhuman(tmp_path):
    person = {"tag": "person", "fbox": [10, 0, 40, 150], "vbox": [10, 0, 40, 60],
              "hbox": [20, 0, 10, 10], "extra": {"box_id": 0, "occ": 1}}  # fmt: skip
    crowd = {"tag": "mask", "fbox": [60, 60, 30, 30], "extra": {"ignore": 1}}
    lines = [{"ID": "1,a", "gtboxes": [person, crowd]}, {"ID": "2,b", "gtboxes": [crowd]}]
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / "annotation_val.odgt").write_text(text)
    write_picture(tmp_path / "Images" / "1,a.jpg")
    records = open_data_set("crowdhuman", tmp_path, split="val")
    sample = records[0]
    assert sample.boxes.tolist() == [[9.5, -0.5, 49.5, 59.5]]
    assert sample.ignored_boxes.tolist() == [[59.5, 59.5, 89.5, 89.5]]
    assert not sample.has_keypoints.any()
    assert records.problems.counts == {"images without people": 1}
    (tmp_path / "annotation_val.odgt").write_text(text[:-20])
    with pytest.raises(DataError, match="line 2 is no JSON"):
        open_data_set("crowdhuman", tmp_path, split="val")


def test_joints_out_of_the_picture_are_unlabeled(tmp_path):
    joints = pixels(LSP) + 1
    joints[0] = WIDTH + 3, 50
    joints[5] = 50, HEIGHT + 3
    person = np.column_stack([joints, np.zeros(14)])
    savemat(tmp_path / "joints.mat", {"joints": person.T[..., None]})
    write_picture(tmp_path / "images" / "im0001.jpg")
    sample = open_data_set("lsp", tmp_path)[0]
    assert visibility(sample, "right_ankle") == visibility(sample, "left_ankle") == 0
    assert visibility(sample, "right_knee") == VISIBLE


@pytest.mark.parametrize("name", ["lsp", "lspet"])
def test_damaged_matlab_files(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"joints\.mat"):
        open_data_set(name, tmp_path)
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((3, 14, 5))})
    whole = (tmp_path / "joints.mat").read_bytes()
    (tmp_path / "joints.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"joints\.mat"):
        open_data_set(name, tmp_path)
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((4, 7, 5))})
    with pytest.raises(DataError, match="expected"):
        open_data_set(name, tmp_path)


def test_real_mpii(shared):
    folder = shared / "samples" / "mpii"
    records = mpii_json(folder / "test_mpii.json", folder)
    assert len(records) == 5
    for sample in records:
        at = dict(zip(JOINTS_71, sample.keypoints_2d[0], strict=True))
        assert at["head_top_lsp"][1] < at["thorax_mpii"][1] < at["pelvis_mpii"][1]
    facing = dict(zip(JOINTS_71, records[1].keypoints_2d[0], strict=True))
    assert facing["left_shoulder"][0] > facing["right_shoulder"][0]
