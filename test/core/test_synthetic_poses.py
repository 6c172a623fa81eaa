"""Poses for synthetic people: limits, mirrors, feet, and BVH recordings of known rotations."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from romp_core.body.joints import SMPL_JOINTS
from romp_core.data.synthetic.archetypes import procedural_pose
from romp_core.data.synthetic.bvh import read_bvh, read_bvh_folder
from romp_core.data.synthetic.joint_limits import HIGH, LOW, perturb
from romp_core.data.synthetic.poses import (
    PoseSampler,
    load_poses,
    mirror,
    plant_feet,
    without_heading,
)
from romp_core.errors import DataError

KNEE, HIP, ANKLE = (SMPL_JOINTS.index(f"left_{name}") for name in ("knee", "hip", "ankle"))

# A skeleton whose arms hang at rest, one frame every 0.1 s: every second one is read.
BVH = """HIERARCHY
ROOT Hips
{ OFFSET 0 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine { OFFSET 0 10 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Neck { OFFSET 0 40 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT Head { OFFSET 0 10 0 CHANNELS 3 Zrotation Xrotation Yrotation
        End Site { OFFSET 0 20 0 } } }
    JOINT LeftArm { OFFSET 18 35 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT LeftForeArm { OFFSET 0 -28 0 CHANNELS 3 Zrotation Xrotation Yrotation
        JOINT LeftHand { OFFSET 0 -25 0 CHANNELS 3 Zrotation Xrotation Yrotation
          End Site { OFFSET 0 -10 0 } } } }
    JOINT RightArm { OFFSET -18 35 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT RightForeArm { OFFSET 0 -28 0 CHANNELS 3 Zrotation Xrotation Yrotation
        JOINT RightHand { OFFSET 0 -25 0 CHANNELS 3 Zrotation Xrotation Yrotation
          End Site { OFFSET 0 -10 0 } } } } }
  JOINT LeftUpLeg { OFFSET 10 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftLeg { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT LeftFoot { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
        End Site { OFFSET 0 -5 10 } } } }
  JOINT RightUpLeg { OFFSET -10 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT RightLeg { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT RightFoot { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
        End Site { OFFSET 0 -5 10 } } } }
}
MOTION
Frames: 3
Frame Time: 0.1
"""


def bvh_text(**angles: float) -> str:
    """Three frames alike: root turned about y, left knee bent about x."""
    names = [word for line in BVH.split("\n") for word in line.split()]
    joints = [names[i + 1] for i, word in enumerate(names) if word in ("ROOT", "JOINT")]
    frame = np.zeros(3 + 3 * len(joints))
    for joint, (axis, angle) in angles.items():
        frame[3 + 3 * joints.index(joint) + "ZXY".index(axis)] = angle
    return BVH + "\n".join([" ".join(map(str, frame))] * 3)


def turn_up(offset: re.Match) -> str:
    x, y, z = map(float, offset.groups())
    return f"OFFSET {x} {-z} {y}"


def test_procedural_poses_stay_within_limits_and_differ():
    rng = np.random.default_rng(0)
    poses = np.stack([procedural_pose(rng) for _ in range(200)])
    assert (poses[:, 1:] >= LOW[1:] - 1e-6).all() and (poses[:, 1:] <= HIGH[1:] + 1e-6).all()
    assert poses[:, KNEE, 0].std() > 0.3


def test_perturbing_goes_no_further_beyond_a_limit():
    pose = np.zeros((24, 3), np.float32)
    pose[KNEE, 0] = 2.9  # bent more than the limit
    moved = np.stack([perturb(pose, np.random.default_rng(i), 0.3) for i in range(50)])
    assert (moved[:, KNEE, 0] <= 2.9 + 1e-6).all()
    assert moved[:, KNEE, 0].min() < 2.8
    assert (moved[:, 0] == 0).all()


def test_mirroring_twice_changes_nothing_and_swaps_sides():
    pose = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    np.testing.assert_array_equal(mirror(mirror(pose)), pose)
    right_knee = SMPL_JOINTS.index("right_knee")
    np.testing.assert_array_equal(mirror(pose)[right_knee], pose[KNEE] * [1, -1, -1])


def test_without_heading_faces_forward_and_keeps_the_lean():
    rotation = Rotation.from_euler("YX", [2.0, 0.4])
    facing = Rotation.from_rotvec(without_heading(rotation.as_rotvec())).apply([0, 0, 1])
    assert abs(facing[0]) < 1e-6 and facing[2] > 0
    np.testing.assert_allclose(facing[1], rotation.apply([0, 0, 1])[1], atol=1e-6)


def test_planted_foot_is_level_and_a_lifted_foot_is_left_alone():
    pose = np.zeros((24, 3), np.float32)
    pose[ANKLE] = [0.6, 0.0, 0.2]
    right_hip, right_ankle = SMPL_JOINTS.index("right_hip"), SMPL_JOINTS.index("right_ankle")
    pose[right_hip], pose[right_ankle] = [-1.2, 0, 0], [0.5, 0, 0]
    planted = plant_feet(pose)
    turns = [Rotation.from_rotvec(planted[joint]) for joint in (0, HIP, KNEE, ANKLE)]
    sole = (turns[0] * turns[1] * turns[2] * turns[3]).apply([0, 1, 0])
    np.testing.assert_allclose(sole, [0, 1, 0], atol=1e-5)
    np.testing.assert_array_equal(planted[right_ankle], pose[right_ankle])


def test_sampler_depends_on_nothing_but_its_randomness():
    recorded = np.random.default_rng(1).normal(0, 0.3, (20, 24, 3)).astype(np.float32)
    sampler = PoseSampler(recorded)
    first, second = (sampler(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, sampler(np.random.default_rng(6)))


def test_varied_poses_tilt_bodies_and_exchange_limbs():
    # Everybody in recording k has all joints at k / 10 about x, which no limit forbids.
    recorded = np.zeros((5, 24, 3), np.float32)
    recorded[:, 1:, 0] = np.arange(5)[:, None] / 10
    sampler = PoseSampler.varied(recorded)
    plain = PoseSampler(recorded)
    for each in (sampler, plain):
        each.spread = each.procedural_share = each.mix_share = each.planted_share = 0.0
    rng = np.random.default_rng(0)
    poses = np.stack([sampler(rng) for _ in range(400)])
    tilts = np.degrees(np.linalg.norm(poses[:, 0], axis=1))
    assert 0.08 < (tilts > 1).mean() < 0.16 and tilts.max() > 90
    sources = np.rint(10 * poses[..., 0]).astype(int)
    mixed = (sources[:, 1:] != sources[:, 3:4]).any(1)  # the spine is never exchanged
    assert 0.15 < mixed.mean() < 0.3
    arm = [SMPL_JOINTS.index(f"left_{n}") for n in ("collar", "shoulder", "elbow", "wrist")]
    assert (sources[:, arm] == sources[:, arm[:1]]).all()
    upright = np.stack([plain(rng) for _ in range(50)])
    assert not upright[:, 0].any()
    assert (np.ptp(upright[:, 1:, 0], axis=1) < 1e-6).all()


def test_recorded_poses_of_both_shapes_and_held_out(tmp_path):
    pose = np.random.default_rng(0).normal(size=(10, 72)).astype(np.float16)
    np.savez(tmp_path / "flat.npz", pose=pose, held_out=np.arange(10) < 3)
    assert load_poses(tmp_path / "flat.npz").shape == (7, 24, 3)
    assert load_poses(tmp_path / "flat.npz", held_out=True).shape == (3, 24, 3)
    np.savez(tmp_path / "plain.npz", pose=pose.reshape(-1, 24, 3))
    assert load_poses(tmp_path / "plain.npz").shape == (10, 24, 3)
    with pytest.raises(DataError, match="held_out"):
        load_poses(tmp_path / "plain.npz", held_out=True)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "plain.npz").read_bytes()[:-30])
    with pytest.raises(DataError, match=r"cut\.npz is not a readable \.npz file"):
        load_poses(tmp_path / "cut.npz")


def test_bvh_bones_point_where_the_recording_points(tmp_path):
    file = tmp_path / "walk.bvh"
    file.write_text(bvh_text(LeftLeg=("X", 90), Hips=("Y", 90)))
    pose = read_bvh(file)
    assert pose.shape == (2, 24, 3)
    np.testing.assert_allclose(pose[0, 0], [0, np.pi / 2, 0], atol=1e-5)
    np.testing.assert_allclose(pose[0, KNEE], [np.pi / 2, 0, 0], atol=1e-5)
    # The arms hang, so SMPL's T-pose arms must turn down.
    shoulder = SMPL_JOINTS.index("left_shoulder")
    arm = Rotation.from_rotvec(pose[0, shoulder]).apply([1, 0, 0])
    np.testing.assert_allclose(arm, [0, -1, 0], atol=1e-5)


def test_bvh_with_z_up_and_other_names_gives_the_same_pose(tmp_path):
    y_up = tmp_path / "y.bvh"
    y_up.write_text(bvh_text(LeftLeg=("X", 60)))
    renamed = BVH.replace("UpLeg", "Hip").replace("Leg", "Knee").replace("Foot", "Ankle")
    renamed = renamed.replace("LeftArm", "mixamorig:LeftShldr").replace("RightArm", "rShldr")
    # (x, y, z) -> (x, -z, y); the only rotation is about x, which stays.
    renamed = re.sub(r"OFFSET (\S+) (\S+) (\S+)", turn_up, renamed)
    z_up = tmp_path / "other.bvh"
    frames = bvh_text(LeftLeg=("X", 60)).removeprefix(BVH)
    z_up.write_text(renamed + frames)
    np.testing.assert_allclose(read_bvh(z_up), read_bvh(y_up), atol=1e-6)


def test_bvh_folder_holds_out_a_tenth(tmp_path):
    for number in range(10):
        text = bvh_text(LeftLeg=("X", 10.0 * number))
        (tmp_path / f"{number}.bvh").write_text(text)
    train, held_out = (read_bvh_folder(tmp_path, flag) for flag in (False, True))
    assert len(train) == 18 and len(held_out) == 2
    assert train[:, KNEE, 0].max() < held_out[:, KNEE, 0].min()


def test_bvh_refusals(tmp_path):
    (tmp_path / "bad.bvh").write_text("HIERARCHY ROOT Hips { OFFSET 1 2")
    with pytest.raises(DataError, match="not a BVH file"):
        read_bvh(tmp_path / "bad.bvh")
    (tmp_path / "bad.bvh").write_text(bvh_text().replace("LeftForeArm", "Wing"))
    with pytest.raises(DataError, match="left_elbow"):
        read_bvh(tmp_path / "bad.bvh")
    with pytest.raises(DataError, match=r"1 \.bvh files"):
        read_bvh_folder(tmp_path, held_out=False)
