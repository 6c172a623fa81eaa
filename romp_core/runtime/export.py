"""Networks as files for other programs, checked against PyTorch after they are written."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from romp_core.errors import ConfigError, ExportError
from romp_core.network import RompNetwork
from romp_core.network.romp import Maps
from romp_core.preprocessing import HostLetterbox
from romp_core.runtime.dense import fold_batch_norms
from romp_core.runtime.guard import check_pictures
from romp_core.runtime.onnx_export import to_onnx
from romp_core.runtime.selection import check_installed

Answer = Callable[[np.ndarray], list[np.ndarray]]
"""Images (B, 3, S, S) float32 to the fields of `Maps`."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Endings of the files, by format. OpenVINO's weights lie beside, in a file that ends in .bin."""

LARGEST_DIFFERENCE = 1e-3
"""Between the maps of the file and PyTorch's, as a share of a map's largest value."""

_INPUT = "images"


def files_of(path: Path) -> list[Path]:
    """All files that an export to a path writes."""
    return [path, path.with_suffix(".bin")] if path.suffix == SUFFIXES["openvino"] else [path]


def export_network(network: RompNetwork, to: str, path: Path) -> float:
    """Write a network as a file: "images" (B, 3, S, S) float32 RGB 0..255 in, the fields of `Maps`
    out, any batch size B.

    The written file is read again and run on pictures; where it differs from PyTorch it is removed.

    Args:
        network: in evaluation mode, on the CPU.
        to: the format, one of `SUFFIXES`.
        path: the file, of that ending.

    Returns:
        The largest difference from PyTorch, as a share of a map's largest value.

    Raises:
        ConfigError: an unknown format, another ending, or the format's runtime is not installed.
        OSError, ExportError: the file cannot be written, or does not answer as PyTorch does.
    """
    if to not in SUFFIXES:
        raise ConfigError(f"format is {to!r}; expected one of {', '.join(SUFFIXES)}")
    if path.suffix != SUFFIXES[to]:
        raise ConfigError(f"{path}: expected a name that ends in {SUFFIXES[to]}")
    check_installed({"onnx": "onnxruntime"}.get(to, to))
    side = network.config.input_size
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    free = {name: {0: "batch"} for name in (_INPUT, *Maps._fields)}
    model = to_onnx(folded, torch.zeros(2, 3, side, side), free)
    write, answer = (_write_onnx, _onnx_answer) if to == "onnx" else (_write_xml, _xml_answer)
    write(model, path)
    try:
        return _check(network, answer(path))
    except ExportError:
        for written in files_of(path):
            written.unlink(missing_ok=True)
        raise


def _check(network: RompNetwork, answer: Answer) -> float:
    """The largest relative difference, over batches of one picture and of three."""
    pictures = check_pictures()[:4]
    squares = HostLetterbox(network.config.input_size)(pictures)
    images = squares.permute(0, 3, 1, 2).float().contiguous()
    largest = 0.0
    for batch in (images[:1], images[1:4]):
        with torch.inference_mode():
            expected = network(batch)
        found = answer(batch.numpy())
        for name, maps, values in zip(Maps._fields, expected, found, strict=True):
            difference = _relative_difference(maps, values)
            if not difference <= LARGEST_DIFFERENCE:  # a NaN is refused, too
                raise ExportError(
                    f"{name} of the exported network differs from PyTorch's by {difference:.2g} "
                    f"of its largest value; expected at most {LARGEST_DIFFERENCE:g}. The file was "
                    "removed; another version of torch or of the runtime may do better"
                )
            largest = max(largest, difference)
    return largest


def _relative_difference(expected: Tensor, found: np.ndarray) -> float:
    if found.shape != tuple(expected.shape):
        return float("inf")
    return float((expected - torch.from_numpy(found)).abs().max() / expected.abs().max())


def _write_onnx(model: bytes, path: Path) -> None:
    path.write_bytes(model)


def _onnx_answer(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(list(Maps._fields), {_INPUT: images})


def _write_xml(model: bytes, path: Path) -> None:
    import openvino

    try:
        openvino.save_model(openvino.Core().read_model(model), path, compress_to_fp16=False)
    except RuntimeError as error:
        raise ExportError(f"{path} cannot be written: {' '.join(str(error).split())}") from error


def _xml_answer(path: Path) -> Answer:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", options)
    return lambda images: [compiled([images])[name] for name in Maps._fields]
