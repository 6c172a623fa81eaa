"""What training may learn from data sets that label some joints, of some body."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_augmentation import make_sample

from romp_core.body import BodyModel
from romp_core.body.files import read_body
from romp_core.body.joints import JOINT_SETS, JOINTS_71, VERTEX_LANDMARKS
from romp_core.body.model import OPEN_BODY
from romp_core.checkpoints import shares_betas
from romp_core.data.augmentation import NO_AUGMENTATION, augment, mirror
from romp_core.data.readers import RecordSet
from romp_core.data.readers.records import Problems, Record
from romp_core.data.sample import Sample
from romp_core.errors import ConfigError, DataError
from romp_core.network import NetworkConfig, build_network
from romp_core.training.batch import Batch, collate
from romp_core.training.evidence import COCO, heatmaps_loss

SIZE = 64


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return BodyModel.load("open")


@pytest.fixture(scope="module")
def body_of_45_joints() -> BodyModel:
    """The open body with the joints that SMPL's official file has."""
    data = read_body(OPEN_BODY)
    kept = [data.landmark_names.index(name) for name in VERTEX_LANDMARKS]
    regressor = data.landmark_regressor[kept]
    return BodyModel(replace(data, landmark_names=VERTEX_LANDMARKS, landmark_regressor=regressor))


def square(body: BodyModel, body_id: str | None = None) -> Sample:
    sample = replace(make_sample(body), body_id=body_id)
    return augment(sample, SIZE, np.random.default_rng(0), NO_AUGMENTATION)


def labeled_at(sample: Sample, names: tuple[str, ...], source: str) -> Sample:
    """The sample without any label, 2D or 3D, at other joints; pose and betas are unknown."""
    others = ~np.isin(JOINTS_71, names)
    keypoints, joints = sample.keypoints_2d.copy(), sample.joints_3d.copy()
    keypoints[:, others, 2], joints[:, others] = 0, np.nan
    return replace(
        sample, keypoints_2d=keypoints, joints_3d=joints, pose=None, betas=None, source=source
    )


def make_training(body: BodyModel):
    pytest.importorskip("lightning", reason="the training extra is not installed")
    from romp_core.training.config import DataConfig, TrainingConfig
    from romp_core.training.module import RompTraining

    network = NetworkConfig("resnet18", input_size=SIZE, center_sigmoid=True)
    config = TrainingConfig(network, [DataConfig("made up")], prior=None)
    torch.manual_seed(0)
    return RompTraining(build_network(network).eval(), body, config).eval()


def test_labels_at_no_joint_of_the_body_are_refused(body, body_of_45_joints):
    """Wart: the paper's configurations once lost all of Human3.6M, MPI-INF-3DHP and MuCo."""
    whole = square(body, body.id)
    solid = labeled_at(whole, JOINT_SETS["h36m17"], "human36m S1/Walking/000000")
    batch = collate([whole, solid])
    with pytest.raises(ConfigError, match=r"human36m S1/Walking.*_h17 and \d+ more.*71 joints"):
        make_training(body_of_45_joints).losses(batch)
    assert make_training(body).losses(batch)["keypoints"] > 0


def test_labels_at_some_joints_of_the_body_are_learnt(body, body_of_45_joints):
    sample = labeled_at(square(body), JOINT_SETS["coco17"], "coco 1")
    nobody = Sample(image=sample.image, source="nobody")
    assert make_training(body_of_45_joints).losses(collate([sample, nobody]))["keypoints"] > 0


def test_betas_of_another_body_are_not_learnt(body, caplog):
    own, other = square(body, body.id), square(body, "SMPL_MALE-01234567")
    training = make_training(body)
    with caplog.at_level(logging.WARNING):
        alone = training.losses(collate([own]))
        assert not caplog.records
        mixed = training.losses(collate([own, replace(other, betas=other.betas + 9)]))
        without = training.losses(collate([other]))
        unknown = training.losses(collate([replace(other, body_id=None)]))
    torch.testing.assert_close(mixed["betas"], alone["betas"])
    assert alone["betas"] > 0
    assert without["betas"] == unknown["betas"] == 0
    # Everything else of them is learnt, and what is left out is said once per body.
    torch.testing.assert_close(without["pose"], alone["pose"])
    assert [record.getMessage().split(" belong to ")[1][:20] for record in caplog.records] == [
        "the body SMPL_MALE-0", "several bodies or an",
    ]  # fmt: skip


def test_which_bodies_share_betas():
    neutral = "SMPL_NEUTRAL-0123abcd"
    assert shares_betas(neutral, neutral)
    assert shares_betas("SMPL_NEUTRAL-99999999", neutral)  # with other landmarks
    assert shares_betas("my-own-name-0123abcd", neutral)  # converted under another name
    for other in (None, "SMPL_MALE-4567cdef", "open_body-8acef36a"):
        assert not shares_betas(other, neutral)


@pytest.fixture(scope="module")
def network():
    return build_network(NetworkConfig("mobilenet", lifting=True))


def heat(network, batch: Batch, silent: tuple[int, ...] = ()) -> float:
    """Heatmaps' loss where peaks are nowhere but in the channels `silent`, or all over them."""
    channels = network.backbone.evidence_channels["keypoint_heatmaps"]
    level = torch.full((1, network.backbone.out_channels, SIZE // 4, SIZE // 4), 0.01)
    level[:, channels][:, list(silent)] = 0.9
    return heatmaps_loss(batch, network, [level])[0].item()


FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
FACE_CHANNELS = tuple(JOINT_SETS["coco17"].index(name) for name in FACE)


def test_keypoints_that_a_data_set_never_labels_are_not_judged(body, network):
    sample = labeled_at(square(body), JOINT_SETS["mpii16"], "mpii 1")
    of_mpii = collate([replace(sample, annotated=np.isin(JOINTS_71, JOINT_SETS["mpii16"]))])
    assert heat(network, of_mpii, FACE_CHANNELS) == heat(network, of_mpii)
    wrists = tuple(JOINT_SETS["coco17"].index(f"{side}_wrist") for side in ("left", "right"))
    assert heat(network, of_mpii, wrists) > heat(network, of_mpii) + 1
    # The same labels of a data set that labels faces say that nobody's face is in sight.
    everything = collate([sample])
    assert heat(network, everything, FACE_CHANNELS) > heat(network, everything) + 1


def test_synthetic_pictures_are_judged_as_ever(network):
    """People cut off by the border have joints without label that must not be learnt there."""
    from romp_core.center_map import encode
    from romp_core.data.synthetic import SyntheticConfig, SyntheticPeople
    from romp_core.errors import RendererError
    from romp_core.training.batch import to_cells
    from romp_core.training.losses import center_focal_loss

    people = SyntheticPeople(SyntheticConfig(height=SIZE, width=SIZE, supersampling=1), 1)
    try:
        samples = [people[index] for index in range(4)]
    except RendererError as error:
        pytest.skip(str(error))
    batch = collate(samples)
    assert batch.annotated.all()
    assert (~batch.labeled[batch.valid][:, COCO]).any()
    torch.manual_seed(0)
    level = torch.rand(4, network.backbone.out_channels, SIZE // 4, SIZE // 4) * 0.98 + 0.01
    loss, _ = heatmaps_loss(batch, network, [level])
    # Written out as it was before there was `annotated`.
    heatmaps = level[:, network.backbone.evidence_channels["keypoint_heatmaps"]]
    cells = to_cells(batch.keypoints[:, :, COCO], SIZE // 4).transpose(1, 2)
    radii = (0.04 * batch.diagonals * SIZE / 8).clamp(min=2)[:, None].expand(cells.shape[:3])
    labeled, visible = (mask[:, :, COCO].transpose(1, 2) for mask in (batch.labeled, batch.visible))
    target = encode(cells, radii, visible, (SIZE // 4, SIZE // 4))
    hidden = encode(cells, radii, labeled & ~visible, (SIZE // 4, SIZE // 4)) > 0
    judged = ~hidden & batch.judged(SIZE // 4)[:, None]
    expected, _ = center_focal_loss(
        heatmaps.flatten(0, 1), target.flatten(0, 1), judged.flatten(0, 1)
    )
    assert torch.equal(loss, expected.view(-1, 17).sum(1))


def test_samples_know_what_their_data_set_labels(tmp_path):
    import cv2

    path = tmp_path / "1.png"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    keypoints = np.zeros((1, 71, 3), np.float32)
    keypoints[0, JOINTS_71.index("left_ear")] = 2, 2, 2
    people = {"keypoints_2d": keypoints, "boxes": np.array([[1.0, 1, 6, 6]])}
    records = RecordSet("mpii", [Record("1", path, people)], JOINT_SETS["mpii16"], Problems())
    annotated = records[0].annotated
    names = {name for name, known in zip(JOINTS_71, annotated, strict=True) if known}
    assert names == {*JOINT_SETS["mpii16"], "left_ear"}
    mirrored = mirror(records[0]).annotated
    assert mirrored[JOINTS_71.index("right_ear")]
    assert not mirrored[JOINTS_71.index("left_ear")]
    assert not collate([records[0]]).annotated[0, JOINTS_71.index("nose")]


def test_samples_label_every_joint_unless_they_say_otherwise():
    image = np.zeros((8, 8, 3), np.uint8)
    assert Sample(image, "whole").annotated.all()
    with pytest.raises(DataError, match=r"annotated is \(17,\); expected \(71,\)"):
        Sample(image, "part", annotated=np.ones(17, bool))
