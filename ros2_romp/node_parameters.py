"""Declares the parameters on a node, refuses wrong values, and keeps the current settings."""

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ros2_romp.parameters import FIELDS, Settings, refusal, rule_of


class NodeParameters:
    """Parameters of a node as `Settings`.

    A value that is wrong at the start is reported and replaced by the default, so that it does
    not end the node; a wrong one that is set later is refused.

    Args:
        node: where they are declared.
        may_reconfigure: whether parameters that are not live may change now.

    Attributes:
        current: the values now; replaced as a whole, so that any thread may read it.
    """

    def __init__(self, node: Node, may_reconfigure: Callable[[], bool]):
        self._node = node
        self._may_reconfigure = may_reconfigure
        self.current = Settings(**{name: self._declare(name) for name in FIELDS})
        node.add_pre_set_parameters_callback(_with_floats)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._adopt)

    def _declare(self, name: str) -> Any:
        default = FIELDS[name].default
        whole = self._whole_number(name)
        start, given = (default, False) if whole is None else (whole, True)
        try:
            value = self._node.declare_parameter(
                name, start, _descriptor(name), ignore_override=given
            ).value
            reason = refusal(name, value)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            self._node.declare_parameter(name, default, _descriptor(name), ignore_override=True)
            reason = str(error)
        if reason is None:
            return _plain(value)
        self._node.get_logger().error(f"{reason}; the node starts with the default {default!r}")
        self._node.set_parameters([Parameter(name, value=default)])
        return default

    def _whole_number(self, name: str) -> float | None:
        """The number that a parameter is given at the start as 70 in place of 70.0, if it is."""
        if not _is_float(name):
            return None
        of_any_type = ParameterDescriptor(dynamic_typing=True)
        value = self._node.declare_parameter(name, FIELDS[name].default, of_any_type).value
        self._node.undeclare_parameter(name)
        return float(value) if type(value) is int else None

    def _check(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            reason = self._refusal(parameter)
            if reason is not None:
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _refusal(self, parameter: Parameter) -> str | None:
        name, value = parameter.name, parameter.value
        if name not in FIELDS:
            return None
        reason = refusal(name, value)
        if reason is not None or rule_of(name).live or self._may_reconfigure():
            return reason
        if _plain(value) != getattr(self.current, name):  # `ros2 param load` sets all, as they are
            return (
                f"{name} is read when the node is configured: first `ros2 lifecycle set "
                f"{self._node.get_fully_qualified_name()} deactivate`, then cleanup"
            )
        return None

    def _adopt(self, parameters: Sequence[Parameter]) -> None:
        changed = {p.name: _plain(p.value) for p in parameters if p.name in FIELDS}
        self.current = Settings(**{**vars(self.current), **changed})


def _with_floats(parameters: Sequence[Parameter]) -> list[Parameter]:
    """The same parameters with 70.0 where 70 is given for it."""
    return [
        Parameter(parameter.name, value=float(parameter.value))
        if type(parameter.value) is int and _is_float(parameter.name)
        else parameter
        for parameter in parameters
    ]


def _is_float(name: str) -> bool:
    return name in FIELDS and isinstance(FIELDS[name].default, float)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _descriptor(name: str) -> ParameterDescriptor:
    rule = rule_of(name)
    descriptor = ParameterDescriptor(
        description=rule.description,
        read_only=rule.read_only,
        additional_constraints=f"one of {', '.join(rule.choices)}" if rule.choices else "",
    )
    if _is_float(name):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=rule.low, to_value=rule.high)
        ]
    elif rule.low is not None:
        descriptor.integer_range = [IntegerRange(from_value=rule.low, to_value=rule.high)]
    return descriptor
