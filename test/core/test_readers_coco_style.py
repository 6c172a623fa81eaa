"""Readers of COCO's style: official structure, left and right, and what may be wrong."""

import json

import numpy as np
import pytest
from reader_factory import HEIGHT, WIDTH, assert_same_person, limbs, pixels, write_picture

from romp_core.body.joints import JOINTS_71
from romp_core.data.readers import open_data_set
from romp_core.data.readers.coco import coco_style
from romp_core.data.sample import OCCLUDED, VISIBLE
from romp_core.errors import ConfigError, DataError, ImageError
from romp_core.evaluation.datasets import Place, find_evaluation
from romp_core.media import write_image

COCO = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)
CROWDPOSE = (
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip "
    "right_hip left_knee right_knee left_ankle right_ankle head_top neck"
)
POSETRACK = (
    "nose neck head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
)
FACE = {f"{side}_{part}": f"{side}_{part}" for side in ("left", "right") for part in ("eye", "ear")}


def keypoints(names, visibility=2):
    return (
        np.column_stack([pixels(names), np.full(len(names.split()), visibility)]).ravel().tolist()
    )


def annotation(names, number=1, image=1, **changes):
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 2000.0,
        "bbox": [20, 5, 60, 105], "keypoints": keypoints(names),
        "num_keypoints": len(names.split()), **changes,
    }  # fmt: skip


def write(path, annotations, images=("1.jpg",)):
    entries = [
        {"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH, "crowdIndex": 0.4}
        for i, name in enumerate(images, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": entries, "annotations": annotations}))


@pytest.fixture
def coco_root(tmp_path):
    write(tmp_path / "annotations" / "person_keypoints_val2017.json", [annotation(COCO)])
    write_picture(tmp_path / "val2017" / "1.jpg")
    return tmp_path


def test_coco(coco_root):
    records = open_data_set("coco", coco_root, split="val2017")
    sample = records[0]
    assert_same_person(sample, {"nose": "nose", **FACE, **limbs()})
    assert sample.boxes.tolist() == [[19.5, 4.5, 79.5, 109.5]]
    assert sample.areas.tolist() == [2000]
    assert records.problems.counts == {}


def test_crowdpose(tmp_path):
    # Its third number, 1 at heads and necks, does not mean that they are hidden.
    labels = keypoints(CROWDPOSE)
    labels[-1] = labels[-4] = 1
    write(tmp_path / "json" / "crowdpose_test.json", [annotation(CROWDPOSE, keypoints=labels)])
    write_picture(tmp_path / "images" / "1.jpg")
    records = open_data_set("crowdpose", tmp_path, split="test")
    head = {"head_top_lsp": "head_top", "neck_lsp": "neck"}
    assert_same_person(records[0], {**head, **limbs()})
    assert (records[0].keypoints_2d[records[0].has_keypoints, 2] == VISIBLE).all()
    assert records.records[0].tags["crowdIndex"] == "0.4"


def test_posetrack(tmp_path):
    file = tmp_path / "posetrack_data" / "annotations" / "val" / "000342_mpii_test.json"
    write(file, [annotation(POSETRACK)], ["images/val/1.jpg", "images/val/2.jpg"])
    content = json.loads(file.read_text())
    content["images"][0] |= {"is_labeled": True, "ignore_regions_x": [[1, 9, 9]],
                             "ignore_regions_y": [[2, 2, 30]]}  # fmt: skip
    content["images"][1] |= {"is_labeled": False}
    # PoseTrack never labels ears, and people may lack a box.
    ears = [3 * POSETRACK.split().index(f"{side}_ear") for side in ("left", "right")]
    for start in ears:
        content["annotations"][0]["keypoints"][start : start + 3] = [0, 0, 0]
    del content["annotations"][0]["bbox"]
    file.write_text(json.dumps(content))
    write_picture(tmp_path / "images" / "val" / "1.jpg")
    records = open_data_set("posetrack", tmp_path, split="val")
    head = {"nose": "nose", "head_top_lsp": "head_top", "neck_lsp": "neck"}
    assert_same_person(records[0], {**head, **limbs()})
    assert records[0].ignored_boxes.tolist() == [[1, 2, 9, 30]]
    assert np.isfinite(records[0].boxes).all()
    assert records.problems.counts == {"frames that are not labeled": 1}


def test_user_data(tmp_path):
    write(tmp_path / "annotations.json", [annotation(COCO)])
    write_picture(tmp_path / "images" / "1.jpg")
    assert_same_person(
        open_data_set("coco_style", tmp_path)[0], {"nose": "nose", **FACE, **limbs()}
    )


def test_your_own_pictures_without_people_count_in_evaluation(tmp_path):
    """As COCO's do: whoever is found there is a false positive."""
    write(tmp_path / "annotations.json", [annotation(COCO)], ["1.jpg", "empty.jpg"])
    for name in ("1.jpg", "empty.jpg"):
        write_picture(tmp_path / "images" / name)
    (records,) = find_evaluation("coco_style", None).open(Place(tmp_path))
    assert [len(sample) for sample in records] == [1, 0]


def test_visibility_and_unlabeled_joints(tmp_path):
    person = annotation(COCO)
    person["keypoints"][0:3] = [0, 0, 0]
    person["keypoints"][5] = 1
    write(tmp_path / "annotations.json", [person])
    write_picture(tmp_path / "images" / "1.jpg")
    sample = open_data_set("coco_style", tmp_path)[0]
    seen = dict(zip(JOINTS_71, sample.keypoints_2d[0, :, 2], strict=True))
    assert (seen["nose"], seen["left_eye"], seen["right_eye"]) == (0, OCCLUDED, VISIBLE)


def test_crowds_are_ignored_boxes(tmp_path):
    crowd = annotation(COCO, 2, iscrowd=1, bbox=[0, 0, 10, 10], segmentation={"counts": []})
    write(tmp_path / "annotations.json", [annotation(COCO), crowd])
    write_picture(tmp_path / "images" / "1.jpg")
    sample = open_data_set("coco_style", tmp_path)[0]
    assert len(sample) == 1
    assert sample.ignored_boxes.tolist() == [[-0.5, -0.5, 9.5, 9.5]]


def test_what_is_missing_is_counted_and_named(tmp_path):
    nobody = annotation(COCO, 3, image=2, keypoints=[0] * 51, num_keypoints=0)
    bare = {"id": 4, "image_id": 1, "category_id": 1, "iscrowd": 0}
    lost = annotation(COCO, 5, image=99)
    people = [annotation(COCO), nobody, bare, lost, annotation(COCO, 6, image=3)]
    write(tmp_path / "annotations.json", people, ["1.jpg", "2.jpg", "gone.jpg", "empty.jpg"])
    for name in ("1.jpg", "2.jpg", "empty.jpg"):
        write_picture(tmp_path / "images" / name)
    records = open_data_set("coco_style", tmp_path)
    assert len(records) == 2
    assert records.problems.counts == {
        "annotations of unknown images": 1,
        "annotations without box or keypoints": 1,
        "people without labeled joints": 1,
        "images without people": 1,
        "missing images": 1,
    }
    assert any("gone.jpg" in line for line in records.problems)
    assert any("empty.jpg" in line for line in records.problems)
    with_empty = coco_style(tmp_path / "annotations.json", tmp_path / "images", with_empty=True)
    assert len(with_empty) == 3
    assert len(with_empty[2]) == 0


def test_truncated_file(coco_root):
    file = coco_root / "annotations" / "person_keypoints_val2017.json"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(DataError, match="no complete JSON"):
        open_data_set("coco", coco_root, split="val2017")


def test_another_kind_of_file(coco_root):
    file = coco_root / "annotations" / "person_keypoints_val2017.json"
    file.write_text('[{"bbox": [1, 2, 3, 4]}]')
    with pytest.raises(DataError, match="lacks images, annotations"):
        open_data_set("coco", coco_root, split="val2017")


def test_wrong_number_of_joints(tmp_path):
    write(tmp_path / "annotations.json", [annotation(CROWDPOSE)])
    write_picture(tmp_path / "images" / "1.jpg")
    with pytest.raises(DataError, match="42 keypoint numbers; expected 51"):
        open_data_set("coco_style", tmp_path)


def test_anything_in_any_place_is_told_as_a_damaged_file(tmp_path):
    """Wart: what Python said of it was blamed on the options, or came through as it was."""
    words = ["x"] * 51
    for changes in ({"bbox": None}, {"bbox": [1, 2, 3]}, {"keypoints": 5}, {"keypoints": words},
                    {"image_id": [1]}):  # fmt: skip
        write(tmp_path / "annotations.json", [annotation(COCO, **changes)])
        write_picture(tmp_path / "images" / "1.jpg")
        with pytest.raises(DataError, match=r"coco_style.*of another form than the official"):
            open_data_set("coco_style", tmp_path)


def test_a_picture_of_another_size_than_its_annotations_is_refused(coco_root):
    picture = coco_root / "val2017" / "1.jpg"
    write_image(picture, np.zeros((WIDTH, HEIGHT, 3), np.uint8))
    records = open_data_set("coco", coco_root, split="val2017")
    with pytest.raises(ImageError, match=r"1\.jpg is 120 x 100 pixels.*100 x 120.*resized"):
        records[0]


def test_wrong_root(coco_root, tmp_path):
    with pytest.raises(FileNotFoundError, match="is the root right"):
        open_data_set("coco", tmp_path / "elsewhere", split="val2017")
    (coco_root / "val2017").rename(coco_root / "other")
    with pytest.raises(DataError, match="none of the 1 pictures"):
        open_data_set("coco", coco_root, split="val2017")


def test_unknown_names_and_options(tmp_path):
    with pytest.raises(ConfigError, match="crowdpose"):
        open_data_set("crowd_pose", tmp_path)
    with pytest.raises(ConfigError, match="colour"):
        open_data_set("coco", tmp_path, colour="red")


def test_real_coco(shared):
    folder = shared / "samples" / "coco"
    records = coco_style(folder / "test_coco.json", folder)
    assert len(records) == 4
    assert sum(len(record.people["boxes"]) for record in records.records) == 14
    skier = records[0]  # comes down a slope, face to the camera
    at = dict(zip(JOINTS_71, skier.keypoints_2d[0], strict=True))
    assert at["left_shoulder"][0] > at["right_shoulder"][0]
    assert at["left_knee"][0] > at["right_knee"][0]
    assert records.problems.counts == {"people without labeled joints": 2}


def test_real_crowdpose(shared):
    from romp_core.body.joints import JOINT_SETS

    folder = shared / "samples" / "crowdpose"
    joints = JOINT_SETS["crowdpose14"]
    records = coco_style(folder / "test_crowdpose.json", folder, joints, "crowdpose")
    assert [len(records[i]) for i in range(2)] == [3, 2]
    at = dict(zip(JOINTS_71, records[1].keypoints_2d[0], strict=True))
    assert at["head_top_lsp"][1] < at["neck_lsp"][1] < at["left_hip_lsp"][1]
    assert at["left_shoulder"][0] > at["right_shoulder"][0]


def test_entries_without_what_they_need_are_named(tmp_path):
    bare = annotation(COCO)
    del bare["image_id"]
    write(tmp_path / "annotations.json", [bare])
    with pytest.raises(DataError, match="lacks image_id"):
        open_data_set("coco_style", tmp_path)
    (tmp_path / "annotations.json").write_text('{"images": [{"id": 1}], "annotations": []}')
    with pytest.raises(DataError, match="lacks file_name"):
        open_data_set("coco_style", tmp_path)
