"""Convolutions of our own (src/convolution.c): the fastest on CPUs where most layers are 3x3.

A network's layers are traced once. Convolutions then take along what follows them: a nearest
enlargement, a shortcut, a ReLU. For each shape of maps all of them are prepared with their memory,
where maps that nobody needs any more make room for others.
"""

import operator
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, fx, nn

from romp_core import compiled
from romp_core.errors import ConfigError
from romp_core.kept import Kept
from romp_core.network import RompNetwork
from romp_core.runtime.convolutions import (
    Convolution,
    best_lanes,
    has_avx512_bf16,
    is_possible,
)
from romp_core.runtime.dense import KEPT_SHAPES, DenseMaps, DenseNetwork


class CompiledRuntime:
    """The network with convolutions of the compiled module.

    Args:
        network: what is run; copied.
        precision: "float32", or "bfloat16" for what is multiplied; maps are float32 throughout.

    Raises:
        ConfigError: bfloat16 on a processor that does not multiply it.
    """

    name = "compiled"

    def __init__(self, network: RompNetwork, precision: str):
        if precision == "bfloat16" and not has_avx512_bf16():
            raise ConfigError(
                "runtime 'compiled' in bfloat16 needs a processor with AVX512-BF16: use "
                "precision 'float32' or 'auto'"
            )
        self.precision = precision
        self._dense = DenseNetwork(network)
        layers = self._dense.network
        # The backbone sees each picture in as many sizes as there are levels.
        kept = KEPT_SHAPES * network.config.levels
        _, backbone = layers.backbone  # behind a cast to float32
        layers.backbone = CompiledLayers(backbone, precision, kept)
        for name, head in layers.final_layers.items():
            layers.final_layers[name] = CompiledLayers(head, precision)

    @torch.inference_mode()
    def __call__(self, squares: Tensor) -> DenseMaps:
        """See `Runtime`."""
        return DenseMaps(*self._dense(squares))


class CompiledLayers(nn.Module):
    """Layers for inference, from one map to another.

    Args:
        layers: without batch norms. Weights of convolutions are copied.
        precision: see `CompiledRuntime`.
        kept: for so many shapes memory is kept.
    """

    def __init__(self, layers: nn.Module, precision: str, kept: int = KEPT_SHAPES):
        super().__init__()
        self._plan = Plan(layers, precision)
        self._programs: Kept[Program] = Kept(kept)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float32 -> (B, C', H', W'), overwritten by the next call of that shape."""
        return self._programs.get(x.shape, lambda: Program(self._plan, x))(x)


@dataclass(frozen=True)
class Step:
    """A convolution with what follows it, or any other operation.

    Attributes:
        node: its result's.
        image, shortcut: what a convolution reads.
        convolution: None: what the node says is done by torch.
    """

    node: fx.Node
    image: fx.Node | None = None
    shortcut: fx.Node | None = None
    convolution: Convolution | None = None

    @property
    def reads(self) -> list[fx.Node]:
        """The nodes whose results are read."""
        if self.convolution is None:
            return self.node.all_input_nodes
        return [node for node in (self.image, self.shortcut) if node is not None]


class _Tracer(fx.Tracer):
    """Looks into the layers of this package, and leaves those of others to torch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        others = not m.__module__.startswith(("torch.nn", "romp_core."))
        return others or super().is_leaf_module(m, module_qualified_name)


class Plan:
    """Layers as steps.

    Attributes:
        modules: those that torch's steps call, by name.
        constants: buffers of the layers, by node.
        input, output: nodes of what comes and leaves.
        steps: in their order.
    """

    def __init__(self, layers: nn.Module, precision: str):
        graph = _Tracer().trace(layers)
        self.modules = dict(layers.named_modules())
        self.input, *nodes, output = graph.nodes
        (self.output,) = output.all_input_nodes
        self.constants = {
            node: operator.attrgetter(node.target)(layers)
            for node in nodes
            if node.op == "get_attr"
        }
        self._precision, self._lanes = precision, best_lanes()
        self._in_place = {node for node in nodes if self._is_in_place(node)}
        self._order = {node: place for place, node in enumerate(nodes)}
        self._taken: set[fx.Node] = set()
        fused = {step.node: step for step in map(self._fused, nodes) if step is not None}
        self.steps = [
            fused[node] if node in fused else Step(node)
            for node in nodes
            if node in fused or node not in self._taken
        ]
        called = {step.node.target for step in self.steps if step.node.op == "call_module"}
        self.modules = {name: self.modules[name] for name in called}

    def _fused(self, node: fx.Node) -> Step | None:
        """The step of a convolution; None: it is none, or torch has to do it."""
        layer = self._layer(node)
        if not is_possible(layer) or len(node.args) != 1:
            return None
        chain, scale, shortcut = [node], 1, None
        chain += self._next(chain, lambda after: isinstance(self._layer(after), nn.Identity))
        enlarging = self._next(chain, lambda after: _scale(self._layer(after)) > 1)
        if enlarging:
            scale = _scale(self._layer(enlarging[0]))
            chain += enlarging
        adding = self._next(chain, lambda after: after.target is operator.add)
        if adding:
            others = [other for other in adding[0].args if other is not chain[-1]]
            if len(others) == 1 and isinstance(others[0], fx.Node):
                chain += adding
                shortcut = others[0]
        active = self._next(chain, lambda after: type(self._layer(after)) is nn.ReLU)
        chain += active
        self._taken.update(chain)
        convolution = Convolution(layer, self._precision, bool(active), scale, self._lanes)
        return Step(chain[-1], node.args[0], shortcut, convolution)

    def _next(self, chain: list[fx.Node], fits: Callable[[fx.Node], bool]) -> list[fx.Node]:
        """What alone reads the last node of a chain, if it fits and belongs to no other one.

        All of a chain is done where its last node stands: what it reads must not be changed before.
        """
        users = list(chain[-1].users)
        if len(users) != 1 or users[0] in self._taken or not fits(users[0]):
            return []
        first, last = self._order[chain[0]], self._order[users[0]]
        between = {node for node in self._in_place if first < self._order[node] < last}
        return [] if between - set(chain) else users

    def _is_in_place(self, node: fx.Node) -> bool:
        """Whether a node may change what it reads."""
        if node.op == "call_module":
            return getattr(self._layer(node), "inplace", False)
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        return name.rstrip("_") != name or name in ("iadd", "setitem") or "out" in node.kwargs

    def _layer(self, node: fx.Node) -> nn.Module | None:
        return self.modules[node.target] if node.op == "call_module" else None


def _scale(layer: nn.Module | None) -> int:
    """By how much a layer enlarges both sides by repeating cells; 0: it does something else."""
    if not isinstance(layer, nn.Upsample) or layer.mode != "nearest":
        return 0
    factor = layer.scale_factor
    return int(factor) if isinstance(factor, int | float) and factor == int(factor) else 0


def _fits(value: object, maps: Tensor) -> bool:
    """Whether (B, C, H, W) maps can be repeated to the shape of others, (B, H, W, C)."""
    if not isinstance(value, Tensor) or value.ndim != maps.ndim:
        return False
    sides = zip(value.permute(0, 2, 3, 1).shape, maps.shape, strict=True)
    return all(side in (1, whole) for side, whole in sides)


class Program:
    """A plan for maps of one shape, with all memory that convolutions need.

    Args:
        plan: what is done.
        x: (B, C, H, W) float32, the first maps; it is run with them.
    """

    def __init__(self, plan: Plan, x: Tensor):
        self._plan = plan
        self._threads = min(torch.get_num_threads(), compiled.library.MOST_THREADS)
        self._workspace = torch.empty(0)
        self._free: dict[int, list[Tensor]] = defaultdict(list)
        # (B, H, W, C) of convolutions and the input; (B, C, H, W) of all nodes.
        self._maps: dict[fx.Node, Tensor] = {}
        self._values: dict[fx.Node, Tensor] = {}
        # What torch reads may be seen through views later: it is never given to others.
        torchs = {node for step in plan.steps if not step.convolution for node in step.reads}
        self._last = {plan.output: None} | dict.fromkeys(torchs)
        for step in reversed(plan.steps):
            for node in step.reads:
                self._last.setdefault(node, step)
        batch, channels, height, width = x.shape
        self._keep(plan.input, self._memory((batch, height, width, channels)))
        self._values[plan.input].copy_(x)
        self._actions: list[Callable[[], object]] = []
        for step in plan.steps:
            self._prepare(step)

    def __call__(self, x: Tensor) -> Tensor:
        """See `CompiledLayers`."""
        self._values[self._plan.input].copy_(x)
        for action in self._actions:
            action()
        return self._values[self._plan.output]

    def _prepare(self, step: Step) -> None:
        """Append what does a step, having done it once."""
        if step.convolution is None:
            self._append(lambda: self._compute(step.node))
            return
        image = self._channels_last(step.image)
        shape = step.convolution.shape(image)
        shortcut = None if step.shortcut is None else self._channels_last(step.shortcut, shape)
        if shortcut is not None and self._last[step.shortcut] is step and shortcut is not image:
            result = shortcut
        else:
            result = self._memory(shape)
        needed = step.convolution.workspace(image, self._threads)
        if needed > self._workspace.numel():
            self._workspace = torch.empty(needed)
        self._append(step.convolution.call(image, shortcut, result, self._workspace, self._threads))
        for node in step.reads:
            if self._last[node] is step and node in self._maps:
                released = self._maps.pop(node)
                if released is not result:
                    self._free[released.numel()].append(released.view(-1))
        self._keep(step.node, result)

    def _append(self, action: Callable[[], object]) -> None:
        action()
        self._actions.append(action)

    def _channels_last(self, node: fx.Node, shape: tuple[int, ...] | None = None) -> Tensor:
        """A node's maps as (B, H, W, C), perhaps repeated to a shape, always at the same place."""
        if node in self._maps and shape in (None, self._maps[node].shape):
            return self._maps[node]
        maps = torch.empty(shape or self._values[node].permute(0, 2, 3, 1).shape)
        if not _fits(self._values[node], maps):
            raise ConfigError(
                f"{node} is added to maps of shape {tuple(maps.permute(0, 3, 1, 2).shape)}, which "
                "it does not fit: runtime 'compiled' cannot run these layers, 'torch' can"
            )
        self._append(lambda: maps.copy_(self._values[node].permute(0, 2, 3, 1)))
        return maps

    def _memory(self, shape: tuple[int, ...]) -> Tensor:
        """Memory for maps, perhaps some that others had."""
        free = self._free[prod(shape)]
        return free.pop().view(shape) if free else torch.empty(shape)

    def _keep(self, node: fx.Node, maps: Tensor) -> None:
        self._maps[node] = maps
        self._values[node] = maps.permute(0, 3, 1, 2)

    def _compute(self, node: fx.Node) -> None:
        """What torch does."""
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._values.__getitem__)
        if node.op == "get_attr":
            value = self._plan.constants[node]
        elif node.op == "call_module":
            value = self._plan.modules[node.target](*args, **kwargs)
        elif node.op == "call_method":
            value = getattr(args[0], node.target)(*args[1:], **kwargs)
        else:
            value = node.target(*args, **kwargs)
        self._values[node] = value
