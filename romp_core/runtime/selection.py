"""Which runtime runs a network: by name, or the fastest one that is there and exact enough."""

import importlib.util
import platform
from pathlib import Path

import torch

from romp_core import compiled
from romp_core.errors import ConfigError
from romp_core.network import RompNetwork
from romp_core.runtime import convolutions
from romp_core.runtime.dense import Runtime
from romp_core.runtime.torch_runtime import TorchRuntime

RUNTIMES = ("auto", "torch", "compiled", "cuda-graph", "onnxruntime", "openvino")
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
"""What each kind of device can be asked for, fastest first, as measured (docs/runtimes.md); for
`compiled` see `_place_of_compiled`."""

_COMPILED: list[Choice] = [("compiled", "bfloat16"), ("compiled", "float32")]


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
    if name == "compiled":
        from romp_core.runtime.compiled_runtime import CompiledRuntime

        return CompiledRuntime(network, precision)
    if name == "openvino":
        from romp_core.runtime.openvino_runtime import OpenVinoRuntime

        return OpenVinoRuntime(network, precision)
    if name == "onnxruntime":
        from romp_core.runtime.onnx_runtime import OnnxRuntime

        return OnnxRuntime(network, device, precision)
    return TorchRuntime(network, device, precision, name)


def choices(
    runtime: str, precision: str, device: torch.device, network: RompNetwork | None = None
) -> list[Choice]:
    """What a runtime and a precision, either of which may be "auto", stand for, best first.

    "auto" leaves out what is not installed, and bfloat16 on CPUs that do not multiply it.

    Args:
        runtime, precision: names.
        device: where.
        network: which order depends on; None: one like the open network.

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
    if device.type == "cpu":
        place = _place_of_compiled(network if runtime == "auto" else None)
        possible = [*possible[:place], *_COMPILED, *possible[place:]]
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
    if precision == "auto" and device.type == "cpu":
        fitting = [choice for choice in fitting if choice[1] != "bfloat16" or _pays(choice[0])]
    return [choice for choice in fitting if is_installed(choice[0])]


def _place_of_compiled(network: RompNetwork | None) -> int:
    """Before which of the CPU's choices, fastest first, `compiled` belongs.

    As measured with HRNet-32, ResNet-18 and ResNet-50, whose shares are 0.86, 0.71 and 0.36. AMX
    multiplies bfloat16 so much faster that OpenVINO should lead there; that was not measured.
    """
    if not convolutions.are_fast():
        return _FASTEST_FIRST["cpu"].index(REFERENCE)
    share = convolutions.winograd_share(network) if network else 0
    if share > 0.8 and not _has_flag("amx_bf16"):
        return 0
    return 1 if share > 0.5 else 2


def is_installed(name: str) -> bool:
    """Whether what is behind a runtime can be imported."""
    return compiled.library is not None if name == "compiled" else not _missing(name)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions that multiply bfloat16."""
    # avx512_bf16, amx_bf16
    return _has_flag("bf16" if platform.machine() == "aarch64" else "_bf16")


def _pays(name: str) -> bool:
    """Whether bfloat16 is worth while on this CPU with a runtime."""
    return multiplies_bfloat16() and (name != "compiled" or convolutions.has_avx512_bf16())


def _has_flag(flag: str) -> bool:
    """Whether the system lists an ability of this CPU."""
    try:
        return flag in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def check_installed(name: str) -> None:
    """Refuse a runtime that is not installed.

    Raises:
        ConfigError: says what to install.
    """
    if name == "compiled" and not is_installed(name):
        raise ConfigError(
            "compiled needs romp_core_compiled, which belongs to this package but was not built: "
            "`pip install .` in its source directory, or let runtime 'auto' take another"
        )
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
