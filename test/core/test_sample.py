"""`Sample`: what is unknown is marked, what does not fit is refused."""

import numpy as np
import pytest

from romp_core.data.sample import JOINT_COUNT, Sample
from romp_core.errors import DataError

IMAGE = np.zeros((4, 6, 3), np.uint8)


def test_only_joints_in_the_image_are_known():
    keypoints = np.zeros((2, JOINT_COUNT, 3))
    keypoints[0, 5] = 3, 2, 2
    sample = Sample(IMAGE, "test", keypoints_2d=keypoints)
    assert len(sample) == 2
    assert sample.has_keypoints.sum() == 1 and sample.has_keypoints[0, 5]
    for known in (sample.has_pose, sample.has_betas, sample.has_translation):
        assert known.shape == (2,) and not known.any()
    assert not sample.has_joints_3d.any()
    assert np.isnan(sample.boxes).all()


def test_people_who_differ_in_what_is_known():
    pose = np.zeros((3, 72))
    pose[1] = np.nan
    sample = Sample(IMAGE, "test", pose=pose, boxes=np.ones((3, 4)))
    np.testing.assert_array_equal(sample.has_pose, [True, False, True])
    assert sample.pose.dtype == np.float32


def test_nobody_in_the_picture():
    sample = Sample(IMAGE, "test")
    assert len(sample) == 0
    assert sample.keypoints_2d.shape == (0, JOINT_COUNT, 3)


def test_selecting_people_keeps_the_picture():
    sample = Sample(IMAGE, "test", betas=np.arange(30).reshape(3, 10), body_id="body")
    chosen = sample.select(np.array([True, False, True]))
    assert len(chosen) == 2 and chosen.body_id == "body" and chosen.image is sample.image
    np.testing.assert_array_equal(chosen.betas[:, 0], [0, 20])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": IMAGE.astype(np.float32)}, "float32"),
        ({"image": IMAGE[..., 0]}, r"\(4, 6\)"),
        ({"pose": np.zeros((2, 69))}, r"pose is \(2, 69\); expected \(2, 72\)"),
        ({"boxes": np.zeros((2, 4)), "betas": np.zeros((3, 10))}, "betas is"),
        ({"intrinsics": np.zeros((3, 4))}, "intrinsics"),
        ({"ignored_boxes": np.zeros((1, 5))}, "ignored_boxes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        Sample(**{"image": IMAGE, "source": "test", **fields})
