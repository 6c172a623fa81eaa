"""Losses of the backbone's 2D evidence, on pictures whose people are known."""

import copy

import numpy as np
import pytest
import torch

from romp_core.body.joints import JOINT_SETS, JOINTS_71
from romp_core.data.sample import OCCLUDED, VISIBLE, Sample
from romp_core.network import NetworkConfig, RompNetwork, build_network
from romp_core.network.evidence import OFFSET_UNIT, Evidence
from romp_core.training.batch import Batch, collate
from romp_core.training.evidence import (
    COCO,
    believable,
    heatmaps_loss,
    offsets_loss,
    refined_loss,
    relative_depth,
)

SIZE, FEATURES = 64, 16
NOSE, WRIST = JOINTS_71.index("nose"), JOINTS_71.index("left_wrist")
NOSE_CHANNEL, WRIST_CHANNEL = (JOINT_SETS["coco17"].index(n) for n in ("nose", "left_wrist"))


@pytest.fixture(scope="module")
def network() -> RompNetwork:
    return build_network(NetworkConfig("mobilenet", lifting=True))


def make_batch(wrist: float = VISIBLE, ignored: tuple = ()) -> Batch:
    """One person of whom the nose, at cell (4, 2), and the left wrist, at (9, 7), are labeled."""
    keypoints = np.zeros((1, 71, 3), np.float32)
    keypoints[0, NOSE] = 4 * 4 + 1.5, 2 * 4 + 1.5, VISIBLE
    keypoints[0, WRIST] = 9 * 4 + 1.5, 7 * 4 + 1.5, wrist
    return collate(
        [
            Sample(
                image=np.zeros((SIZE, SIZE, 3), np.uint8),
                source="made up",
                keypoints_2d=keypoints,
                boxes=np.array([[7.5, 7.5, 39.5, 39.5]], np.float32),
                ignored_boxes=np.array(ignored, np.float32).reshape(-1, 4),
            )
        ]
    )


def make_features(network: RompNetwork, *peaks: tuple[int, int, int]) -> torch.Tensor:
    features = torch.full((1, network.backbone.out_channels, FEATURES, FEATURES), 0.01)
    heatmaps = features[:, network.backbone.evidence_channels["keypoint_heatmaps"]]
    for channel, x, y in peaks:
        heatmaps[0, channel, y, x] = 0.99
    return features


def heat(network: RompNetwork, batch: Batch, *peaks: tuple[int, int, int]) -> float:
    loss, count = heatmaps_loss(batch, network, [make_features(network, *peaks)])
    assert count.tolist() == [batch.visible[:, :, COCO].sum()]
    return float(loss)


def test_heatmaps_are_best_with_peaks_at_the_visible_keypoints(network):
    batch = make_batch()
    right = heat(network, batch, (NOSE_CHANNEL, 4, 2), (WRIST_CHANNEL, 9, 7))
    assert right < 0.1
    for wrong in ((), ((NOSE_CHANNEL, 9, 7), (WRIST_CHANNEL, 4, 2))):
        assert heat(network, batch, *wrong) > 10 * right


def test_hidden_keypoints_are_not_judged(network):
    batch = make_batch(wrist=OCCLUDED)
    nose = (NOSE_CHANNEL, 4, 2)
    silent, seen = heat(network, batch, nose), heat(network, batch, nose, (WRIST_CHANNEL, 9, 7))
    assert seen == pytest.approx(silent, abs=0.01)
    assert heat(network, batch, nose, (WRIST_CHANNEL, 14, 2)) > silent + 1


def test_ignored_boxes_are_not_judged(network):
    peaks = (NOSE_CHANNEL, 4, 2), (WRIST_CHANNEL, 9, 7), (WRIST_CHANNEL, 13, 13)
    judged = heat(network, make_batch(), *peaks)
    assert heat(network, make_batch(ignored=[(48, 48, 60, 60)]), *peaks) < judged - 1


def test_offsets_are_measured_in_people_sizes(network):
    batch = make_batch()
    features = torch.zeros(1, network.backbone.out_channels, FEATURES, FEATURES)
    offsets = features[:, network.backbone.evidence_channels["keypoint_offsets"]]
    cell = torch.tensor([[3 * (FEATURES // 2) + 2]])  # covers features 4..5 by 6..7
    for channel, x, y in ((NOSE_CHANNEL, 4, 2), (WRIST_CHANNEL, 9, 7)):
        offsets[0, 2 * channel] = (y - 6.5) / OFFSET_UNIT
        offsets[0, 2 * channel + 1] = (x - 4.5) / OFFSET_UNIT

    def loss() -> torch.Tensor:
        return offsets_loss(batch, network, [features], cell, torch.tensor([0.5]))

    assert loss().item() == pytest.approx(0, abs=1e-6)
    offsets[0, 2 * WRIST_CHANNEL] += 2 / OFFSET_UNIT  # two cells of sixteen: a quarter of the half
    assert loss().item() == pytest.approx(0.25)


def test_gradients_reach_heatmaps_and_offsets_alone(network):
    batch, cell, scale = make_batch(), torch.tensor([[26]]), torch.tensor([0.5])
    torch.manual_seed(0)
    features = torch.rand(1, network.backbone.out_channels, FEATURES, FEATURES).double()
    channels = network.backbone.evidence_channels

    def check(name: str, loss) -> None:
        def of_part(part: torch.Tensor) -> torch.Tensor:
            whole = features.clone()
            whole[:, channels[name]] = part
            return loss(whole)

        part = (features[:, channels[name]] * 0.8 + 0.1).requires_grad_()
        assert torch.autograd.gradcheck(of_part, part, atol=1e-4, fast_mode=True)

    check("keypoint_heatmaps", lambda x: heatmaps_loss(batch, network, [x])[0])
    check("keypoint_offsets", lambda x: offsets_loss(batch, network, [x], cell, scale))


CELL = torch.tensor([[26]])


def some_features(network: RompNetwork) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(1, network.backbone.out_channels + 2, FEATURES, FEATURES)


def test_refinement_that_learnt_nothing_changes_nothing(network):
    features = some_features(network)
    levels = network.levels(features)
    evidence = network.evidence(levels, CELL)
    refined = network.refinement(levels, evidence)
    torch.testing.assert_close(refined.keypoints, evidence.keypoints)
    torch.testing.assert_close(refined.confidence, evidence.confidence.clamp(1e-3, 1 - 1e-3))


def test_refined_keypoints_are_measured_in_peoples_extents_and_by_their_similarity():
    batch = make_batch()
    truth = batch.keypoints[:, :, COCO]
    sure = torch.full(truth.shape[:-1], 0.75)
    depth = relative_depth(batch.joints[0][:, COCO])[None]
    perfect = Evidence(truth, sure, depth, torch.zeros(1, 1))

    def loss(found: Evidence) -> float:
        return refined_loss(batch, [perfect, found]).item()

    assert loss(perfect) == pytest.approx(0, abs=1e-6)
    extent = 0.25 * batch.diagonals[0, 0].item()
    wrong = truth.clone()
    wrong[0, 0, WRIST_CHANNEL, 0] += 0.18 * extent  # one of two labeled keypoints, in one round
    knowing = perfect.confidence.clone()
    knowing[0, 0, WRIST_CHANNEL] = believable(torch.tensor(0.18))
    area = 0.53 * (32 / 32) ** 2  # of a box of half the picture's side, which is 2 long
    unlike = (1 - np.exp(-((0.18 * extent) ** 2) / (2 * area * (2 * 0.062) ** 2))) / 4
    missed = 0.18 / 4 + unlike
    assert loss(perfect._replace(keypoints=wrong, confidence=knowing)) == pytest.approx(
        missed, rel=1e-4
    )
    too_sure = (0.75 - believable(torch.tensor(0.18)).item()) ** 2 / 4
    assert loss(perfect._replace(keypoints=wrong)) == pytest.approx(missed + too_sure, rel=1e-4)


def test_depth_counts_where_it_is_known(network):
    batch = make_batch()
    evidence = network.evidence(network.levels(some_features(network)), CELL)

    def loss(depth: torch.Tensor) -> float:
        return refined_loss(batch, [evidence._replace(depth=depth)]).item()

    off = torch.full((1, 1, 17), 0.5)
    assert loss(off) == loss(0 * off)
    batch.joints = torch.randn(1, 1, 71, 3)
    batch.has_joints = torch.ones_like(batch.has_joints)
    true = relative_depth(batch.joints[0][:, COCO])[None]
    assert loss(true + off) == pytest.approx(loss(true) + 0.25, rel=1e-4)


def test_depth_is_the_same_for_children():
    points = torch.randn(3, 17, 3)
    depth = relative_depth(points)
    torch.testing.assert_close(relative_depth(0.5 * points + 3), depth)
    torch.testing.assert_close(depth[:, 11:13].mean(1), torch.zeros(3), atol=1e-6, rtol=0)


def test_refinement_learns_from_what_it_looks_at(network):
    network = copy.deepcopy(network).double()
    torch.nn.init.normal_(network.refinement.output.weight, std=0.1)
    batch, features = make_batch(), some_features(network).double()
    channels = network.backbone.evidence_channels["wide"]

    def loss(part: torch.Tensor) -> torch.Tensor:
        whole = features.clone()
        whole[:, channels] = part
        # Where later rounds look follows from the first, and is given to them.
        levels = network.levels(whole)
        first = network.refinement.rounds(levels, network.evidence(levels, CELL))[0]
        return sum(values.square().sum() for values in first)

    part = features[:, channels].requires_grad_()
    assert torch.autograd.gradcheck(loss, part, atol=1e-4, fast_mode=True)
    features.requires_grad_()
    levels = network.levels(features)
    rounds = network.refinement.rounds(levels, network.evidence(levels, CELL))
    cost = refined_loss(batch, rounds).sum()
    cost.backward()
    touched = features.grad.abs().sum((0, 2, 3)) > 0
    offsets = network.backbone.evidence_channels["keypoint_offsets"]
    assert touched[channels].all()
    assert not touched[offsets].any()
