"""Runtimes: what they answer, which one is chosen, and what is said of one that is absent."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_network import make_network

from romp_core import Romp, compiled, load
from romp_core.errors import ConfigError
from romp_core.network import NetworkConfig, RompNetwork, build_network
from romp_core.preprocessing import HostLetterbox
from romp_core.runtime import (
    choices,
    compiled_runtime,
    convolutions,
    guard,
    selection,
    start_runtime,
)
from romp_core.runtime.cuda_engine import WholePath
from romp_core.runtime.dense import DenseMaps, fold_batch_norms
from romp_core.runtime.device_path import DevicePath, Request, unpack
from romp_core.runtime.engines import HostEngine

CPU = torch.device("cpu")
LIFTING = NetworkConfig("mobilenet", input_size=256, center_sigmoid=True, lifting=True, levels=2)


def needs(*packages: str) -> pytest.MarkDecorator:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

compiled_bfloat16 = pytest.mark.skipif(
    not convolutions.has_avx512_bf16(), reason="this processor does not multiply bfloat16"
)
needs_compiled = pytest.mark.skipif(not convolutions.best_lanes(), reason="nothing was built")

ON_CPU = [
    pytest.param(("compiled", "float32"), 1e-4, id="compiled", marks=needs_compiled),
    pytest.param(("compiled", "bfloat16"), 0.1, id="compiled-bfloat16", marks=compiled_bfloat16),
    pytest.param(("torch", "float32"), 1e-4, id="torch"),
    pytest.param(("torch", "bfloat16"), 0.1, id="torch-bfloat16"),
    pytest.param(("onnxruntime", "float32"), 1e-4, id="onnxruntime", marks=needs("onnxruntime")),
    pytest.param(("openvino", "float32"), 1e-4, id="openvino", marks=needs("openvino")),
    pytest.param(("openvino", "bfloat16"), 0.1, id="openvino-bfloat16", marks=needs("openvino")),
]


@pytest.fixture(scope="module")
def lifting_network():
    torch.manual_seed(3)  # with which more than a few cells are above the others
    lifting = RompNetwork(LIFTING).eval()
    with torch.no_grad():
        lifting.final_layers["2"][-1].weight.normal_(0, 3.0)
    return lifting


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (3, 120, 160, 3), np.uint8)


@pytest.fixture
def romp(light_network, small_body):
    return Romp(light_network, small_body)


def reference(network, squares: torch.Tensor) -> DenseMaps:
    features = network.features(squares.permute(0, 3, 1, 2).float())
    if network.lifting is None:
        return DenseMaps(*network.maps(features))
    return DenseMaps(network.center_map(features), features)


@pytest.mark.parametrize("backbone", ["hrnet32", "resnet50", "resnet18", "mobilenet"])
def test_folded_batch_norms_change_nothing(backbone):
    network = make_network(NetworkConfig(backbone, input_size=64))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    images = torch.rand(2, 3, 64, 64) * 255
    with torch.inference_mode():
        before = network(images)
        fold_batch_norms(network)
        after = network(images)
    # Batch norms after nothing but a deconvolution's are folded, too.
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    for one, other in zip(before, after, strict=True):
        assert (one - other).abs().max() < 1e-4 * one.abs().max()


@pytest.mark.parametrize(("choice", "tolerance"), ON_CPU)
@pytest.mark.parametrize("kind", ["maps", "lifting"])
def test_runtimes_answer_what_the_network_does(
    choice, tolerance, kind, light_network, lifting_network, noise
):
    network = light_network if kind == "maps" else lifting_network
    runtime = start_runtime(choice, network, CPU)
    assert (runtime.name, runtime.precision) == choice
    letterbox = HostLetterbox(network.config.input_size)
    with torch.inference_mode():
        for batch in (noise[:1], noise, noise[1:2]):  # the batch size is free
            squares = letterbox(list(batch))
            found, expected = runtime(squares), reference(network, squares)
            for one, other in zip(found, expected, strict=True):
                assert one.dtype == torch.float32
                assert one.shape == other.shape
                assert (one - other).abs().max() <= tolerance * other.abs().max()


@needs("openvino")
@pytest.mark.parametrize("batch", [1, 3])
def test_delicate_layers_of_openvino_stay_in_float32(lifting_network, noise, monkeypatch, batch):
    from romp_core.runtime import openvino_runtime

    squares = HostLetterbox(LIFTING.input_size)(list(noise[:batch]))
    with torch.inference_mode():
        expected = reference(lifting_network, squares)
    monkeypatch.setitem(openvino_runtime._HINTS, "bfloat16", "f32")
    runtime = start_runtime(("openvino", "bfloat16"), lifting_network, CPU)
    found = runtime(squares)
    for one, other in zip(found, expected, strict=True):  # nothing is lost at the cut
        assert (one - other).abs().max() <= 1e-4 * other.abs().max()
    monkeypatch.undo()
    runtime = start_runtime(("openvino", "bfloat16"), lifting_network, CPU)
    runtime(squares)
    first = runtime._requests.get(squares.shape, None)[0].get_compiled_model().get_runtime_model()
    details = [operation.get_rt_info() for operation in first.get_ops()]
    kinds = {
        info["runtimePrecision"].astype(str)
        for info in details
        if info["layerType"].astype(str) == "Convolution"
    }
    assert kinds == {"f32"}


@needs("openvino")
def test_delicate_layers_that_do_not_exist_are_named(lifting_network, noise, monkeypatch):
    monkeypatch.setattr(type(lifting_network.backbone), "delicate_layers", ("stages.9",))
    runtime = start_runtime(("openvino", "bfloat16"), lifting_network, CPU)
    with pytest.raises(ConfigError, match=r"no layers stages\.9"):
        runtime(HostLetterbox(LIFTING.input_size)(list(noise[:1])))


@needs("onnxruntime", "openvino")
def test_people_are_the_same_whatever_runs_the_network(light_network, small_body, noise):
    expected = Romp(light_network, small_body).predict_batch(list(noise))
    for name in ("onnxruntime", "openvino"):
        other = Romp(light_network, small_body, runtime=name, precision="float32")
        assert other.runtime_name == f"{name}, float32"
        shift = guard.measure_shift(expected, other.predict_batch(list(noise)))
        assert shift.people == shift.found == shift.matched > 3
        assert shift.keypoints_px < 0.05
        assert shift.pose_mm < 0.05


def test_results_outlive_the_next_prediction(romp, noise):
    """Runtimes use their memory again; people must not live in it."""
    first = romp.predict(noise[0])
    before = first.vertices.copy(), first.confidence.copy()
    romp.predict(noise[1])
    assert np.array_equal(first.vertices, before[0])
    assert np.array_equal(first.confidence, before[1])


@pytest.mark.parametrize("with_vertices", [True, False])
def test_the_path_of_fixed_shapes_finds_the_same_people(
    light_network, lifting_network, small_body, noise, with_vertices
):
    """What CUDA graphs record, on the CPU: same people, packed into rows."""
    for network in (light_network, lifting_network):
        romp = Romp(network, small_body, center_threshold=-1.0)
        path = DevicePath(romp.network, romp.decoder)
        side = network.config.input_size  # images that are padded, but need no resizing
        image = np.tile(noise[0], (3, 2, 1))[:side, :side]
        images = [image, image[:, ::-2], image[::2]]
        threshold = float(romp.predict(image).confidence[3])
        request = Request(threshold, 10, with_vertices)
        expected = HostEngine(path, romp.runtime, CPU).launch(images, request)()
        whole = WholePath(path, romp.runtime, tuple(image.shape[:2] for image in images), CPU)
        pixels = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
        with torch.inference_mode():
            packed = whole(pixels, request._replace(threshold=torch.tensor(threshold)))
        assert packed.rows.shape[0] == 3 * 10
        counts = packed.counts.numpy()
        assert counts.tolist() == expected.counts.tolist()
        assert 0 < counts.sum() < 30
        found = unpack(packed.rows[: counts.sum()].numpy(), packed.shapes)
        assert found.keys() == expected.fields.keys()
        for name, value in expected.fields.items():
            assert found[name].shape == value.shape, name
            np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-2, err_msg=name)


@needs_cuda
@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_graphs_find_the_same_people(light_network, small_body, noise, batch):
    expected = Romp(light_network, small_body, device="cuda")
    recorded = Romp(light_network, small_body, device="cuda", runtime="cuda-graph")
    for shift in range(3):  # replayed with other images
        images = [np.roll(noise[i % 3], 20 * (i + shift), 1) for i in range(batch)]
        found = guard.measure_shift(expected.predict_batch(images), recorded.predict_batch(images))
        assert found.matched == found.people == found.found > 0
        assert found.keypoints_px < 0.1


@needs_cuda
def test_graphs_obey_thresholds_and_streams_keep_their_order(light_network, small_body, noise):
    romp = Romp(light_network, small_body, device="cuda", runtime="cuda-graph")
    streamed = list(romp.predict_stream(noise))
    singly = [romp.predict(image) for image in noise]
    assert guard.measure_shift(singly, streamed).keypoints_px < 1e-3
    romp.center_threshold = 1e9
    assert len(romp.predict(noise[0])) == 0


@pytest.mark.parametrize(
    ("runtime", "precision", "said"),
    [
        ("tensorflow", "auto", "runtime is 'tensorflow'; expected one of auto, torch"),
        ("auto", "float8", "precision is 'float8'; expected one of auto, float32"),
        ("openvino", "float16", "does not exist on cpu; expected one of openvino bfloat16"),
        ("cuda-graph", "auto", "does not exist on cpu"),
    ],
)
def test_what_cannot_be_had_is_named(romp, small_body, runtime, precision, said):
    with pytest.raises(ConfigError, match=said):
        load("open", device="cpu", runtime=runtime, precision=precision)
    with pytest.raises(ConfigError, match=said):
        Romp(romp.network, small_body, runtime=runtime, precision=precision)


@pytest.mark.parametrize("absent", ["openvino", "onnxruntime"])
def test_absent_runtimes_say_what_to_install(monkeypatch, light_network, small_body, absent):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == absent else find(name)
    )
    with pytest.raises(ConfigError, match=f"pip install {absent}"):
        Romp(light_network, small_body, runtime=absent)
    assert all(name != absent for name, _ in choices("auto", "auto", CPU))


def test_auto_prefers_what_is_fast_on_this_machine(monkeypatch):
    monkeypatch.setattr(selection, "is_installed", lambda name: True)
    monkeypatch.setattr(selection, "multiplies_bfloat16", lambda: True)
    assert choices("auto", "auto", CPU)[0] == ("openvino", "bfloat16")
    assert choices("auto", "auto", CPU)[-1] == ("torch", "float32")
    monkeypatch.setattr(selection, "multiplies_bfloat16", lambda: False)
    assert all(precision == "float32" for _, precision in choices("auto", "auto", CPU))
    assert choices("auto", "bfloat16", CPU)[0] == ("openvino", "bfloat16")  # whoever asks gets it
    assert choices("auto", "auto", torch.device("cuda"))[0] == ("cuda-graph", "float16")
    assert choices("auto", "auto", torch.device("mps")) == [("torch", "float32")]


@needs_compiled
def test_compiled_comes_first_where_it_is_faster(monkeypatch):
    abilities = {"_bf16"}
    monkeypatch.setattr(selection, "is_installed", lambda name: True)
    monkeypatch.setattr(selection, "_has_flag", abilities.__contains__)
    monkeypatch.setattr(convolutions, "are_fast", lambda: True)
    monkeypatch.setattr(convolutions, "has_avx512_bf16", lambda: True)

    def order(backbone: str) -> list:
        network = build_network(NetworkConfig(backbone, input_size=64))
        return choices("auto", "auto", CPU, network)

    compiled = [("compiled", "bfloat16"), ("compiled", "float32")]
    openvino = [("openvino", "bfloat16"), ("openvino", "float32")]
    assert order("hrnet32")[:4] == [*compiled, *openvino]
    assert order("resnet18")[:4] == [openvino[0], *compiled, openvino[1]]
    assert order("resnet50")[:4] == order("mobilenet")[:4] == [*openvino, *compiled]
    abilities.add("amx_bf16")
    assert order("hrnet32")[:4] == [openvino[0], *compiled, openvino[1]]
    monkeypatch.setattr(convolutions, "has_avx512_bf16", lambda: False)  # as on Arm
    assert compiled[0] not in order("hrnet32")
    abilities.clear()
    assert order("hrnet32")[:2] == [compiled[1], openvino[1]]
    monkeypatch.setattr(convolutions, "are_fast", lambda: False)
    assert order("hrnet32")[-2:] == [compiled[1], ("torch", "float32")]


@needs_compiled
@pytest.mark.parametrize("backbone", ["hrnet32", "resnet50", "resnet18", "mobilenet"])
def test_compiled_runs_every_backbone(backbone):
    network = make_network(NetworkConfig(backbone, input_size=64))
    runtime = start_runtime(("compiled", "float32"), network, CPU)
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 2, 1):
        squares = torch.randint(0, 256, (batch, 64, 64, 3), generator=generator).byte()
        found = runtime(squares)
        with torch.inference_mode():
            expected = reference(network, squares)
        for one, other in zip(found, expected, strict=True):
            assert (one - other).abs().max() <= 1e-4 * other.abs().max()


def test_compiled_says_what_it_needs(monkeypatch, light_network, small_body):
    monkeypatch.setattr(compiled_runtime, "has_avx512_bf16", lambda: False)
    with pytest.raises(ConfigError, match="AVX512-BF16"):
        Romp(light_network, small_body, runtime="compiled", precision="bfloat16")
    monkeypatch.setattr(compiled, "library", None)
    with pytest.raises(ConfigError, match=r"pip install \."):
        Romp(light_network, small_body, runtime="compiled")
    assert all(name != "compiled" for name, _ in choices("auto", "auto", CPU, light_network))


# The accuracy guard


@pytest.fixture(scope="module")
def people(light_network, small_body):
    romp = Romp(light_network, small_body)
    return [romp.predict(picture) for picture in guard.check_pictures()[:3]]


def test_check_pictures_are_a_sheet_of_eight():
    pictures = guard.check_pictures()
    assert len(pictures) == 8
    assert all(picture.shape == (480, 640, 3) for picture in pictures)
    assert np.std([picture.mean() for picture in pictures]) > 10  # not one picture cut into eight


def test_equal_people_have_no_shift(people):
    shift = guard.measure_shift(people, people)
    assert shift.matched == shift.found == shift.people > 10
    assert shift.keypoints_px == 0
    assert shift.pose_mm < 1e-6
    assert shift.objection is None


def test_shifts_are_measured_in_pixels_and_millimetres(people):
    moved = [
        replace(each, keypoints_2d=each.keypoints_2d + np.float32([3, 4]), joints=2 * each.joints)
        for each in people
    ]
    shift = guard.measure_shift(people, moved)
    assert shift.keypoints_px == pytest.approx(5, rel=1e-3)
    assert shift.pose_mm < 1e-3  # a similarity takes the size away
    assert "keypoints move by 5.00 pixels" in shift.objection
    noise = np.random.default_rng(0).normal(0, 0.01, (1, 71, 3)).astype(np.float32)
    bent = [replace(each, joints=each.joints + noise) for each in people]
    assert 5 < guard.measure_shift(people, bent).pose_mm < 30


def test_people_who_get_lost_are_an_objection(people):
    fewer = [each[: len(each) // 2] for each in people]
    assert "are found" in guard.measure_shift(people, fewer).objection
    assert "are found" in guard.measure_shift(fewer, people).objection
    nobody = [each[:0] for each in people]
    assert "nobody is seen" in guard.measure_shift(nobody, nobody).objection


class Shifted:
    """PyTorch's answers, with parameters that are off."""

    name = "openvino"

    def __init__(self, runtime, error):
        self.runtime, self.precision, self.error = runtime, "bfloat16", error

    def __call__(self, squares):
        center_map, source = self.runtime(squares)
        return DenseMaps(center_map, source + self.error)


@pytest.mark.parametrize(("error", "taken"), [(0.0, "bfloat16"), (0.05, "float32")])
def test_auto_takes_nothing_that_moves_people(monkeypatch, light_network, small_body, error, taken):
    def start(choice, network, device):
        runtime = start_runtime(("torch", "float32"), network, device)
        return runtime if choice[1] == "float32" else Shifted(runtime, error)

    monkeypatch.setattr(guard, "start_runtime", start)
    romp = Romp(light_network, small_body)
    candidates = [("openvino", "bfloat16"), ("torch", "float32")]
    assert guard.choose_runtime(romp, candidates).precision == taken


def test_auto_passes_over_what_does_not_start(monkeypatch, light_network, small_body):
    def start(choice, network, device):
        if choice[0] == "openvino":
            raise RuntimeError("this CPU is unknown")
        return start_runtime(choice, network, device)

    monkeypatch.setattr(guard, "start_runtime", start)
    romp = Romp(light_network, small_body)
    candidates = [("openvino", "float32"), ("torch", "float32")]
    assert guard.choose_runtime(romp, candidates).name == "torch"
