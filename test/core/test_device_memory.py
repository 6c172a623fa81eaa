"""Memory of the GPU's engine, which is used again: its logic, on the CPU."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from romp_core import Romp
from romp_core.runtime import cuda_engine
from romp_core.runtime.device_path import DevicePath, Request
from romp_core.runtime.engines import HostEngine
from romp_core.runtime.reserve import Reserve

CPU = torch.device("cpu")


def test_a_reserve_only_grows():
    reserve = Reserve(dtype=torch.int64)
    large = reserve.take(3, 4)
    large.fill_(7)
    small = reserve.take(2)
    assert small.shape == (2,)
    assert small.dtype == torch.int64
    assert small.data_ptr() == large.data_ptr() == reserve.take(4, 3).data_ptr()
    assert small.tolist() == [7, 7]
    assert reserve.take(0, 5).shape == (0, 5)
    assert reserve.take(5, 5).data_ptr() == reserve.take(1).data_ptr()


class InOrder:
    """A stream or event of a device that does everything at once, in order."""

    def __init__(self, *_):
        pass

    def record(self):
        pass

    def synchronize(self):
        pass

    def wait_event(self, event):
        pass


@pytest.fixture
def engines(monkeypatch, light_network, small_body):
    """The GPU's engine on the CPU, and the CPU's own, of one predictor."""
    for name in ("Stream", "Event"):
        monkeypatch.setattr(torch.cuda, name, InOrder)
    for name in ("stream", "device"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(cuda_engine, "_PINNED", {})
    romp = Romp(light_network, small_body, center_threshold=-1.0)
    path = DevicePath(romp.network, romp.decoder)
    return [kind(path, romp.runtime, CPU) for kind in (cuda_engine.CudaEngine, HostEngine)]


def pictures(network, count: int, seed: int) -> list[np.ndarray]:
    side = network.config.input_size  # no resizing, which differs in the last bit
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8))


def test_launches_of_changing_size_find_the_same_people_in_the_same_memory(
    engines, light_network, monkeypatch
):
    engine, reference = engines
    request = Request(-1.0, 5, True)
    pending, memory = [], []
    empty = torch.empty

    def counted(*args, **options):
        if args and isinstance(args[0], int):  # as reserves ask for it
            memory.append(args[0])
        return empty(*args, **options)

    monkeypatch.setattr("romp_core.runtime.reserve.torch.empty", counted)
    for number, count in enumerate((2, 2, 1, 2, 1, 1, 2, 2)):
        images = pictures(light_network, count, number)
        pending.append((engine.launch(images, request), reference.launch(images, request)()))
        images[0][:] = 0  # whose it is again
        if len(pending) == 2:
            wait, expected = pending.pop(0)
            found = wait()
            assert found.counts.tolist() == expected.counts.tolist()
            for name, values in expected.fields.items():
                np.testing.assert_allclose(
                    found.fields[name], values, rtol=1e-3, atol=1e-2, err_msg=name
                )
        if number == 3:  # both slots have seen both sizes and brought people back
            memory.clear()
    assert not memory


def test_launches_that_wait_longer_than_later_ones_keep_their_people(engines, light_network):
    engine, reference = engines
    request = Request(-1.0, 5, False)
    images = [pictures(light_network, 1, seed) for seed in range(4)]
    first, second = (engine.launch(image, request) for image in images[:2])
    first()
    engine.launch(images[2], request)()
    last = engine.launch(images[3], request)
    for answer, image in ((second, images[1]), (last, images[3])):
        expected = reference.launch(image, request)().fields["pose"]
        np.testing.assert_allclose(answer().fields["pose"], expected, rtol=1e-3, atol=1e-2)


def test_what_is_found_outlives_the_next_launches(engines, light_network):
    engine, _ = engines
    request = Request(-1.0, 5, False)
    first = engine.launch(pictures(light_network, 1, 0), request)()
    before = {name: values.copy() for name, values in first.fields.items()}
    for seed in (1, 2, 3):
        engine.launch(pictures(light_network, 1, seed), request)()
    for name, values in before.items():
        np.testing.assert_array_equal(first.fields[name], values, err_msg=name)
