"""`romp-core convert`: licensed or published files into this package's own formats."""

from pathlib import Path

import torch

from romp_core.body.files import read_body, write_body
from romp_core.checkpoints import read_checkpoint, write_checkpoint
from romp_core.errors import BodyFileError, CheckpointError


def body(input: Path, output: Path, overwrite: bool = False) -> None:
    """Convert a body file into a compact .npz that opens without unpickling anything.

    Args:
        input: SMPL's own .npz or .pkl, or the packed .pth of the published ROMP.
        output: The .npz to write.
        overwrite: Replace the output file if it exists.

    Raises:
        FileNotFoundError: The input, or the output's folder, does not exist.
        BodyFileError: The input holds no SMPL body, or the output exists or is no .npz.
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise BodyFileError(f"{output} exists; choose another name or set overwrite to true")
    data = read_body(input)
    write_body(data, output)
    joints = len(data.J_regressor) + len(data.landmark_names)
    print(
        f"{output}: {data.id}, {len(data.v_template)} vertices, {len(data.faces)} triangles, "
        f"{joints} joints"
    )


def weights(
    input: Path,
    output: Path,
    root_align: bool | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> None:
    """Convert network weights into this package's own format, checked key by key.

    Args:
        input: The published ROMP.pkl, a checkpoint of the published training code, or our own file.
        output: The .safetensors to write.
        root_align: Whether the weights were trained with the body's root subtracted before
            projection; by default what is known of the published files.
        half: Store half precision, half the size; weights with larger numbers than that holds
            (65504) stay as they are.
        overwrite: Replace the output file if it exists.

    Raises:
        FileNotFoundError: The input, or the output's folder, does not exist.
        CheckpointError: The input does not fit exactly, or the output exists or is no .safetensors.
    """
    input, output = Path(input), Path(output)
    if output.suffix != ".safetensors":
        raise CheckpointError(f"{output}: expected a name that ends in .safetensors")
    if output.exists() and not overwrite:
        raise CheckpointError(f"{output} exists; choose another name or set overwrite to true")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"folder {output.parent} does not exist")
    checkpoint = read_checkpoint(input)
    network = checkpoint.build()
    align = checkpoint.root_align if root_align is None else root_align
    write_checkpoint(
        output,
        network,
        root_align=align,
        body=checkpoint.body,
        bodies=checkpoint.bodies,
        dtype=torch.float16 if half else torch.float32,
    )
    parameters = sum(parameter.numel() for parameter in network.parameters())
    print(
        f"{output}: {checkpoint.config.backbone}, {parameters / 1e6:.1f} million parameters, "
        f"root_align {str(align).lower()}, betas of the body {checkpoint.body!r}"
    )
