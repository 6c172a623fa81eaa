"""What a run starts from: initial weights, or the last checkpoint of a run to go on with."""

import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule

from romp_core.body.model import BodyModel
from romp_core.checkpoints import SMPL_FAMILY, Checkpoint, body_family, read_checkpoint
from romp_core.errors import CheckpointError, ConfigError
from romp_core.network import NetworkConfig, RompNetwork
from romp_core.training.config import TrainingConfig
from romp_core.training.movenet import load_movenet

# Options of the network that decide its layers, or their shapes.
_LAYERS = ("backbone", "lifting", "levels", "shared_head", "head_blocks", "head_channels")
_NAMED_KEYS = 3


def make_network(config: TrainingConfig) -> RompNetwork:
    """The network with its initial weights.

    Raises:
        CheckpointError: weights of another architecture, or whose bodies mean something else.
        ConfigError: MoveNet's weights for another backbone.
    """
    network = RompNetwork(config.network)
    initial = config.initial
    if initial is None:
        return network
    if initial.startswith("movenet:"):
        if config.network.backbone != "mobilenet":
            raise ConfigError(
                f"initial is {initial!r}, but the backbone is {config.network.backbone!r}; "
                "MoveNet's weights fit mobilenet only"
            )
        load_movenet(network.backbone, initial.removeprefix("movenet:"))
        return network
    checkpoint = read_checkpoint(initial)
    try:
        checkpoint.load_into(network)
    except CheckpointError as error:
        reason = _differences(checkpoint.config, config.network) or str(error)
        raise CheckpointError(
            f"initial weights {initial} do not fit the network of the configuration: {reason}. "
            "Set network to what the weights have, or start from others"
        ) from error
    if config.task != "pretraining":  # which learns no bodies
        _check_meaning(checkpoint, config)
    return network


def _differences(found: NetworkConfig, wanted: NetworkConfig) -> str:
    there, here = asdict(found), asdict(wanted)
    return "; ".join(
        f"{name} is {_yaml(there[name])} in the weights, {_yaml(here[name])} in the configuration"
        for name in _LAYERS
        if there[name] != here[name]
    )


def _check_meaning(checkpoint: Checkpoint, config: TrainingConfig) -> None:
    """Raise CheckpointError if the same numbers would be other bodies than in the weights."""
    body = body_family(BodyModel.load(config.body))
    problems = []
    if checkpoint.root_align != config.root_align:
        there, here = _yaml(checkpoint.root_align), _yaml(config.root_align)
        problems.append(
            f"were trained with root_align {there}, the configuration has {here}: set "
            f"root_align={there} (or, where the file is wrong, correct it: romp-core convert "
            f"weights --root-align {here})"
        )
    if checkpoint.body != body:
        problems.append(
            f"have betas of the body {checkpoint.body!r}, the configuration's body, {config.body}, "
            f"is {body!r}: set body to {_body_option(checkpoint.body)}"
        )
    if problems:
        raise CheckpointError(f"initial weights {config.initial} {'; they '.join(problems)}")


def _body_option(family: str) -> str:
    if family.startswith(SMPL_FAMILY):  # of both genders or of one
        gender = family.removeprefix(SMPL_FAMILY).strip("_") or "neutral"
        return f"a file of SMPL, such as SMPL_{gender.upper()}.npz"
    is_open = family == body_family(BodyModel.load("open"))
    return "open" if is_open else f"the file of {family!r}"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_frozen(network: RompNetwork, frozen: Sequence[str]) -> None:
    """Refuse beginnings of names that nothing has: what they mean to keep would change.

    Raises:
        ConfigError: which, and how names begin.
    """
    names = [name for name, _ in network.named_parameters()]
    unknown = [begin for begin in frozen if not any(name.startswith(begin) for name in names)]
    if unknown:
        known = dict.fromkeys(name.split(".")[0] for name in names)
        raise ConfigError(
            f"schedule.frozen: no parameter of the network begins with {', '.join(unknown)}; "
            f"expected beginnings of names such as {', '.join(known)}"
        )


def check_unused(last: Path) -> None:
    """Refuse to start where another run would be overwritten.

    Args:
        last: Lightning's checkpoint, as the run will write it.

    Raises:
        ConfigError: there is one.
    """
    if last.exists():
        raise ConfigError(
            f"{last} is of a run before this one: resume to go on with it, set output to another "
            f"folder, or remove {last.parents[1]}"
        )


def check_resumable(last: Path, module: LightningModule, config: TrainingConfig) -> None:
    """Refuse a checkpoint that a run of this configuration cannot go on from.

    Args:
        last: Lightning's checkpoint.
        module: what will be trained, before it is.
        config: the run.

    Raises:
        CheckpointError: there is none, it is damaged, or of other layers, or other layers learnt.
    """
    if not last.is_file():
        raise CheckpointError(f"there is no {last} to resume from; start without resume")
    try:
        content = torch.load(last, map_location="cpu", mmap=True, weights_only=False)
        found, optimizer = content["state_dict"], content["optimizer_states"][0]
        learnt = [len(group["params"]) for group in optimizer["param_groups"]]
    except (RuntimeError, LookupError, TypeError, OSError, EOFError, pickle.PickleError) as error:
        raise CheckpointError(
            f"{last} is damaged or no checkpoint of a run ({type(error).__name__}: {error}); "
            "start without resume"
        ) from error
    change = "resume with the configuration it was written by, or give another output"
    unlike = _unlike_keys(found, module.state_dict())
    if unlike:
        reason = _written_differences(config) or f"differing layers: {unlike}"
        raise CheckpointError(f"{last} is of another network: {reason}; {change}")
    groups = module.configure_optimizers()["optimizer"].param_groups
    if learnt != [len(group["params"]) for group in groups]:
        raise CheckpointError(
            f"{last} is of a run in which other layers learnt: task, schedule.frozen, "
            f"backbone_rate or backbone_rates differ; {change}"
        )


def _unlike_keys(found: dict[str, Any], expected: dict[str, Any]) -> str:
    keys = [
        key
        for key in [*expected, *(key for key in found if key not in expected)]
        if key not in found or key not in expected or found[key].shape != expected[key].shape
    ]
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    return ", ".join(keys[:_NAMED_KEYS]) + more


def _written_differences(config: TrainingConfig) -> str:
    """Which options differ from those of the weights that the run wrote beside, if it did."""
    weights = config.output / "weights.safetensors"
    if not weights.is_file():
        return ""
    return _differences(read_checkpoint(weights).config, config.network)
