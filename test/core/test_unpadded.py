"""Padding beside an image is left out where the network need not see it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from random_network import make_network

import romp_core
from romp_core import load
from romp_core.body import BodyModel
from romp_core.geometry.cameras import Letterbox
from romp_core.media import Video
from romp_core.mesh_parameters import MeshDecoder
from romp_core.network import NetworkConfig, RompNetwork
from romp_core.network.evidence import Part
from romp_core.network.heads import append_coordinates
from romp_core.preprocessing import HostLetterbox, unpadded
from romp_core.runtime import guard, start_runtime
from romp_core.runtime.cuda_engine import WholePath
from romp_core.runtime.device_path import DevicePath, Request, unpack
from romp_core.runtime.engines import HostEngine

CLIP = Path(romp_core.__file__).parent / "assets" / "demo_clip.mp4"
CPU = torch.device("cpu")
SIDE, STEP = 448, 32


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    config = NetworkConfig("mobilenet", 256, center_sigmoid=True, lifting=True, levels=2)
    network = RompNetwork(config).eval()
    with torch.no_grad():
        network.final_layers["2"][-1].weight.normal_(0, 0.3)
        for layer in (network.lifting.output, network.refinement.output, network.size.output):
            layer.weight.normal_(0, 0.1)
    return network


@pytest.fixture(scope="module")
def path(network):
    return DevicePath(network, MeshDecoder(BodyModel.load("open")))


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (640, 479), (1, 999), (999, 1), (7, 7)])
def test_what_is_left_is_in_the_middle_and_holds_the_image(size):
    rows, columns = unpadded([size], SIDE, STEP)
    box = Letterbox(*size)
    for part, start, length in ((rows, box.top, box.height), (columns, box.left, box.width)):
        assert part.start % STEP == 0
        assert part.start + part.stop == SIDE
        assert part.stop - part.start >= 2 * STEP
        assert part.start * box.side <= start * SIDE
        assert part.stop * box.side >= (start + length) * SIDE
        assert (start * SIDE // box.side) - part.start < STEP  # no more than strides want


def test_images_that_are_padded_elsewhere_leave_nothing_out():
    assert unpadded([(480, 640), (640, 480)], SIDE, STEP) == (slice(0, SIDE), slice(0, SIDE))
    assert unpadded([(360, 640), (480, 640)], SIDE, STEP) == unpadded([(480, 640)], SIDE, STEP)


def test_published_networks_see_the_padding_that_they_know(small_body):
    network = make_network(NetworkConfig("resnet18", 128))
    path = DevicePath(network, MeshDecoder(small_body))
    assert path.seen([(90, 160)]) == (slice(0, 128), slice(0, 128))


def test_coordinates_of_the_middle_are_the_squares():
    whole = append_coordinates(torch.zeros(2, 3, 8, 8))
    assert torch.equal(append_coordinates(torch.zeros(2, 3, 4, 8), 8), whole[:, :, 2:6])
    assert torch.equal(append_coordinates(torch.zeros(2, 3, 8, 2), 8), whole[..., 3:5])


@pytest.mark.parametrize(
    ("rows", "columns"), [(slice(16, 48), slice(0, 64)), (slice(0, 64), slice(8, 56))]
)
def test_people_are_where_they_are_in_the_whole_square(network, rows, columns):
    torch.manual_seed(1)
    channels = network.config.levels * network.backbone.out_channels
    whole = torch.zeros(2, channels, 64, 64)
    whole[:, :, rows, columns] = torch.rand_like(whole[:, :, rows, columns])
    for level in network.levels(whole):  # people's keypoints stay within
        level[:, network.backbone.evidence_channels["keypoint_offsets"]] *= 0.1
    part = whole[:, :, rows, columns]
    shares = Part(part.shape[3] / 64, part.shape[2] / 64)
    wanted = torch.tensor([[14, 15], [16, 17]])  # row and column in the 32x32 maps
    inner = wanted - torch.tensor([rows.start // 2, columns.start // 2])
    cells, inner = (
        (places * torch.tensor([width, 1])).sum(-1).expand(2, -1)
        for places, width in ((wanted, 32), (inner, part.shape[3] // 2))
    )
    with torch.inference_mode():
        expected = network.lift(whole, cells).params
        found = network.lift(part, inner, shares).params
    assert expected.std(0).max() > 0.01  # it matters what is seen
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_runtimes_answer_for_the_middle(name, network):
    if name != "torch":
        pytest.importorskip(name)
    runtime = start_runtime((name, "float32"), network, CPU)
    noise = np.random.default_rng(0).integers(0, 256, (2, 90, 160, 3), np.uint8)
    squares = HostLetterbox(256)(list(noise))
    with torch.inference_mode():
        for rows, columns in ((slice(32, 224), slice(0, 256)), (slice(0, 256), slice(64, 192))):
            part = squares[:, rows, columns]
            features = network.features(part.permute(0, 3, 1, 2).float(), 256)
            found = runtime(part)
            for one, other in zip(found, (network.center_map(features), features), strict=True):
                assert one.shape == other.shape
                assert (one - other).abs().max() <= 1e-4 * other.abs().max()


@pytest.mark.parametrize("shape", [(144, 256), (256, 144)])
def test_both_engines_leave_the_same_out(network, path, shape):
    """Images that need no resizing, which the two letterboxes do a little differently."""
    images = list(np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8))
    sizes = tuple(image.shape[:2] for image in images)
    rows, columns = path.seen(sizes)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) == 256 * 192
    runtime = start_runtime(("torch", "float32"), network, CPU)
    request = Request(0.0, 4, with_vertices=False)
    expected = HostEngine(path, runtime, CPU).launch(images, request)()
    pixels = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
    with torch.inference_mode():
        packed = WholePath(path, runtime, sizes, CPU)(pixels, request)
    assert packed.counts.tolist() == expected.counts.tolist() == [4, 4]
    found = unpack(packed.rows[:8].numpy(), packed.shapes)
    for name, value in expected.fields.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-2, err_msg=name)
    left = (192 - 144) / 2  # rows or columns of padding that the strides want
    centers = expected.fields["center"]
    assert ((centers > -left) & (centers < np.array(shape[::-1]) + left)).all()


def test_what_is_found_does_not_depend_on_other_images():
    wide = next(iter(Video(CLIP)))[1]
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    romp = load("open", device="cpu", runtime="torch", precision="float32")
    alone = [romp.predict(image) for image in (wide, tall, wide[60:420])]
    together = romp.predict_batch([wide, tall, wide[60:420], wide])
    assert len(alone[0]) == 4
    shift = guard.measure_shift([*alone, alone[0]], together)
    assert shift.people == shift.found == shift.matched
    assert shift.keypoints_px < 0.01


def test_the_open_network_finds_the_same_people_without_the_padding(monkeypatch):
    image = next(iter(Video(CLIP)))[1]
    romp = load("open", device="cpu", runtime="torch", precision="float32")
    found = romp.predict(image)
    whole = slice(0, romp.network.config.input_size)
    monkeypatch.setattr(DevicePath, "seen", lambda self, sizes: (whole, whole))
    shift = guard.measure_shift([romp.predict(image)], [found])
    assert shift.people == shift.found == shift.matched == 4
    assert shift.keypoints_px < 3
