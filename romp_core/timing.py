"""How long calls take and on what machine, for `romp-core bench` and the benchmarks."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

_PACKAGES = ("torch", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "ros-jazzy-rclpy")


def time_in_turns(
    functions: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2
) -> dict[str, np.ndarray]:
    """Wall times of functions that are called in turns, so that what else the machine does in the
    meantime meets all of them alike.

    Args:
        functions: by name; their results are on the host, or not waited for.
        rounds: how often each is timed.
        warm_up: rounds before, which do not count.

    Returns:
        (rounds,) milliseconds by name.
    """
    times = {name: np.empty(rounds) for name in functions}
    for number in range(-warm_up, rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            elapsed = time.perf_counter() - start
            if number >= 0:
                times[name][number] = elapsed * 1e3
    return times


def milliseconds(function: Callable[[], object], runs: int, warm_up: int = 2) -> np.ndarray:
    """(runs,) wall times of one function, see `time_in_turns`."""
    return time_in_turns({"": function}, runs, warm_up)[""]


def spread(values: np.ndarray, digits: int = 3) -> dict[str, float]:
    """Median, 10th and 90th percentile of values, and how many they are."""
    p10, median, p90 = np.percentile(values, [10, 50, 90]).round(digits).tolist()
    return {"median": median, "p10": p10, "p90": p90, "runs": len(values)}


def describe_machine() -> dict[str, object]:
    """Processor, GPU, memory, system and the versions that a speed depends on."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": ", ".join(gpus) or "none",
        "scheduling": _scheduling(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _scheduling() -> str:
    """Whether this process goes before others (`chrt -r 1`): numbers are then steadier."""
    real_time = os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return "real time" if real_time else "normal"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
