"""Layers that work on people's numbers instead of pictures."""

from torch import Tensor, nn


class ResidualLayer(nn.Module):
    """x + W2 relu(W1 norm(x))."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(*, width) -> (*, width)."""
        return x + self.project(self.expand(self.norm(x)).relu())


def residual_layers(width: int, count: int) -> nn.Sequential:
    """So many residual layers, one after the other."""
    return nn.Sequential(*(ResidualLayer(width) for _ in range(count)))


def silent_linear(width: int, channels: int) -> nn.Linear:
    """A layer that answers zero until it learns."""
    layer = nn.Linear(width, channels)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
