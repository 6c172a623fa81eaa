"""Products with matrices that never change: nearly all of the body layer's work."""

from typing import Any

import torch
from torch import Tensor, nn

_WORTH_ARRANGING = 150_000
"""Numbers in a matrix above which its arrangement pays."""

_TOLERANCE = 1e-4


class FixedProduct(nn.Module):
    """(B, K) -> (B, N): rows @ matrix + offset.

    On a CPU and without gradients a large matrix, 18 MB with SMPL's pose directions, is arranged
    once as oneDNN's kernels read it: two to four times faster than rearranging it at every call,
    for as much memory again.

    Args:
        matrix: (K, N) float32.
        offset: (N,) float32; None: zero.
    """

    def __init__(self, matrix: Tensor, offset: Tensor | None = None):
        super().__init__()
        self.register_buffer("matrix", matrix, persistent=False)
        self.register_buffer("offset", offset, persistent=False)
        self._forget_arrangement()

    def forward(self, rows: Tensor) -> Tensor:
        """(B, K) -> (B, N)."""
        if torch.is_grad_enabled() or not self._can_arrange or not rows.is_cpu:
            return _product(rows, self.matrix, self.offset)
        if self._arranged is None:
            self._arrange()
            return self(rows)
        return _arranged_product(rows, self._arranged, self.offset)

    def _forget_arrangement(self) -> None:
        self._arranged: Tensor | None = None
        self._can_arrange = self.matrix.numel() > _WORTH_ARRANGING

    def _arrange(self) -> None:
        """Arrange the matrix, where this build of torch does that and does it right."""
        trial = torch.linspace(-1, 1, len(self.matrix)).to(self.matrix)[None]
        try:
            arranged = torch.ops.mkldnn._reorder_linear_weight(self.matrix.T.contiguous(), None)
            found = _arranged_product(trial, arranged, self.offset)
        except (AttributeError, RuntimeError):  # an operator of torch's own, not in every build
            self._can_arrange = False
            return
        expected = _product(trial, self.matrix, self.offset)
        self._can_arrange = torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE)
        self._arranged = arranged if self._can_arrange else None

    def _apply(self, *args: Any, **options: Any) -> nn.Module:
        module = super()._apply(*args, **options)
        self._forget_arrangement()  # device or type may be another from now on
        return module

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_arranged": None}  # which can neither be copied nor pickled


def _product(rows: Tensor, matrix: Tensor, offset: Tensor | None) -> Tensor:
    return rows @ matrix if offset is None else torch.addmm(offset, rows, matrix)


def _arranged_product(rows: Tensor, arranged: Tensor, offset: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(rows, arranged, offset, "none", [], "")
