"""Memory that is used again and again."""

import math
from typing import Any

import torch
from torch import Tensor


class Reserve:
    """Memory of one kind that only ever grows: once it has seen the largest need, nothing is
    allocated any more, in whatever order larger and smaller needs come.

    Args:
        kind: dtype, device and `pin_memory`, as `torch.empty` takes them.
    """

    def __init__(self, **kind: Any):
        self._kind = kind
        self._memory: Tensor | None = None

    def take(self, *shape: int) -> Tensor:
        """The memory in a shape, holding what it held last; the next call gives the same memory."""
        count = math.prod(shape)
        if self._memory is None or len(self._memory) < count:
            self._memory = torch.empty(count, **self._kind)
        return self._memory[:count].view(shape)
