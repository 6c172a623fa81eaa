"""The processes of a run: those that torchrun starts, and those that make samples."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy

from romp_core.errors import ConfigError, RompError
from romp_core.runtime.selection import multiplies_bfloat16


def trainer_options() -> dict[str, Any]:
    """What Lightning's trainer must know of devices and processes.

    Lightning itself looks at this machine's devices only: where each machine has one, and on
    CPUs, it would take every process for the only one.

    Raises:
        ConfigError: processes that torchrun did not start, or too few GPUs for them.
    """
    total = _number("WORLD_SIZE") or 1
    if total == 1:
        return {"accelerator": "auto", "devices": 1}
    local = _number("LOCAL_WORLD_SIZE")
    if not local or total % local:
        raise ConfigError(
            f"the environment says WORLD_SIZE={total}, LOCAL_WORLD_SIZE={local}; expected "
            "torchrun's, with as many processes on every machine. Start with torchrun, or unset "
            "WORLD_SIZE"
        )
    on_gpu = torch.cuda.is_available()
    if on_gpu and torch.cuda.device_count() < local:
        raise ConfigError(
            f"torchrun started {local} processes on this machine, which has "
            f"{torch.cuda.device_count()} GPUs; give --nproc-per-node the number of GPUs"
        )
    return {
        "accelerator": "cuda" if on_gpu else "cpu",
        "devices": local,
        "num_nodes": total // local,
        "strategy": DDPStrategy(
            cluster_environment=TorchElasticEnvironment(),
            process_group_backend="nccl" if on_gpu else "gloo",
            # Losses of weight 0, and pictures without what a loss needs, leave layers out.
            find_unused_parameters=True,
        ),
    }


def fitting_precision(wanted: str) -> str:
    """What `auto` stands for on this machine, and `16-mixed`, which is of GPUs only, on a CPU.

    Mixed precision where something multiplies the narrower numbers. A CPU that does not only
    imitates bfloat16, which takes many times as long as float32.

    Args:
        wanted: `ScheduleConfig.precision`.

    Returns:
        A precision of Lightning's.
    """
    on_gpu = torch.cuda.is_available()
    if wanted == "16-mixed" and not on_gpu:
        wanted = "auto"
    if wanted != "auto":
        return wanted
    if on_gpu:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    return "bf16-mixed" if multiplies_bfloat16() else "32-true"


@contextmanager
def told_plainly() -> Iterator[None]:
    """Errors of processes that make samples, as they are without PyTorch's traceback in them."""
    try:
        yield
    except (RompError, OSError) as error:
        kind, whole = type(error), str(error)
        if "in DataLoader worker process" not in whole:
            raise
        # The line of a traceback that begins with the error's name; the last, if it had causes.
        said = re.split(rf"^(?:\w+\.)*{kind.__name__}: ", whole, flags=re.MULTILINE)[-1]
        raise kind(said.strip()) from error


def _number(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None or text.isdecimal():
        return int(text) if text else None
    raise ConfigError(f"the environment says {name}={text!r}; expected a number, or unset it")
