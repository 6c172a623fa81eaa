"""The compiled module's convolutions against torch, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from romp_core.errors import ConfigError
from romp_core.network import NetworkConfig, build_network
from romp_core.runtime.compiled_runtime import CompiledLayers
from romp_core.runtime.convolutions import Convolution, is_possible, is_winograd, winograd_share

library = pytest.importorskip("romp_core_compiled", reason="nothing was built: run `make test`")

VARIANTS = [("float32", lanes) for lanes in library.convolution_lanes()]
VARIANTS += [("bfloat16", 16)] * library.has_avx512_bf16()
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}
"""Of the largest value. Winograd's larger tiles lose about a digit."""

# images, inputs, outputs, height, width, kernel size, stride, scale
SHAPES = [
    pytest.param((1, 32, 32, 16, 16, 3, 1, 1), id="whole tiles"),
    pytest.param((2, 64, 32, 13, 21, 3, 1, 1), id="cut tiles"),
    pytest.param((1, 64, 144, 1, 1, 3, 1, 1), id="one cell, half a panel"),
    pytest.param((3, 128, 64, 9, 5, 3, 1, 1), id="batch"),
    pytest.param((1, 48, 32, 40, 40, 3, 2, 1), id="stride"),
    pytest.param((2, 3, 64, 31, 17, 7, 2, 1), id="first layer"),
    pytest.param((1, 34, 64, 16, 16, 3, 2, 1), id="coordinates"),
    pytest.param((2, 64, 145, 8, 16, 1, 1, 1), id="last layer"),
    pytest.param((1, 66, 1, 7, 3, 1, 1, 1), id="one output"),
    pytest.param((2, 64, 32, 4, 8, 1, 1, 4), id="enlargement"),
    pytest.param((1, 5, 7, 6, 6, 3, 1, 2), id="odd channels"),
    pytest.param((1, 256, 512, 24, 8, 1, 1, 1), id="weights beyond a cache"),
]


def random_layer(inputs, outputs, size, stride):
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2)
    nn.init.normal_(layer.weight, std=(size**2 * inputs) ** -0.5)
    nn.init.normal_(layer.bias)
    return layer


def run(convolution, image, shortcut=None, threads=2, *, in_place=False):
    """A convolution's answer to (B, H, W, C); memory is filled with what must not matter."""
    shape = convolution.shape(image)
    result = shortcut if in_place else torch.full(shape, torch.nan)
    workspace = torch.full((convolution.workspace(image, threads),), 1e30)
    convolution.call(image, shortcut, result, workspace, threads)()
    return result


def expected(layer, image, shortcut, relu, scale):
    answer = layer.double()(image.permute(0, 3, 1, 2).double()).permute(0, 2, 3, 1)
    layer.float()
    answer = answer.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    answer = answer if shortcut is None else answer + shortcut
    return (answer.relu() if relu else answer).float()


@pytest.mark.parametrize(("precision", "lanes"), VARIANTS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.inference_mode()
def test_equals_torch(shape, precision, lanes):
    torch.manual_seed(0)
    images, inputs, outputs, height, width, size, stride, scale = shape
    layer = random_layer(inputs, outputs, size, stride)
    image = torch.randn(images, height, width, inputs)
    for relu in (False, True):
        convolution = Convolution(layer, precision, relu, scale, lanes)
        shortcut = torch.randn(convolution.shape(image)) if relu else None
        answer = expected(layer, image, shortcut, relu, scale)
        tolerance = TOLERANCE[precision] * answer.abs().max()
        for threads in (1, 2, 5):
            found = run(convolution, image, shortcut, threads)
            assert found.shape == answer.shape
            assert (found - answer).abs().max() < tolerance
        if relu:
            assert torch.equal(run(convolution, image, shortcut.clone(), in_place=True), found)


@pytest.mark.parametrize(("precision", "lanes"), VARIANTS)
@torch.inference_mode()
def test_is_the_same_with_any_number_of_threads(precision, lanes):
    torch.manual_seed(0)
    for inputs, stride in ((256, 1), (64, 2)):
        convolution = Convolution(random_layer(inputs, 256, 3, stride), precision, True, 1, lanes)
        image = torch.randn(1, 16, 16, inputs)
        alone = run(convolution, image, threads=1)
        for threads in (2, 3, 16):
            assert torch.equal(run(convolution, image, threads=threads), alone)


@pytest.mark.parametrize(("precision", "lanes"), VARIANTS)
@torch.inference_mode()
def test_lets_nan_through_a_relu(precision, lanes):
    convolution = Convolution(random_layer(64, 64, 1, 1), precision, True, 1, lanes)
    image = torch.zeros(1, 2, 8, 64)
    image[0, 1, 3, 7] = torch.nan
    nan = run(convolution, image).isnan()
    assert nan[0, 1, 3].all()
    assert nan.sum() == 64


def test_knows_what_it_can_do():
    assert is_possible(nn.Conv2d(3, 8, 5, 2, 2))
    for other in (
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 2),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
        None,
    ):
        assert not is_possible(other)
    assert is_winograd(nn.Conv2d(16, 32, 3, padding=1))
    assert not is_winograd(nn.Conv2d(17, 32, 3, padding=1))
    assert not is_winograd(nn.Conv2d(16, 32, 3, 2, 1))


@pytest.mark.parametrize(
    ("backbone", "least", "most"),
    [("hrnet32", 0.8, 0.9), ("resnet18", 0.6, 0.8), ("resnet50", 0.3, 0.4), ("mobilenet", 0, 0.5)],
)
def test_share_of_winograd(backbone, least, most):
    network = build_network(NetworkConfig(backbone, 64))
    assert least < winograd_share(network) < most
    assert not any(layer._forward_hooks for layer in network.modules())


GOOD = {
    "threads": 1, "batch": 1, "height": 4, "width": 4, "inputs": 16, "outputs": 16, "kernel": 3,
    "stride": 1, "scale": 1, "winograd": False, "bfloat16": False, "lanes": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threads": 0}, "0 threads; expected 1 to"),
        ({"threads": 1000}, "1000 threads"),
        ({"batch": 1 << 40}, "images"),
        ({"width": -1}, "-1 columns"),
        ({"kernel": 2}, "expected an odd number"),
        ({"lanes": 5}, "5 lanes"),
        ({"winograd": True, "stride": 2}, "stride and scale 1"),
        ({"winograd": True, "inputs": 18}, "multiples of 4 channels"),
        ({"bfloat16": True, "inputs": 15}, "even inputs"),
        ({"bfloat16": True, "lanes": 8}, "lanes"),
    ],
)
def test_refuses_sizes(wrong, message):
    with pytest.raises(ValueError, match=message):
        library.convolution_workspace(*(GOOD | wrong).values())


def test_refuses_arrays_that_do_not_fit():
    sizes = tuple(GOOD.values())
    arrays = {
        "image": np.zeros(256, np.float32),
        "weights": np.zeros(9 * 16 * 16, np.float32),
        "bias": np.zeros(16, np.float32),
        "shortcut": np.zeros(256, np.float32),
        "result": np.zeros(256, np.float32),
        "workspace": np.zeros(library.convolution_workspace(*sizes), np.float32),
    }
    library.convolve(sizes, False, *arrays.values())
    for name, array in arrays.items():
        with pytest.raises(ValueError, match="expected"):
            library.convolve(sizes, False, *(arrays | {name: array[:-1]}).values())
    arrays["result"].flags.writeable = False
    with pytest.raises(TypeError, match="read-write"):
        library.convolve(sizes, False, *arrays.values())


class Strange(nn.Module):
    """What cannot be traced."""

    def forward(self, x):
        return x + 1 if x.abs().max() > 0 else x


class Tangle(nn.Module):
    """Layers in all the relations that a plan has to see through."""

    def __init__(self):
        super().__init__()
        self.first, self.second = random_layer(8, 16, 3, 1), random_layer(16, 16, 3, 1)
        self.third, self.down = random_layer(16, 16, 1, 1), random_layer(16, 16, 3, 2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.smooth = nn.Upsample(scale_factor=2, mode="bilinear")
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.relu, self.identity = nn.ReLU(inplace=True), nn.Identity()
        self.strange, self.six = Strange(), nn.ReLU6(inplace=True)
        self.register_buffer("added", torch.randn(1, 16, 1, 1))

    def forward(self, x):
        x = self.relu(self.identity(self.first(x)))
        twice = self.second(x)  # read by two: nothing may be done to it in place
        y = self.relu(twice + x) + twice
        y = y + self.third(y)  # a sum with what the convolution itself reads
        low = self.down(y)
        y = self.relu(self.third(x) + self.down(y)[..., :1, :1] + self.third(y).mean((2, 3), True))
        y = y + self.up(self.third(low))
        seen = self.second(y)
        z = self.six(y)  # changes what was read before it
        y = (seen + z + y) / 3
        y = y + self.smooth(self.third(self.depthwise(low))) + self.added
        one, other = self.strange(y).split(8, 1)
        return torch.cat([other, one], 1).contiguous() + self.second(y)


@pytest.mark.parametrize(("precision", "lanes"), VARIANTS[:1])
@torch.inference_mode()
def test_layers_in_any_relation(precision, lanes):
    torch.manual_seed(0)
    layers = Tangle().eval()
    made = CompiledLayers(layers, precision)
    answers = []
    for shape in ((1, 8, 8, 12), (2, 8, 16, 8), (1, 8, 8, 12)):
        x = torch.randn(shape)
        answer, given = layers(x.clone()), x.clone()
        for _ in range(2):
            found = made(x)
            assert (found - answer).abs().max() < 1e-5 * answer.abs().max()
        assert torch.equal(x, given)
        answers.append(found)
    assert answers[0].data_ptr() == answers[2].data_ptr()  # it lives in memory of its shape


class Misfit(nn.Module):
    """A sum in which the convolution is the smaller part."""

    def __init__(self):
        super().__init__()
        self.layer = random_layer(16, 16, 1, 1)

    def forward(self, x):
        return self.layer(x.mean((2, 3), True)) + x


@torch.inference_mode()
def test_says_which_sum_it_cannot_do():
    with pytest.raises(ConfigError, match=r"x is added to maps of shape \(1, 16, 1, 1\)"):
        CompiledLayers(Misfit(), "float32")(torch.randn(1, 16, 4, 4))


@torch.inference_mode()
def test_memory_goes_from_maps_to_maps():
    layers = nn.Sequential(*(random_layer(16, 16, 3, 1) for _ in range(20)))
    made = CompiledLayers(layers, "float32")
    x = torch.randn(1, 16, 8, 8)
    answer = layers(x)
    assert (made(x) - answer).abs().max() < 1e-5 * answer.abs().max()
    (program,) = made._programs._things.values()
    places = {maps.data_ptr() for maps in program._values.values()}
    assert len(places) == 2


WITHOUT_TORCH = f"""
import numpy as np, romp_core_compiled as library
assert not library.has_team()
sizes = (3, *{tuple(GOOD.values())[1:]})
workspace = np.zeros(library.convolution_workspace(*sizes), np.float32)
image, result = (np.ones(256, np.float32) for _ in range(2))
library.convolve(sizes, True, image, np.ones(2304, np.float32), image[:16], None, result, workspace)
assert set(result) == {{65, 97, 145}}  # 4, 6 and 9 pixels of 16 ones, and the bias
"""


def test_works_alone_where_no_openmp_was_loaded():
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True)
    assert library.has_team()  # torch has loaded one
