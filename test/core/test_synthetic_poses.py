"""Poses for synthetic people: limits, mirrors, feet, and BVH recordings of known rotations."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from romp_core.body import BodyModel
from romp_core.body.joints import SMPL_JOINTS, SMPL_PARENTS
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


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.zeros((5, 72))}, "no array `pose`"),
        ({"pose": np.zeros((0, 24, 3))}, "no finite poses"),
        ({"pose": np.zeros(0)}, r"`pose` of shape \(0,\) .*expected numbers"),
        ({"pose": np.float32(3)}, r"`pose` of shape \(\) .*expected numbers"),
        ({"pose": np.full((3, 72), "a")}, "type <U1; expected numbers"),
        ({"pose": np.zeros((5, 72)), "held_out": np.zeros(4, bool)}, r"`held_out` of shape \(4,\)"),
        ({"pose": np.zeros((5, 72)), "held_out": np.full(5, "a")}, "`held_out` .*type <U1"),
        ({"pose": np.zeros((5, 72)), "clip": np.full(4, "a")}, r"`clip` of shape \(4,\)"),
    ],
)
def test_recorded_poses_of_wrong_form_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_poses(tmp_path / "wrong.npz")


def test_recorded_poses_must_be_an_npz(tmp_path):
    np.save(tmp_path / "pose.npy", np.zeros((3, 24, 3)))
    with pytest.raises(
        DataError, match=r"pose\.npy is not a readable \.npz file: it holds one array"
    ):
        load_poses(tmp_path / "pose.npy")


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


@pytest.fixture(scope="module")
def joints():
    """(24, 3) of the open body at rest, metres."""
    return BodyModel.load("open").joints_template.double().numpy()


@pytest.fixture(scope="module")
def people():
    """(60, 24, 3) poses, some of whom stand, facing everywhere."""
    rng = np.random.default_rng(3)
    poses = np.stack([procedural_pose(rng) for _ in range(60)]).astype(float)
    headings = Rotation.from_euler("Y", rng.uniform(-np.pi, np.pi, (60, 1)))
    poses[:, 0] = (headings * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    poses[:, [SMPL_JOINTS.index(f"{side}_hand") for side in ("left", "right")]] = 0
    return poses


def posed(poses: np.ndarray, joints: np.ndarray) -> tuple[list[Rotation], np.ndarray]:
    """World rotations of SMPL's joints, and their places (F, 24, 3) from the pelvis."""
    turns, places = [], np.zeros((len(poses), 24, 3))
    for joint, parent in enumerate(SMPL_PARENTS):
        turn = Rotation.from_rotvec(poses[:, joint])
        if parent >= 0:
            places[:, joint] = places[:, parent] + turns[parent].apply(
                joints[joint] - joints[parent]
            )
            turn = turns[parent] * turn
        turns.append(turn)
    return turns, places


def recorded(poses: np.ndarray, joints: np.ndarray, axes: list, world: Rotation) -> str:
    """A BVH file with the open body's skeleton, one frame per pose.

    Its joints have these axes in SMPL's rest pose, so that the file's own rest pose is another
    one; its world is turned.
    """
    turns, _ = posed(poses, joints)
    turns = [world * turn * axis for turn, axis in zip(turns, axes, strict=True)]
    frames = []

    def hierarchy(joint: int) -> str:
        parent = SMPL_PARENTS[joint]
        offset, turn = joints[joint], turns[joint]
        if parent >= 0:
            offset = axes[parent].inv().apply(joints[joint] - joints[parent])
            turn = turns[parent].inv() * turn
        frames.append(turn.as_euler("ZYX", degrees=True))
        children = [child for child in range(24) if SMPL_PARENTS[child] == joint]
        below = " ".join(map(hierarchy, children)) or "End Site { OFFSET 0 1 0 }"
        x, y, z = offset
        return (
            f"{'ROOT' if parent < 0 else 'JOINT'} {SMPL_JOINTS[joint]} {{ OFFSET {x} {y} {z} "
            f"CHANNELS 3 Zrotation Yrotation Xrotation {below} }}"
        )

    text = f"HIERARCHY {hierarchy(0)}\nMOTION Frames: {len(poses)} Frame Time: 0.2\n"
    return text + "\n".join(" ".join(map(str, row)) for row in np.concatenate(frames, 1))


def along_bones(joints: np.ndarray, right: int) -> list[Rotation]:
    """Axes of which x runs along the bone, on the right side to the joint or from it."""
    axes: list[Rotation] = []
    for joint, name in enumerate(SMPL_JOINTS):
        children = [child for child in range(24) if SMPL_PARENTS[child] == joint]
        if not children:
            axes.append(axes[SMPL_PARENTS[joint]])
            continue
        child = SMPL_JOINTS.index({"pelvis": "spine1"}.get(name, SMPL_JOINTS[children[0]]))
        x = (joints[child] - joints[joint]) / np.linalg.norm(joints[child] - joints[joint])
        x *= right if name.startswith("right") else 1
        y = np.cross(np.eye(3)[np.abs(x).argmin()], x)
        y /= np.linalg.norm(y)
        axes.append(Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], 1)))
    return axes


def arms_down() -> list[Rotation]:
    """Axes of a rest pose whose arms are lowered by 45 degrees."""
    arm = ("shoulder", "elbow", "wrist", "hand")
    signs = [name.endswith(arm) * (-1 if "right" in name else 1) for name in SMPL_JOINTS]
    return [Rotation.from_euler("Z", 45 * sign, degrees=True) for sign in signs]


@pytest.mark.parametrize("tilt", [0, 90], ids=["y up", "z up"])
@pytest.mark.parametrize("rest", ["T-pose", "T-pose in the world", "A-pose", "along x", "mirrored"])
def test_bvh_of_any_rest_pose_gives_the_same_people(tmp_path, joints, people, rest, tilt):
    world = Rotation.from_euler("X", tilt, degrees=True)
    axes = {
        "T-pose": [Rotation.identity()] * 24,
        "T-pose in the world": [world.inv()] * 24,
        "A-pose": arms_down(),
        "along x": along_bones(joints, right=1),
        "mirrored": along_bones(joints, right=-1),
    }[rest]
    (tmp_path / "people.bvh").write_text(recorded(people, joints, axes, world))
    turns, places = posed(read_bvh(tmp_path / "people.bvh").astype(float), joints)
    true_turns, true_places = posed(people, joints)
    # Where a recording faces is free. Legs are taken for straight, which costs a centimetre.
    ahead, truly = (each[0].apply([0, 0, 1]) @ [1j, 0, 1] for each in (turns, true_turns))
    heading = Rotation.from_euler("Y", np.angle((truly / ahead).mean()))
    apart = heading.apply(places.reshape(-1, 3)) - true_places.reshape(-1, 3)
    assert np.linalg.norm(apart, axis=-1).mean() < 0.015
    for turn, truth in zip(turns, true_turns, strict=True):
        assert np.degrees((truth.inv() * heading * turn).magnitude()).mean() < 15


def test_bvh_without_anybody_who_stands_is_refused(tmp_path, joints, people):
    people = people.copy()
    people[:, [HIP, SMPL_JOINTS.index("right_hip")]] = [-1.4, 0, 0]
    file, still = tmp_path / "seated.bvh", Rotation.identity()
    file.write_text(recorded(people, joints, along_bones(joints, right=1), still))
    with pytest.raises(DataError, match=r"nobody who stands.* T-pose"):
        read_bvh(file)
    file.write_text(recorded(people, joints, [still] * 24, still))
    assert len(read_bvh(file)) == len(people)


def test_bvh_toes_may_rest_anywhere(tmp_path):
    # The opposite of where SMPL's are, so that there are many shortest ways.
    toe = "JOINT LeftToe { OFFSET 0 3 -9.54 End Site { OFFSET 0 0 -1 } }"
    (tmp_path / "toes.bvh").write_text(bvh_text().replace("End Site { OFFSET 0 -5 10 }", toe, 1))
    foot = Rotation.from_rotvec(read_bvh(tmp_path / "toes.bvh")[0, ANKLE])
    np.testing.assert_allclose(foot.apply([0, -0.3, 0.954]), [0, 0.3, -0.954], atol=1e-3)


def test_bvh_channels_may_come_in_any_order(tmp_path):
    (tmp_path / "usual.bvh").write_text(bvh_text(Hips=("Y", 90)))
    usual = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    mixed = "Zrotation Xposition Xrotation Yposition Yrotation Zposition"
    text = bvh_text(Hips=("Y", 90)).replace(usual, mixed)
    (tmp_path / "mixed.bvh").write_text(text.replace("0.0 0.0 0.0 0.0 0.0 90", "0 0 0 0 90 0"))
    usual, mixed = (read_bvh(tmp_path / f"{name}.bvh") for name in ("usual", "mixed"))
    np.testing.assert_array_equal(usual, mixed)


def test_bvh_folder_holds_out_a_tenth(tmp_path):
    for number in range(10):
        text = bvh_text(LeftLeg=("X", 10.0 * number))
        (tmp_path / f"{number}.bvh").write_text(text)
    train, held_out = (read_bvh_folder(tmp_path, flag) for flag in (False, True))
    assert len(train) == 18 and len(held_out) == 2
    assert train[:, KNEE, 0].max() < held_out[:, KNEE, 0].min()


def test_bvh_folder_refuses_a_single_file(tmp_path):
    (tmp_path / "one.BVH").write_text(bvh_text())
    with pytest.raises(DataError, match=r"1 \.bvh files"):
        read_bvh_folder(tmp_path, held_out=False)
    (tmp_path / "two.BVH").write_text(bvh_text())
    assert len(read_bvh_folder(tmp_path, held_out=False)) == 2


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        (r"0 -5 10[\s\S]*", "0", "not a BVH file: it ends too soon"),
        (r"^", "} ", "not a BVH file: .*braces do not match"),
        (r"OFFSET 0 10 0", "OFFSET 0 ten 0", "not a BVH file: could not convert .*'ten'"),
        (r"LeftForeArm", "Wing", "no joints known as left_elbow"),
        (r"RightUpLeg", "Wing", "no joints known as right_hip"),
        (r"Time: 0\.1", "Time: 0", "`Frame Time: 0`; expected"),
        (r"Time: 0\.1", "Time: nan", "`Frame Time: nan`; expected"),
        (r"MOTION[\s\S]*", "", "no MOTION section"),
        (r"0\.1\n[\s\S]*", "0.1\n", "0 numbers after `Frame Time:`; expected .* frames of 51"),
        (r"0\.0$", "", "152 numbers after `Frame Time:`; expected .* frames of 51"),
        (r"0\.0$", "nan", "not finite"),
        (r"3 Zrotation Xrotation", "3 Zrotation Zrotation", "turns Spine about Z, Z, Y; expected"),
        (r"OFFSET 0 -28 0", "OFFSET 0 0 0", "LeftArm and LeftForeArm at one place"),
    ],
)
def test_bvh_refusals(tmp_path, found, instead, message):
    text, changes = re.subn(found, instead, bvh_text(), count=1)
    assert changes == 1
    (tmp_path / "bad.bvh").write_text(text)
    with pytest.raises(DataError, match=message):
        read_bvh(tmp_path / "bad.bvh")
