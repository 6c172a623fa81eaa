"""What a training run is made of; the YAML files in config/training have this form."""

import math
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml

from romp_core.data.augmentation import AugmentationConfig
from romp_core.errors import ConfigError, expect
from romp_core.network import NetworkConfig
from romp_core.network.romp import SIZE_MULTIPLE
from romp_core.training.losses import LossWeights

_CHOICES = {
    "optimizer": ("adam", "adamw"),
    "decay": ("cosine", "constant"),
    "precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
}
_COUNTS = ("epochs", "steps_per_epoch", "batch_size")
_NEVER_NEGATIVE = ("warmup_steps", "weight_decay", "backbone_rate", "gradient_clip", "workers")
_LOSSES_OF_LIFTING = ("heatmaps", "offsets", "refined", "size")


@dataclass(frozen=True)
class DataConfig:
    """One data set of the mix.

    Attributes:
        name: `synthetic`, `rendered` (pictures that `romp-core render-dataset` wrote), or a data
            set that `romp_core.data.readers` reads.
        probability: how often a sample is drawn from it, relative to the others.
        options: what the data set is made with, such as `root`; see docs/training.md.

    Raises:
        ConfigError: a value out of its range, by name.
    """

    name: str
    probability: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        probable = 0 <= self.probability < math.inf
        expect(probable, f"probability of data {self.name}", self.probability, "0 or more, finite")
        if self.name == "poses":
            pool = self.options.get("pool", 1)
            fits = isinstance(pool, int) and pool >= 1
            expect(fits, "options.pool of data poses", pool, "a whole number, 1 or more")


@dataclass(frozen=True)
class ScheduleConfig:
    """How long, how fast, on what.

    Attributes:
        epochs: number of epochs; a checkpoint is written after each.
        steps_per_epoch: optimizer steps per epoch.
        batch_size: pictures per step and process; of task `lifting` posed people, and as many
            people of pictures.
        optimizer: `adam` (the paper's) or `adamw`.
        learning_rate: peak, reached after `warmup_steps` and brought to zero along a cosine
            (`constant`: kept).
        decay: `cosine` or `constant`.
        warmup_steps: steps of linear rise.
        weight_decay: of the optimizer.
        backbone_rate: learning rate of the backbone's pretrained layers over the others'; 0
            freezes them.
        backbone_rates: `absolute`, or `relative` to the size of each layer's weights: where batch
            norms are folded into convolutions, sizes differ ten thousandfold, and what one layer
            hardly notices destroys another.
        frozen: beginnings of the names of parameters that stay as they are, such as `lifting`.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        crop: probability of single-person crops in the first half of the epochs, and in the
            second (the paper: whole images 0.1 of the time, then 0.6).
        averaging: decay of the exponential moving average of the weights.
        workers: processes that make samples.
        precision: Lightning's `32-true`, `bf16-mixed` or `16-mixed`, or `auto`: the fastest of them
            that the device is made for, see `training.processes.fitting_precision`.

    Raises:
        ConfigError: a value out of its range, by name.
    """

    epochs: int = 120
    steps_per_epoch: int = 1000
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 5e-5
    decay: str = "constant"
    warmup_steps: int = 0
    weight_decay: float = 1e-6
    backbone_rate: float = 1.0
    backbone_rates: Literal["absolute", "relative"] = "absolute"
    frozen: tuple[str, ...] = ()
    gradient_clip: float = 10.0
    crop: tuple[float, float] = (0.9, 0.4)
    averaging: float = 0.999
    workers: int = 8
    precision: str = "auto"

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            found = getattr(self, name)
            expect(found in choices, f"schedule.{name}", found, f"one of {', '.join(choices)}")
        for names, least in ((_COUNTS, 1), (_NEVER_NEGATIVE, 0)):
            for name in names:
                found = getattr(self, name)
                fits = least <= found < math.inf
                expect(fits, f"schedule.{name}", found, f"{least} or more, finite")
        rate = self.learning_rate
        expect(0 < rate < math.inf, "schedule.learning_rate", rate, "more than 0, finite")
        expect(
            0 <= self.averaging < 1, "schedule.averaging", self.averaging, "0 or more, less than 1"
        )
        probable = all(0 <= each <= 1 for each in self.crop)
        expect(probable, "schedule.crop", list(self.crop), "two probabilities, 0 to 1")

    def freezes(self, name: str) -> bool:
        """Whether a parameter, or all whose names begin with that of a module, stay as they are."""
        return name.startswith(self.frozen)


@dataclass(frozen=True)
class TrainingConfig:
    """A training run.

    Attributes:
        network: the architecture.
        data: data sets, mixed by probability.
        task: `bodies`, ROMP itself; or `pretraining`, which teaches the backbone joint heatmaps,
            associative embedding and, where pictures come with dense maps, body parts, depth
            and normals; or `lifting`, which teaches a network with `lifting` what body 17
            keypoints belong to, from recorded poses (data: `poses`) and, if there are other
            data, from people of pictures as the network of `initial` sees them. The weights that
            the last two write are what `initial` of a further run names.
        output: folder of checkpoints, logs and `weights.safetensors`.
        size: side of the training pictures in pixels, a multiple of 64; inference takes
            `network.input_size`, and so does task `lifting`.
        body: "open", or a body file; betas belong to it.
        root_align: subtract the body's root before projection.
        car_gamma: strength of the collision-aware representation; 0 switches it off.
        center: what the center map shows: `torso`, the paper's body center, or `box`, the middle
            of a person's box, which is where MoveNet's keypoint offsets start.
        keypoints_by_box: measure projected joints in units of a person's size instead of the
            picture's, so that small people count as much as large ones; task `lifting` always
            does.
        seen_pictures: how many pictures task `lifting` looks at, by all processes, before it
            begins.
        losses: weights.
        prior: .npz or .pkl of the pose prior; "open" for the package's own, null for none.
        schedule: how long, how fast.
        augmentation: what is done to samples.
        initial: weights to start from: "movenet:PATH" (the `mobilenet` backbone only), or a
            file that `romp_core.load` reads; null starts from random numbers.
        seed: of everything random, 0 or more.

    Raises:
        ConfigError: a value out of its range, by name.
    """

    network: NetworkConfig
    data: list[DataConfig]
    task: Literal["bodies", "pretraining", "lifting"] = "bodies"
    output: Path = Path("runs/training")
    size: int = 512
    body: str = "open"
    root_align: bool = True
    car_gamma: float = 0.2
    center: Literal["torso", "box"] = "torso"
    keypoints_by_box: bool = False
    seen_pictures: int = 7000
    losses: LossWeights = field(default_factory=LossWeights)
    prior: str | None = "open"
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    initial: str | None = None
    seed: int = 0

    def __post_init__(self):
        fits = self.size > 0 and self.size % SIZE_MULTIPLE == 0
        expect(fits, "size", self.size, f"a multiple of {SIZE_MULTIPLE}")
        expect(0 <= self.car_gamma < math.inf, "car_gamma", self.car_gamma, "0 or more, finite")
        expect(self.seen_pictures > 0, "seen_pictures", self.seen_pictures, "1 or more")
        expect(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        for name in () if self.network.lifting else _LOSSES_OF_LIFTING:
            weight = getattr(self.losses, name)
            expect(not weight, f"losses.{name}", weight, "0, or network.lifting to be true")


def read_config(path: str | Path, changes: list[str] | None = None) -> TrainingConfig:
    """A training configuration from YAML.

    Args:
        path: the file.
        changes: `a.b=c` each: what to set differently; values are YAML.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: not YAML, an unknown key, or a value of the wrong type or out of its range.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"configuration {path} does not exist")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text in UTF-8: {error}; save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no mapping; expected keys such as network and data")
    for change in changes or []:
        _apply(content, change)
    try:
        _check_keys(TrainingConfig, content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--run", type=TrainingConfig)
    try:
        return parser.instantiate(parser.parse_object({"run": content})).run
    except (ArgumentError, TypeError, ValueError) as error:
        reason = str(error).replace("run.", "").replace('"run"', path.name)
        raise ConfigError(f"{path}: {' '.join(reason.split())}") from error


def _check_keys(kind: type, content: Any, place: str = "") -> None:
    """Raise ConfigError on the first key that a dataclass, or one in it, does not have, or which
    is null where that means nothing."""
    types = get_type_hints(kind)
    names = [each.name for each in fields(kind)]
    if not isinstance(content, dict):
        raise ConfigError(f"{place[:-1]} is {content!r}; expected keys out of {', '.join(names)}")
    for key, value in content.items():
        if key not in names:
            close = get_close_matches(str(key), names, n=1)
            raise ConfigError(
                f"there is no key {f'{place}{key}'!r}; "
                + (
                    f"did you mean {place + close[0]!r}?"
                    if close
                    else f"expected one of {', '.join(names)}"
                )
            )
        if is_dataclass(types[key]):
            _check_keys(types[key], value, f"{place}{key}.")
        elif value is None and type(None) not in get_args(types[key]):
            raise ConfigError(
                f"{place}{key} is null; expected a value, or nothing at all for the default"
            )
        elif isinstance(value, list) and is_dataclass(entry := (*get_args(types[key]), None)[0]):
            for number, each in enumerate(value):
                _check_keys(entry, each, f"{place}{key}.{number}.")


def _apply(content: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {change!r}: expected KEY=VALUE, such as schedule.epochs=10")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or "unreadable"
        raise ConfigError(f"--set {change!r}: the value is not YAML: {reason}") from error
    *parents, last = key.split(".")
    place: Any = content
    for parent in parents:
        if isinstance(place, list):
            place = place[int(parent)] if parent.isdecimal() and int(parent) < len(place) else None
        else:
            place = place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise ConfigError(f"--set {change!r}: {parent!r} has nothing below it")
    if isinstance(place, list):
        if not last.isdecimal() or int(last) >= len(place):
            raise ConfigError(f"--set {change!r}: the list has {len(place)} entries")
        place[int(last)] = value
    else:
        place[last] = value
