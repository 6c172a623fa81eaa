"""Which runtime runs a network: by name, or the fastest one that is there and exact enough."""

import importlib.util
import platform
from pathlib import Path

import torch

from romp_core.errors import ConfigError
from romp_core.network import RompNetwork
from romp_core.runtime.dense import Runtime
from romp_core.runtime.torch_runtime import TorchRuntime

RUNTIMES = ("auto", "torch", "cuda-graph", "onnxruntime", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")

Choice = tuple[str, str]
"""A runtime and a precision, neither of them "auto"."""

REFERENCE: Choice = ("torch", "float32")
"""What all others are compared with."""

_FASTEST_FIRST: dict[str, list[Choice]] = {
    "cpu": [
        ("openvino", "bfloat16"),
        ("openvino", "float32"),
        ("torch", "bfloat16"),
        ("onnxruntime", "float32"),
        ("torch", "float32"),
    ],
    "cuda": [
        ("cuda-graph", "float16"),
        ("cuda-graph", "bfloat16"),
        ("cuda-graph", "float32"),
        ("torch", "float16"),
        ("torch", "bfloat16"),
        ("onnxruntime", "float16"),
        ("onnxruntime", "float32"),
        ("torch", "float32"),
    ],
}
"""What each kind of device can be asked for, fastest first, as measured (docs/runtimes.md)."""


def start_runtime(choice: Choice, network: RompNetwork, device: torch.device) -> Runtime:
    """A runtime.

    Args:
        choice: name and precision.
        network: what is run; copied.
        device: where.

    Raises:
        ConfigError: it is not installed, or cannot use the device; says what to install.
    """
    name, precision = choice
    check_installed(name)
    if name == "openvino":
        from romp_core.runtime.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(network, precision)
    if name == "onnxruntime":
        from romp_core.runtime.onnx_runtime import OnnxRuntime

        return OnnxRuntime(network, device, precision)
    return TorchRuntime(network, device, precision, name)


def choices(runtime: str, precision: str, device: torch.device) -> list[Choice]:
    """What a runtime and a precision, either of which may be "auto", stand for, best first.

    "auto" leaves out what is not installed, and bfloat16 on CPUs that do not multiply it.

    Raises:
        ConfigError: unknown names, or nothing on this device answers to them.
    """
    for what, value, known in (
        ("runtime", runtime, RUNTIMES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in known:
            raise ConfigError(f"{what} is {value!r}; expected one of {', '.join(known)}")
    possible = _FASTEST_FIRST.get(device.type, [REFERENCE])
    fitting = [
        choice
        for choice in possible
        if runtime in ("auto", choice[0]) and precision in ("auto", choice[1])
    ]
    if not fitting:
        listed = ", ".join(f"{name} {kind}" for name, kind in possible)
        raise ConfigError(
            f"runtime {runtime!r} with precision {precision!r} does not exist on {device}; "
            f"expected one of {listed}"
        )
    if runtime != "auto":
        check_installed(runtime)
    if precision == "auto" and device.type == "cpu" and not multiplies_bfloat16():
        fitting = [choice for choice in fitting if choice[1] != "bfloat16"]
    return [choice for choice in fitting if is_installed(choice[0])]


def is_installed(name: str) -> bool:
    """Whether the packages behind a runtime can be imported."""
    return not _missing(name)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions that multiply bfloat16."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = "bf16" if platform.machine() == "aarch64" else "_bf16"  # avx512_bf16, amx_bf16
    return flags in described


def check_installed(name: str) -> None:
    """Refuse a runtime that is not installed.

    Raises:
        ConfigError: says what to install.
    """
    missing = _missing(name)
    if missing:
        raise ConfigError(
            f"{name} needs {' and '.join(missing)}: `pip install {' '.join(missing)}`, or let "
            "runtime 'auto' take another"
        )


def _missing(name: str) -> list[str]:
    """Packages that a runtime lacks; models reach OpenVINO and ONNX Runtime by way of ONNX."""
    needed = [name, "onnx"] if name in ("openvino", "onnxruntime") else []
    return [package for package in needed if importlib.util.find_spec(package) is None]
