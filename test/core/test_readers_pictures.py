"""Where annotations lie in pictures: EXIF orientations, lenses, files beside each other."""

import json
import shutil
import struct

import numpy as np
import pytest
from reader_factory import HEIGHT, WIDTH, write_picture
from test_readers_coco_style import COCO, annotation, write

from romp_core.body.files import read_body, write_body
from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.body.model import OPEN_BODY
from romp_core.data.readers import open_data_set
from romp_core.data.readers.smpl_people import labels_from_joints, read_smpl_bodies
from romp_core.geometry.lens import CameraModel
from romp_core.media import read_image


def turn_by_exif(path, orientation):
    """Say in a JPEG file how it is to be turned."""
    entry = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 0x0112, 3, 1, orientation)
    entry += struct.pack("<I", 0)
    segment = b"Exif\0\0" + entry
    header = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    content = path.read_bytes()
    path.write_bytes(content[:2] + header + content[2:])


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_annotations_are_for_the_stored_pixels(tmp_path, orientation):
    picture = tmp_path / "Images" / "1.jpg"
    write_picture(picture)
    stored = read_image(picture)
    turn_by_exif(picture, orientation)
    upright = read_image(picture)
    assert not np.array_equal(upright[:HEIGHT, :WIDTH], stored[:WIDTH, :WIDTH])
    line = {"ID": "1", "gtboxes": [{"tag": "person", "fbox": [10, 0, 40, 90],
                                    "vbox": [10, 0, 40, 60]}]}  # fmt: skip
    (tmp_path / "annotation_val.odgt").write_text(json.dumps(line))
    sample = open_data_set("crowdhuman", tmp_path, split="val")[0]
    assert np.array_equal(sample.image, stored)
    assert sample.boxes.tolist() == [[9.5, -0.5, 49.5, 59.5]]


def test_pictures_are_turned_where_their_annotations_are_of_that_size(tmp_path):
    write(tmp_path / "annotations.json", [annotation(COCO)])
    picture = tmp_path / "images" / "1.jpg"
    write_picture(picture, size=(WIDTH, HEIGHT))  # lies on its side
    turn_by_exif(picture, 6)
    sample = open_data_set("coco_style", tmp_path)[0]
    assert sample.image.shape == (HEIGHT, WIDTH, 3)


def test_joints_far_beside_a_picture_do_not_come_back_into_it():
    """Polynomials of lenses turn back beyond the picture: of who stands there nothing is seen."""
    intrinsics = np.array([[1400.0, 0, 960], [0, 1400, 540], [0, 0, 1]])
    camera = CameraModel(intrinsics, coefficients=(-0.3, 0.1, 0.0, 0.0, -0.02))
    joints = np.full((1, 71, 3), np.nan)
    names = JOINT_SETS["coco17"]
    places = [JOINTS_71.index(name) for name in names]
    joints[0, places] = [8.0, 0.1, 2.0]
    keypoints, _ = labels_from_joints(joints, camera, names)
    assert (keypoints[0, places, 0] > 1920).all()


def test_bodies_with_landmarks_are_found_beside_others(tmp_path):
    """SMPL's own neutral file comes before the packed one in the alphabet."""
    write_body(read_body(OPEN_BODY), tmp_path / "SMPL_NEUTRAL_packed.npz")
    for name in ("SMPL_MALE", "SMPL_FEMALE"):
        shutil.copy(tmp_path / "SMPL_NEUTRAL_packed.npz", tmp_path / f"{name}.npz")
    bare = dict(np.load(tmp_path / "SMPL_NEUTRAL_packed.npz"))
    bare = {key: value for key, value in bare.items() if "landmark" not in key}
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **bare)
    assert len(read_body(tmp_path / "SMPL_NEUTRAL.npz").landmark_names) < 47
    assert read_smpl_bodies(tmp_path)["neutral"].joint_names == tuple(JOINTS_71)
