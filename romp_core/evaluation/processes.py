"""Several processes that share an evaluation, as torchrun starts them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

_LONGEST_WAIT = timedelta(days=7)  # for the slowest process's share


@dataclass(frozen=True)
class Processes:
    """This process among its siblings.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        local_rank: its number on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    def started(cls) -> "Processes":
        """What torchrun said in the environment; else a single process."""
        count = int(os.environ.get("WORLD_SIZE", 1))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=_LONGEST_WAIT)
        return cls(int(os.environ["RANK"]), count, int(os.environ["LOCAL_RANK"]))

    @property
    def part(self) -> tuple[int, int]:
        """Rank and count."""
        return self.rank, self.count

    def device(self, asked: str | None) -> str | None:
        """The device asked for, or a GPU for each process of a machine."""
        if asked is None and self.count > 1 and torch.cuda.is_available():
            return f"cuda:{self.local_rank % torch.cuda.device_count()}"
        return asked

    def wait(self) -> None:
        """Until all processes are here."""
        self.gather([])

    def gather(self, value: Sequence[Any]) -> list[Any]:
        """What all processes hold, one list after the other."""
        if self.count == 1:
            return list(value)
        lists: list[Any] = [None] * self.count
        distributed.all_gather_object(lists, list(value))
        return [entry for part in lists for entry in part]

    def close(self) -> None:
        """Leave the siblings."""
        if self.count > 1:
            distributed.destroy_process_group()
