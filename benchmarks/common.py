"""What every benchmark shares: timing, a description of the machine, results as JSON."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "out" / "benchmarks"
VERSIONS = ("torch", "numpy", "onnxruntime", "openvino", "ros-jazzy-rclpy")


def milliseconds(function: Callable[[], object], runs: int, warm_up: int = 5) -> dict[str, float]:
    """Wall time of one call: median, 10th and 90th percentile and number of runs."""
    times = []
    for _ in range(warm_up + runs):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    tenths = statistics.quantiles(times[warm_up:], n=10)
    return {
        "median_ms": round(statistics.median(times[warm_up:]), 4),
        "p10_ms": round(tenths[0], 4),
        "p90_ms": round(tenths[-1], 4),
        "runs": runs,
    }


def machine() -> dict[str, object]:
    """Processor, memory, system and the versions that a speed depends on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in VERSIONS if (found := _version(name))},
    }


def report(name: str, results: dict[str, object]) -> Path:
    """Print the results and write them with the machine to out/benchmarks/NAME.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")
    print(f"{name}: {json.dumps(results, indent=2)}\nwritten to {path}")
    return path


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
