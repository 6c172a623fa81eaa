"""`romp-core export`: a network as a file for other programs."""

from pathlib import Path
from typing import Literal

from romp_core.checkpoints import read_checkpoint
from romp_core.errors import ConfigError
from romp_core.runtime.export import SUFFIXES, export_network, files_of


def export(
    weights: str = "open",
    to: Literal["onnx", "openvino"] = "onnx",
    out: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a network as ONNX or OpenVINO, and check the file against PyTorch.

    The file takes "images" (B, 3, S, S) float32, RGB, 0 to 255, any number of them, and answers
    with "center_map" and "params_map" as `romp.network` does.

    Args:
        weights: "open", or a weights file.
        to: The format.
        out: The file to write; by default named like the weights, in the current folder.
        overwrite: Replace the file if it exists.

    Raises:
        FileNotFoundError: The weights, or the output's folder, do not exist.
        ConfigError: The output, or OpenVINO's .bin beside it, exists; it ends in something else; or
            the format's runtime, which checks the file, is not installed.
        ExportError: The file cannot be written, or does not answer as PyTorch does; it is removed.
    """
    path = Path(Path(weights).stem + SUFFIXES[to]) if out is None else Path(out)
    existing = [file for file in files_of(path) if file.exists()]
    if existing and not overwrite:
        raise ConfigError(f"{existing[0]} exists; choose another name or set overwrite to true")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"folder {path.parent} does not exist")
    checkpoint = read_checkpoint(weights)
    difference = export_network(checkpoint.build(), to, path)
    side = checkpoint.config.input_size
    print(
        f"{path}: {checkpoint.config.backbone}, images (B, 3, {side}, {side}); differs from "
        f"PyTorch by {difference:.1g} of the largest value. root_align "
        f"{str(checkpoint.root_align).lower()}, betas of the body {checkpoint.body!r}"
    )
