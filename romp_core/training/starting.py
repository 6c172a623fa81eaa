"""What a run starts from: initial weights, or the last checkpoint of a run to go on with."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule

from romp_core.body.model import BodyModel
from romp_core.checkpoints import SMPL_FAMILY, Checkpoint, body_family, read_checkpoint
from romp_core.errors import CheckpointError, ConfigError
from romp_core.network import NetworkConfig, RompNetwork
from romp_core.training.config import ScheduleConfig, TrainingConfig
from romp_core.training.movenet import load_movenet
from romp_core.training.schedule import freeze

CHECKPOINT_NAME, WEIGHTS_NAME = "checkpoints/last.ckpt", "weights.safetensors"
"""Where in its output folder a run writes what to resume from, and its trained weights."""

# Options of the network that decide its layers, or their shapes.
_LAYERS = ("backbone", "lifting", "levels", "shared_head", "head_blocks", "head_channels")
_NAMED_KEYS = 3
_MOVENET = "movenet:"


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
    if initial.startswith(_MOVENET):
        if config.network.backbone != "mobilenet":
            raise ConfigError(
                f"initial is {initial!r}, but the backbone is {config.network.backbone!r}; "
                "MoveNet's weights fit mobilenet only"
            )
        load_movenet(network.backbone, initial.removeprefix(_MOVENET))
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
    if config.task != "pretraining" and checkpoint.bodies:
        _check_meaning(checkpoint, config)
    return network


def learns_bodies(config: TrainingConfig) -> bool:
    """Whether a run's weights know bodies: those of pretraining do if its initial ones did."""
    if config.task != "pretraining":
        return True
    if config.initial is None or config.initial.startswith(_MOVENET):
        return False
    return read_checkpoint(config.initial).bodies


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


def check_frozen(network: RompNetwork, schedule: ScheduleConfig) -> None:
    """Refuse beginnings of names that nothing has, since what they mean to keep would change, and
    to freeze everything.

    Args:
        network: what will be trained, with gradients of what the task teaches; those of what the
            schedule freezes are switched off.
        schedule: how.

    Raises:
        ConfigError: which, and how names begin; or that nothing is left to learn.
    """
    frozen, names = schedule.frozen, [name for name, _ in network.named_parameters()]
    unknown = [begin for begin in frozen if not any(name.startswith(begin) for name in names)]
    if unknown:
        known = dict.fromkeys(name.split(".")[0] for name in names)
        raise ConfigError(
            f"schedule.frozen: no parameter of the network begins with {', '.join(unknown)}; "
            f"expected beginnings of names such as {', '.join(known)}"
        )
    freeze(network, schedule)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(
            "nothing of the network is left to learn: of what the task teaches, schedule.frozen "
            f"({', '.join(frozen)}) and schedule.backbone_rate ({schedule.backbone_rate:g}) keep "
            "everything as it is; expected some of it to learn"
        )


def check_unused(output: Path) -> None:
    """Refuse to start where another run would be overwritten.

    Args:
        output: the run's folder.

    Raises:
        ConfigError: there is a checkpoint in it, or there are weights.
    """
    last, weights = output / CHECKPOINT_NAME, output / WEIGHTS_NAME
    if last.exists():
        raise ConfigError(
            f"{last} is of a run before this one: resume to go on with it, set output to another "
            f"folder, or remove {output}"
        )
    if weights.exists():
        raise ConfigError(
            f"{weights} are there already, without a checkpoint to resume from: set output to "
            "another folder, or remove them"
        )


def check_resumable(module: LightningModule, config: TrainingConfig) -> int:
    """Refuse a checkpoint that a run of this configuration cannot go on from.

    Args:
        module: what will be trained, before it is.
        config: the run.

    Returns:
        The epoch that it goes on with.

    Raises:
        CheckpointError: there is none, it is damaged, or of other layers, or other layers learnt.
    """
    output, last = config.output, config.output / CHECKPOINT_NAME
    anew = f"start without resume, with another output or after removing {output}"
    if not last.is_file():
        begun = (output / WEIGHTS_NAME).exists()
        remedy = anew if begun else "start without resume"
        raise CheckpointError(f"there is no {last} to resume from; {remedy}")
    try:
        content = torch.load(last, map_location="cpu", mmap=True, weights_only=True)
        found, optimizer = content["state_dict"], content["optimizer_states"][0]
        learnt = [len(group["params"]) for group in optimizer["param_groups"]]
        epoch = int(content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    except (RuntimeError, LookupError, TypeError, OSError, EOFError, pickle.PickleError) as error:
        # PyTorch advises to run what is in the file, in many lines.
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise CheckpointError(
            f"{last} is damaged or no checkpoint of a run; nothing in it was run ({reason}). To "
            f"train all the same, {anew}"
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
    return epoch


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
    weights = config.output / WEIGHTS_NAME
    if not weights.is_file():
        return ""
    return _differences(read_checkpoint(weights).config, config.network)
