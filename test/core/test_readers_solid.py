"""Readers of sets with 3D joints or SMPL: official structure, left and right, what may be wrong."""

import json
import pickle
import shutil

import numpy as np
import pytest
from reader_factory import (
    HEIGHT,
    LSP,
    PIXELS,
    WIDTH,
    assert_same_person,
    limbs,
    pixels,
    solid,
    write_picture,
)
from scipy.io import savemat
from scipy.spatial.transform import Rotation
from three_dpw_factory import write_bodies

from romp_core.body.joints import JOINTS_71
from romp_core.data.readers import open_data_set
from romp_core.data.readers.mpi_inf_3dhp import mpi_inf_3dhp_npz
from romp_core.data.sample import OCCLUDED
from romp_core.errors import DataError, ImageError
from romp_core.media import VideoWriter, write_image

H36M = (
    "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine neck jaw head_top "
    "left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
)
MPI = (
    "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle pelvis spine jaw"
)
PANOPTIC = (
    "neck nose pelvis left_shoulder left_elbow left_wrist left_hip left_knee left_ankle "
    "right_shoulder right_elbow right_wrist right_hip right_knee right_ankle left_eye left_ear "
    "right_eye right_ear"
)
SMPL = (
    "pelvis left_hip right_hip spine left_knee right_knee spine left_ankle right_ankle spine "
    "left_ankle right_ankle neck thorax thorax jaw left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_wrist right_wrist"
)
# The 28 joints of MPI-INF-3DHP's training files that the test set has; the others are not read.
MPI_28 = dict(
    zip([7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6], MPI.split(), strict=True)
)
H36M_32 = dict(
    zip([0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27], H36M.split(), strict=True)
)
TRUNK_17 = {f"{name}_h17": name for name in ("pelvis", "spine", "neck", "jaw", "head_top")}
ALL_17 = {**TRUNK_17, **limbs("_h17", hip="hip")}


def among(count, table, values):
    """(count, C) with the values of named joints in their places, nonsense elsewhere."""
    result = np.full((count, values("neck").shape[1]), -77.0)
    for index, name in table.items():
        result[index] = values(name)[0]
    return result


def assert_solid(sample, expected, centred=False, person=0):
    """3D joints are those of `solid` in metres, up to its per-joint depth."""
    for name, place in expected.items():
        found = sample.joints_3d[person, JOINTS_71.index(name)]
        want = solid(place)[0]
        assert np.abs(found[:2] - want[:2]).max() < 1e-4, name
    unknown = ~sample.has_joints_3d[person]
    assert unknown.sum() == 71 - len(expected)


def write_video(path, frames=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 25) as video:
        for number in range(frames):
            video.write(np.full((HEIGHT, WIDTH, 3), (40 + 60 * number) % 256, np.uint8))


def test_human36m(tmp_path):
    cdfwrite = pytest.importorskip("cdflib.cdfwrite")
    features = tmp_path / "S9" / "MyPoseFeatures"
    name = "Walking 1.54138969"
    for folder, values in (("D3_Positions_mono", lambda n: 1000 * solid(n)),
                           ("D2_Positions", pixels)):  # fmt: skip
        rows = np.stack([among(32, H36M_32, values).ravel()] * 3).astype(np.float32)
        (features / folder).mkdir(parents=True)
        file = cdfwrite.CDF(features / folder / f"{name}.cdf")
        spec = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True,
                "Dim_Sizes": list(rows.shape)}  # fmt: skip
        file.write_var(spec, var_data=rows[None])
        file.close()
    write_video(tmp_path / "S9" / "Videos" / f"{name}.mp4")
    records = open_data_set("human36m", tmp_path, subjects=["S9"], step=2)
    assert [record.frame for record in records.records] == [0, 2]
    assert_same_person(records[1], ALL_17)
    assert_solid(records[1], ALL_17)
    assert records.group(0) == "Walking"
    assert records[1].image.mean() > records[0].image.mean() + 80
    file = features / "D2_Positions" / f"{name}.cdf"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(DataError, match="Pose"):
        open_data_set("human36m", tmp_path, subjects=["S9"])
    with pytest.raises(FileNotFoundError, match="S11"):
        open_data_set("human36m", tmp_path, subjects=["S11"])


def write_mpi_train(root, frames=3):
    cells = {}
    for key, values in (("annot2", pixels), ("annot3", lambda name: 1000 * solid(name))):
        rows = np.stack([among(28, MPI_28, values).ravel()] * frames)
        cells[key] = np.empty((14, 1), object)
        for camera in range(14):
            cells[key][camera, 0] = rows
    folder = root / "S1" / "Seq1"
    folder.mkdir(parents=True)
    savemat(folder / "annot.mat", cells)
    write_video(folder / "imageSequence" / "video_4.avi", frames)
    return folder


def test_mpi_inf_3dhp_training(tmp_path):
    write_mpi_train(tmp_path)
    records = open_data_set("mpi_inf_3dhp", tmp_path, step=2)
    assert [record.frame for record in records.records] == [0, 2]
    assert_same_person(records[0], ALL_17)
    assert_solid(records[0], ALL_17)
    # Seven of eight cameras have no video here.
    assert records.problems.counts == {"missing images": 14}


def test_a_video_shorter_than_its_annotations(tmp_path):
    folder = write_mpi_train(tmp_path, frames=6)
    write_video(folder / "imageSequence" / "video_4.avi", 2)
    records = open_data_set("mpi_inf_3dhp", tmp_path, step=5)
    with pytest.raises(ImageError, match="no readable frame 5"):
        records[1]


def test_mpi_inf_3dhp_test(tmp_path):
    h5py = pytest.importorskip("h5py")
    file = tmp_path / "TS2" / "annot_data.mat"
    file.parent.mkdir()
    with h5py.File(file, "w") as content:
        content["annot2"] = np.stack([pixels(MPI)[None]] * 2)
        content["univ_annot3"] = np.stack([1000 * solid(MPI)[None]] * 2)
        content["annot3"] = content["univ_annot3"][()]
        content["valid_frame"] = np.array([[0.0], [1.0]])
    write_picture(tmp_path / "TS2" / "imageSequence" / "img_000002.jpg")
    records = open_data_set("mpi_inf_3dhp_test", tmp_path)
    assert len(records) == 1
    assert_same_person(records[0], ALL_17)
    assert_solid(records[0], ALL_17)
    assert records.problems.counts == {"frames that are not valid": 1}
    file.write_bytes(file.read_bytes()[:800])
    with pytest.raises(DataError, match="annot_data"):
        open_data_set("mpi_inf_3dhp_test", tmp_path)
    with pytest.raises(FileNotFoundError, match="TS1"):
        open_data_set("mpi_inf_3dhp_test", tmp_path / "TS2")


def test_muco(tmp_path):
    hands = np.zeros((4, 2))
    person = {
        "image_id": 7,
        "keypoints_img": np.concatenate([pixels(MPI), hands]).tolist(),
        "keypoints_cam": np.concatenate([1000 * solid(MPI), np.zeros((4, 3))]).tolist(),
        "keypoints_vis": [0] + [1] * 20,
    }
    images = [
        {"id": 7, "file_name": "augmented_set/1/a.jpg", "f": [1500.0, 1501.0], "c": [50.0, 60.0]},
        {"id": 8, "file_name": "augmented_set/1/b.jpg", "f": [1500.0, 1501.0], "c": [50.0, 60.0]},
    ]
    file = tmp_path / "annotations" / "MuCo-3DHP.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"images": images, "annotations": [person, person]}))
    write_picture(tmp_path / "images" / "augmented_set" / "1" / "a.jpg")
    records = open_data_set("muco", tmp_path)
    sample = records[0]
    assert len(sample) == 2
    assert_same_person(sample, ALL_17, person=1)
    assert_solid(sample, ALL_17)
    assert sample.keypoints_2d[0, JOINTS_71.index("head_top_h17"), 2] == OCCLUDED
    assert sample.intrinsics.tolist() == [[1500, 0, 50], [0, 1501, 60], [0, 0, 1]]
    assert records.problems.counts == {"images without people": 1}


def test_mupots(tmp_path):
    kinds = [(name, object) for name in ("annot2", "annot3", "univ_annot3", "isValidFrame")]
    cells, hidden = np.empty((2, 2), object), np.empty((2, 2), object)
    for frame in range(2):
        for person in range(2):
            entry = np.zeros((1, 1), kinds)
            entry[0, 0] = (pixels(MPI).T, 1000 * solid(MPI).T, 1000 * solid(MPI).T,
                           float(frame == 0 and person == 1))  # fmt: skip
            cells[frame, person] = entry
            hidden[frame, person] = np.eye(1, 17)[0]
    (tmp_path / "TS1").mkdir()
    savemat(tmp_path / "TS1" / "annot.mat", {"annotations": cells})
    savemat(tmp_path / "TS1" / "occlusion.mat", {"occlusion_labels": hidden})
    write_picture(tmp_path / "TS1" / "img_000000.jpg")
    records = open_data_set("mupots", tmp_path)
    sample = records[0]
    assert_same_person(sample, ALL_17)
    assert_solid(sample, ALL_17)
    assert sample.keypoints_2d[0, JOINTS_71.index("head_top_h17"), 2] == OCCLUDED
    assert sample.ignored_boxes == pytest.approx(sample.boxes)  # of the other, not valid
    assert records.problems.counts == {
        "people in frames that are not valid": 2,
        "frames without valid people": 1,
    }


def test_mpi_inf_3dhp_npz(tmp_path):
    part = np.column_stack([pixels(MPI), [0] + [1] * 16])
    joints = np.column_stack([solid(MPI), [0] + [1] * 16])
    np.savez(tmp_path / "a.npz", imgname=["TS1_1.jpg"], part=part[None], S=joints[None])
    write_picture(tmp_path / "TS1_1.jpg")
    records = mpi_inf_3dhp_npz(tmp_path / "a.npz", tmp_path)
    expected = {name: place for name, place in ALL_17.items() if name != "head_top_h17"}
    assert_same_person(records[0], expected)
    assert_solid(records[0], expected)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    with pytest.raises(DataError, match="imgname"):
        mpi_inf_3dhp_npz(tmp_path / "a.npz", tmp_path)


def doh_picture():
    turn = Rotation.from_rotvec([0.2, -0.4, 0.1])
    extrinsics = np.eye(4)
    extrinsics[:3, :3], extrinsics[:3, 3] = turn.as_matrix(), [0.1, 0.2, 0.3]

    def into_world(points):
        return turn.inv().apply(points - extrinsics[:3, 3]).tolist()

    orient = Rotation.from_rotvec([0.3, 0.5, -0.2])
    pose = np.zeros(72)
    pose[:3] = (turn.inv() * orient).as_rotvec()
    pose[5] = 0.7
    return orient, {
        "img_path": "images\\00000.jpg", "pose": [pose.tolist()], "betas": [[0.0] * 10],
        "trans": [[0.0] * 3], "scale": [1.1], "bbox": [[20, 5], [80, 110]],
        "smpl_joints_2d": pixels(SMPL).tolist(), "smpl_joints_3d": into_world(solid(SMPL)),
        "lsp_joints_2d": pixels(LSP).tolist(), "lsp_joints_3d": into_world(solid(LSP)),
        "intri": [[900, 0, 50], [0, 900, 60], [0, 0, 1]], "extri": extrinsics.tolist(),
    }  # fmt: skip


def test_three_doh50k(tmp_path):
    orient, picture = doh_picture()
    (tmp_path / "testset").mkdir()
    (tmp_path / "testset" / "annots.json").write_text(json.dumps({"00000": picture}))
    write_picture(tmp_path / "testset" / "images" / "00000.jpg")
    sample = open_data_set("3doh50k", tmp_path, split="test")[0]
    expected = {**limbs("_h17", hip="hip"), "neck_h17": "neck", "head_top_h17": "head_top"}
    for name, place in expected.items():
        index = JOINTS_71.index(name)
        assert np.abs(sample.keypoints_2d[0, index, :2] - PIXELS[place]).max() < 0.01
        assert np.abs(sample.joints_3d[0, index, :2] - solid(place)[0, :2]).max() < 1e-4
    left, right = (JOINTS_71.index(f"{side}_knee") for side in ("left", "right"))
    assert sample.keypoints_2d[0, left, 0] > 50 > sample.keypoints_2d[0, right, 0]
    found = Rotation.from_rotvec(sample.pose[0, :3])
    assert (found * orient.inv()).magnitude() < 1e-5
    assert sample.pose[0, 5] == pytest.approx(0.7)
    assert not sample.has_betas.any()
    del picture["pose"]
    (tmp_path / "testset" / "annots.json").write_text(json.dumps({"00000": picture}))
    with pytest.raises(DataError, match="00000 lacks pose"):
        open_data_set("3doh50k", tmp_path, split="test")


def test_up3d(tmp_path, small_body_data):
    bodies = tmp_path / "smpl"
    write_bodies(bodies, small_body_data)
    joints = np.column_stack([pixels(LSP), np.ones(14)]).T
    fit = {"pose": np.arange(72.0) / 100, "betas": np.arange(10.0), "trans": np.zeros(3),
           "rt": np.zeros(3), "t": np.zeros(3), "f": 5000.0}  # fmt: skip
    np.save(tmp_path / "00003_joints.npy", joints)
    (tmp_path / "00003_body.pkl").write_bytes(pickle.dumps(fit, protocol=2))
    write_picture(tmp_path / "00003_image.png")
    (tmp_path / "train.txt").write_text("/00003_image.png\n/00004_image.png\n")
    records = open_data_set("up3d", tmp_path, smpl=bodies)
    sample = records[0]
    head = {"neck_lsp": "neck", "head_top_lsp": "head_top"}
    assert_same_person(sample, {**head, **limbs()})
    assert sample.pose[0] == pytest.approx(np.arange(72) / 100)
    assert sample.betas[0].tolist() == list(range(10))
    assert sample.body_id == records.bodies["neutral"].id
    assert records.problems.counts == {"images without fit or joints": 1}
    assert not open_data_set("up3d", tmp_path)[0].has_betas.any()


def write_panoptic(root, confidence=0.6, distortion=(0.0,) * 5):
    turn, offset = Rotation.from_rotvec([0.2, -0.4, 0.1]), np.array([10.0, -20, 30])
    K = [[100, 0, 50], [0, 100, 60], [0, 0, 1]]
    camera = {"type": "hd", "resolution": [WIDTH, HEIGHT], "K": K, "distCoef": distortion,
              "R": turn.as_matrix().tolist(), "t": offset[:, None].tolist()}  # fmt: skip
    cameras = [{"name": name, **camera} for name in ("00_16", "00_30")]
    # On a plane at 1 m, where 1 pixel is 1 cm.
    flat = np.column_stack([(pixels(PANOPTIC) - [50, 60]) / 100, np.ones(19)])
    world = turn.inv().apply(100 * flat - offset)
    joints = np.column_stack([world, np.full(19, confidence)])
    joints[1, 3] = -1  # the nose could not be reconstructed
    folder = root / "160422_haggling1"
    poses = folder / "hdPose3d_stage1_coco19"
    poses.mkdir(parents=True)
    (folder / "calibration_160422_haggling1.json").write_text(json.dumps({"cameras": cameras}))
    scene = {"version": 0.7, "bodies": [{"id": 0, "joints19": joints.ravel().tolist()}]}
    (poses / "body3DScene_00000200.json").write_text(json.dumps(scene))
    (poses / "body3DScene_00000201.json").write_text(json.dumps({"bodies": []}))
    write_picture(folder / "hdImgs" / "00_16" / "00_16_00000200.jpg")
    return flat


def test_panoptic(tmp_path):
    flat = write_panoptic(tmp_path)
    records = open_data_set("panoptic", tmp_path, cameras=["00_16"])
    assert len(records) == 1
    sides = {f"{s}_{part}": f"{s}_{part}" for s in ("left", "right") for part in ("eye", "ear")}
    expected = {"neck_lsp": "neck", "pelvis_mpii": "pelvis", **sides, **limbs()}
    sample = records[0]
    assert_same_person(sample, expected)
    place = JOINTS_71.index("left_wrist")
    assert sample.joints_3d[0, place] == pytest.approx(flat[5], abs=1e-5)
    assert not sample.has_joints_3d[0, JOINTS_71.index("nose")]
    assert records.group(0) == "haggling"
    assert records.problems.counts == {
        "people with joints not reconstructed": 1,
        "frames without people": 1,
    }
    with pytest.raises(DataError, match="no camera 00_99"):
        open_data_set("panoptic", tmp_path, cameras=["00_99"])
    with pytest.raises(FileNotFoundError, match="SEQUENCE"):
        open_data_set("panoptic", tmp_path / "160422_haggling1")


def test_panoptic_lens(tmp_path):
    write_panoptic(tmp_path, distortion=(0.3, 0.0, 0.0, 0.0, 0.0))
    sample = open_data_set("panoptic", tmp_path, cameras=["00_16"])[0]
    x, y = PIXELS["left_ankle"]
    radius = ((x - 50) ** 2 + (y - 60) ** 2) / 100**2
    expected = 50 + (x - 50) * (1 + 0.3 * radius), 60 + (y - 60) * (1 + 0.3 * radius)
    found = sample.keypoints_2d[0, JOINTS_71.index("left_ankle"), :2]
    assert found == pytest.approx(expected, abs=0.01)


def test_real_panoptic(shared, tmp_path):
    """With the real calibration, real people are upright in front of the HD cameras."""
    root = tmp_path / "panoptic"
    shutil.copytree(shared / "samples" / "panoptic_body3d", root)
    folder, cameras = root / "160906_band1", ["00_16", "00_30"]
    for camera in cameras:  # the sample has no pictures
        for frame in ("00000168", "00000169"):
            picture = folder / "hdImgs" / camera / f"{camera}_{frame}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            write_image(picture, np.zeros((1080, 1920, 3), np.uint8))
    neck, pelvis = JOINTS_71.index("neck_lsp"), JOINTS_71.index("pelvis_mpii")
    records = open_data_set("panoptic", root, cameras=cameras)
    assert len(records) == 4
    for sample in records:
        assert len(sample) == 3
        trunk = sample.joints_3d[:, neck] - sample.joints_3d[:, pelvis]
        length = np.linalg.norm(trunk, axis=-1)
        assert (length > 0.3).all()
        assert (length < 0.8).all()
        assert (trunk[:, 1] < -0.05).all()  # y points down; they play sitting and leaning
        assert (sample.joints_3d[:, neck, 2] > 0.5).all()


def test_real_mpi_inf_3dhp(shared):
    folder = shared / "samples" / "mpi_inf_3dhp"
    records = mpi_inf_3dhp_npz(folder / "test_3dhp_test.npz", folder)
    assert len(records) == 2
    at = dict(zip(JOINTS_71, records[0].keypoints_2d[0], strict=True))
    assert at["left_shoulder_h17"][0] > at["right_shoulder_h17"][0]  # he faces the camera
    deep = dict(zip(JOINTS_71, records[0].joints_3d[0], strict=True))
    assert deep["left_shoulder_h17"][0] > deep["right_shoulder_h17"][0]
    assert 1.4 < np.linalg.norm(deep["head_top_h17"] - deep["left_ankle_h17"]) < 2


def test_damaged_json_of_3d_sets(tmp_path):
    write_panoptic(tmp_path)
    folder = tmp_path / "160422_haggling1"
    scene = folder / "hdPose3d_stage1_coco19" / "body3DScene_00000200.json"
    scene.write_text('{"bodies": [{"id": 0, "joints19": [1, 2, 3]}]}')
    with pytest.raises(DataError, match="joints19 has shape"):
        open_data_set("panoptic", tmp_path, cameras=["00_16"])
    scene.write_text('{"bodies": [{"id": 0}]}')
    with pytest.raises(DataError, match="lacks joints19"):
        open_data_set("panoptic", tmp_path, cameras=["00_16"])
    file = tmp_path / "annotations" / "MuCo-3DHP.json"
    file.parent.mkdir()
    file.write_text('{"images": [], "annotations": [{"image_id": 1}]}')
    with pytest.raises(DataError, match="lacks keypoints_img"):
        open_data_set("muco", tmp_path)
