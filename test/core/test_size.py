"""How large people are said to be."""

import pytest
import torch

from romp_core.body.joints import JOINT_SETS
from romp_core.body.model import BodyModel
from romp_core.checkpoints import read_checkpoint
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import NetworkConfig, build_network
from romp_core.network.evidence import LIMB_M, SIZE_SPREAD, Evidence

pytest.importorskip("lightning", reason="the training extra is not installed")
from romp_core.training.evidence import limb_size, size_loss

CELLS = torch.tensor([[5, 100]])
FLIPPED = torch.tensor([1.0, -1.0])  # bodies have y up


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network(NetworkConfig("mobilenet", 128, lifting=True, levels=2)).eval()
    torch.nn.init.normal_(network.size.output.weight)
    torch.nn.init.normal_(network.refinement.output.weight, std=0.1)
    return network


@pytest.fixture(scope="module")
def levels(network):
    with torch.no_grad():
        return network.pyramids(255 * torch.rand(1, 3, 128, 128))


def test_size_is_the_length_of_limbs_in_any_pose(open_body):
    coco = open_body.joint_indices(JOINT_SETS["coco17"])
    betas = torch.zeros(3, 10)
    betas[1, 0], betas[2, 0] = 2, -3
    poses = torch.stack([torch.zeros(3, 72), 0.5 * torch.randn(3, 72)])
    rest, posed = (limb_size(open_body(pose, betas).joints[:, coco]) for pose in poses)
    torch.testing.assert_close(posed, rest, atol=0.1, rtol=0)
    assert abs(rest[0]) < 1
    assert rest[2] < rest[0] - 2 < rest[1] - 2
    points = open_body(poses[0], betas).joints[:, coco]
    doubled = torch.tensor(2.0).log() / SIZE_SPREAD
    torch.testing.assert_close(limb_size(2 * points), rest + doubled)
    assert points[0, 5:7, 1].sub(points[0, 7:9, 1]).norm() < LIMB_M < 0.4


def test_size_counts_where_limbs_are_known():
    points, known = torch.randn(3, 17, 3), torch.ones(3, 17, dtype=torch.bool)
    known[1, 0] = False  # the nose is no limb
    known[2, 9] = False
    cost, measured = size_loss(limb_size(points) + 0.5, points, known)
    assert measured.tolist() == [True, True, False]
    torch.testing.assert_close(cost, torch.tensor([0.25, 0.25, 0.0]))


def test_size_is_told_by_features_at_keypoints_and_moves_nobody(network, levels):
    evidence = network.refinement(levels, network.evidence(levels, CELLS))
    evidence.keypoints.requires_grad_()
    features = [level.detach().clone().requires_grad_() for level in levels]
    told = network.size(features, evidence)
    assert told.size.shape == (1, 2)
    assert (told.size != 0).all()
    assert told.keypoints is evidence.keypoints
    told.size.sum().backward()
    assert evidence.keypoints.grad is None
    for level in features:
        touched = level.grad.abs().sum((0, 2, 3)) > 0
        assert touched[network.backbone.evidence_channels["wide"]].all()
        assert not touched[network.backbone.evidence_channels["keypoint_offsets"]].any()


def test_what_was_seen_once_tells_the_same_later(network, levels):
    evidence = network.refinement(levels, network.evidence(levels, CELLS))
    looks = network.size.looks(levels, evidence.keypoints)
    assert looks.shape == (1, 2, 18, 210)
    recorded = network.size.told(looks.half().float(), evidence)
    torch.testing.assert_close(
        recorded.size, network.size(levels, evidence).size, atol=5e-3, rtol=0
    )


def test_of_people_who_look_alike_the_smaller_stand_nearer():
    """The open model's lifting believes what it is told of size, and shows the same keypoints."""
    network, body = read_checkpoint("open").build(), BodyModel.load("open")
    coco = body.joint_indices(JOINT_SETS["coco17"])
    keypoints = 0.4 * body(torch.zeros(1, 72), torch.zeros(1, 10)).joints[:, coco, :2] * FLIPPED
    known = Evidence(keypoints, torch.full((1, 17), 0.7), torch.zeros(1, 17), torch.zeros(1))
    decoder = MeshDecoder(body, root_align=True)
    small, usual = (
        decoder(network.lifting(known._replace(size=torch.tensor([size]))), with_vertices=False)
        for size in (-2.0, 0.0)
    )
    pixels = (small.projected - usual.projected)[:, coco].norm(dim=-1)
    assert pixels.mean() < 0.02
    limbs = [limb_size(people.joints[:, coco]).item() for people in (small, usual)]
    assert -3 < limbs[0] < limbs[1] - 0.8
