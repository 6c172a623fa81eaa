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


class MixerLayer(nn.Module):
    """A layer for a fixed number of tokens that first mixes tokens, then channels, each around a
    shortcut (Tolstikhin et al., MLP-Mixer, 2021)."""

    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.across = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.ReLU())
        self.across_back = nn.Linear(2 * tokens, tokens)
        self.within = ResidualLayer(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(*, tokens, width) -> (*, tokens, width)."""
        mixed = self.across_back(self.across(self.norm(x).transpose(-1, -2)))
        return self.within(x + mixed.transpose(-1, -2))
