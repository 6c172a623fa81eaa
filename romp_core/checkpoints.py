"""Reading and writing network weights: nothing is loaded in part, nothing silently.

Our own files are safetensors whose metadata hold the network's configuration, whether the
body's root is subtracted before projection (`root_align`) and the body that the betas belong
to. The published files (the inference package's `ROMP.pkl`, checkpoints of the training code)
are read with `weights_only=True`, which runs no code of theirs.
"""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from romp_core.body.model import BodyModel
from romp_core.errors import CheckpointError, ConfigError
from romp_core.network import NetworkConfig, RompNetwork, build_network

OPEN_WEIGHTS = Path(__file__).parent / "assets" / "open.safetensors"

SMPL_FAMILY = "smpl"
_SMPL_VERTICES = 6890
# As in SMPL_MALE.pkl and basicmodel_m_lbs_10_207_0_v1.1.0.pkl.
_GENDERS = {"male": {"male", "m"}, "female": {"female", "f"}}
_METADATA_KEY = "romp_core"
_FORMAT = 1
# What checkpoints of the published training code hold beside the network.
_FOREIGN_PREFIXES = ("_result_parser.", "_calc_loss.")
_NAMED_KEYS = 5


@dataclass(frozen=True)
class Checkpoint:
    """Weights and what belongs to them.

    Attributes:
        config: the network's architecture.
        state: weights by parameter name, float32 (counters int64).
        root_align: whether the body's root (the middle of the hips) is subtracted before
            projection.
        body: family of the body that the betas belong to, see `body_family`.
        path: the file that they were read from, for error messages.
        bodies: whether they have learnt bodies at all, which a pretrained backbone has not: then
            neither `root_align` nor `body` says anything about them.
    """

    config: NetworkConfig
    state: dict[str, Tensor]
    root_align: bool
    body: str
    path: Path | None = None
    bodies: bool = True

    def build(self, input_size: int | None = None) -> RompNetwork:
        """A network with these weights, in evaluation mode.

        Args:
            input_size: side of its pictures, pixels; None for the weights' own.

        Raises:
            CheckpointError: missing, unexpected, misshaped or non-finite weights, by name.
            ConfigError: an input size that is no multiple of 64.
        """
        config = self.config
        if input_size is not None:
            config = replace(config, input_size=input_size)
        network = build_network(config)
        self.load_into(network)
        return network

    def load_into(self, network: RompNetwork) -> None:
        """Copy these weights into a network.

        Raises:
            CheckpointError: as `build`; the network is then unchanged.
        """
        _check_state(self.state, network.state_dict(), self.path)
        network.load_state_dict(self.state)


def body_family(body: BodyModel) -> str:
    """The name under which betas of one shape space are known.

    For SMPL's own mesh, whatever its file is called, `"smpl"`, or `"smpl_male"` and `"smpl_female"`
    where the name tells that; else the body's name.
    """
    if body.mesh.count != _SMPL_VERTICES:
        return body.name
    words = set(re.split(r"[^a-z]+", body.name.lower()))
    gender = next((name for name, said in _GENDERS.items() if words & said), None)
    return f"{SMPL_FAMILY}_{gender}" if gender else SMPL_FAMILY


def shares_betas(body_id: str | None, other_id: str) -> bool:
    """Whether betas of one body mean the same for another, told by their `BodyModel.id`s.

    They do where both have one name (the official and the packed SMPL_NEUTRAL) or are equal but
    for the name (a converted file). SMPL's male, female and neutral bodies have one topology, but
    not one shape space. Betas of an unknown body, None, belong to none.
    """
    if body_id is None:
        return False
    name, _, digits = body_id.rpartition("-")
    other_name, _, other_digits = other_id.rpartition("-")
    return name.casefold() == other_name.casefold() or digits == other_digits


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Weights from a file: ours, `ROMP.pkl`, or one of the published training code.

    Args:
        path: a file; its content, not its name, decides how it is read. `"open"` means the
            weights that come with the package.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: the file is damaged, no checkpoint, or holds more than tensors.
    """
    if str(path) == "open":
        path = OPEN_WEIGHTS
        if not path.is_file():
            raise CheckpointError(
                "this build comes without open weights; give the path of a weights file, such "
                "as the published ROMP.pkl"
            )
    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"weights file {path} {found}; expected a file of weights")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty; expected a weights file")
    return _read_own(path) if _is_safetensors(path) else _read_published(path)


def write_checkpoint(
    path: str | Path,
    network: RompNetwork,
    *,
    root_align: bool,
    body: str,
    bodies: bool = True,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights in our own format.

    Args:
        path: the file, by custom `.safetensors`.
        network: its weights and configuration are written.
        root_align, body, bodies: see `Checkpoint`.
        dtype: precision in which weights are stored, but for those whose numbers are too large for
            it; reading gives float32 again.

    Raises:
        CheckpointError: the file cannot be written; what was there before still is.
    """
    state = {key: _stored(value, dtype) for key, value in network.state_dict().items()}
    description = {
        "format": _FORMAT,
        "network": asdict(network.config),
        "root_align": root_align,
        "body": body,
        "bodies": bodies,
    }
    # Written beside and moved: whoever reads at that moment never sees half a file.
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        save_file(
            {key: value.contiguous() for key, value in state.items()},
            partial,
            {_METADATA_KEY: json.dumps(description)},
        )
        partial.chmod(0o644)  # safetensors makes files that only their owner can read
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        if partial.is_file():
            partial.unlink()
        raise CheckpointError(
            f"weights {path} cannot be written: {error}. Make room or allow to write there"
        ) from error


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight in a precision, or as it is where that would make numbers infinite."""
    value = value.detach().cpu()
    if not value.is_floating_point():
        return value
    rounded = value.to(dtype)
    return rounded if torch.isfinite(rounded).all() else value


def _is_safetensors(path: Path) -> bool:
    """A safetensors file starts with its header's length, then the header, a JSON object."""
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and length <= path.stat().st_size


def _read_own(path: Path) -> Checkpoint:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if _METADATA_KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without romp_core's description; expected one that "
            "`romp-core convert weights` or training wrote"
        )
    try:
        description = json.loads(metadata[_METADATA_KEY])
        if description["format"] != _FORMAT:
            raise CheckpointError(
                f"{path} has format {description['format']}; this version reads {_FORMAT}"
            )
        config = NetworkConfig(**description["network"])
        root_align, body = description["root_align"], str(description["body"])
        if not isinstance(root_align, bool):
            raise TypeError(f"root_align is {root_align!r}; expected true or false")
        bodies = bool(description.get("bodies", True))
    except (json.JSONDecodeError, KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: its description cannot be used: {error}") from error
    return Checkpoint(config, _as_float32(state), root_align, body, path, bodies)


def _read_published(path: Path) -> Checkpoint:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch advises to run what is in the file, and only then says what that is.
        reason = str(error).partition("\n\n")[2].strip().partition("\n")[0] or "damaged"
        raise CheckpointError(
            f"{path} holds something other than tensors, or is no weights file; nothing in it "
            f"was run ({reason})"
        ) from error
    except Exception as error:  # damaged zip archives and pickles raise nearly anything
        raise CheckpointError(
            f"{path} is damaged or no weights file ({type(error).__name__}: {error})"
        ) from error
    state = _tensors(content, path)
    of_training = any(key.startswith("module.") for key in state)
    state = {key.removeprefix("module."): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.startswith(_FOREIGN_PREFIXES)}
    backbone = _published_backbone(state, path)
    if of_training and backbone == "hrnet32":
        warnings.warn(
            f"{path} does not say whether its HRNet-32 subtracts the body's root; assuming that "
            "it does not, as the released one. For one that you trained, set root_align",
            stacklevel=3,
        )
    # The released HRNet-32 was trained without subtracting the root, ResNet-50 with.
    return Checkpoint(
        NetworkConfig(backbone),
        _as_float32(_with_counters(state)),
        root_align=backbone != "hrnet32",
        body=SMPL_FAMILY,
        path=path,
    )


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in a file that holds it bare or under one of the usual keys."""
    if isinstance(content, Mapping):
        for key in ("model_state_dict", "state_dict"):
            if isinstance(content.get(key), Mapping):
                content = content[key]
        if content and all(
            isinstance(key, str)
            and isinstance(value, Tensor)
            and value.layout == torch.strided
            and not value.is_quantized
            for key, value in content.items()
        ):
            return dict(content)
    raise CheckpointError(
        f"{path} holds a {type(content).__name__} that is no state dict; expected dense tensors "
        "by name"
    )


def _published_backbone(state: Mapping[str, Tensor], path: Path) -> str:
    for marker, backbone in (("deconv_layers.", "resnet50"), ("stage4.", "hrnet32")):
        if any(key.startswith("backbone." + marker) for key in state):
            return backbone
    raise CheckpointError(
        f"{path} has neither the published HRNet-32's nor ResNet-50's layers; "
        f"found {_listing(state)}"
    )


def _with_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Batch norm's counters, which files of old PyTorch versions lack and inference ignores."""
    for key in list(state):
        if key.endswith(".running_mean"):
            counter = key.removesuffix("running_mean") + "num_batches_tracked"
            state.setdefault(counter, torch.tensor(0))
    return state


def _as_float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key: value.float() if value.is_floating_point() else value for key, value in state.items()
    }


def _check_state(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path | None
) -> None:
    problems = []
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshaped = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    mistyped = [
        f"{key} {found[key].dtype} instead of {expected[key].dtype}"
        for key in expected
        if key in found and found[key].is_floating_point() != expected[key].is_floating_point()
    ]
    broken = [key for key, value in found.items() if not torch.isfinite(value).all()]
    for label, keys in (
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape", misshaped),
        ("of another type", mistyped),
        ("NaN or infinite", broken),
    ):
        if keys:
            problems.append(f"{label}: {_listing(keys)}")
    if problems:
        remedy = (
            "the file is damaged: get or write it again"
            if problems[0].startswith("NaN")
            else "the network has to be made with the settings (`network`) that the weights were "
            "trained with, or the weights are of another version"
        )
        raise CheckpointError(
            f"{path or 'these weights'}: weights do not fit the network; nothing was loaded. "
            f"{'; '.join(problems)}. Expected exactly the network's {len(expected)}: {remedy}"
        )


def _listing(keys: Any) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    return ", ".join(keys[:_NAMED_KEYS]) + more
