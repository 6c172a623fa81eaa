"""Runs launch files as `ros2 launch` does, as far as ours go, and tells what they would start.

launch and launch_ros come with a ROS 2 installation only; the wheels have neither.
"""

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Context:
    """The configurations of one run, and the processes that it starts."""

    launch_configurations: dict
    processes: dict = field(default_factory=dict)


class Process:
    """Node or LifecycleNode: keeps its arguments."""

    def __init__(self, **options):
        self.options = options

    def execute(self, context):
        context.processes[self.options["executable"]] = SimpleNamespace(**self.options)


class LaunchDescription:
    def __init__(self, entities):
        self.entities = entities

    def execute(self, context):
        for entity in self.entities:
            entity.execute(context)


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str = ""

    def execute(self, context):
        if self.default_value is None:
            assert self.name in context.launch_configurations, f"{self.name} is required"
        context.launch_configurations.setdefault(self.name, self.default_value)


@dataclass
class SetLaunchConfiguration:
    name: str
    value: str

    def execute(self, context):
        context.launch_configurations[self.name] = self.value


@dataclass
class OpaqueFunction:
    function: object

    def execute(self, context):
        LaunchDescription(self.function(context)).execute(context)


@dataclass
class IncludeLaunchDescription:
    """Not a scope of its own: what it sets, the including file sees."""

    path: str

    def execute(self, context):
        spec = importlib.util.spec_from_file_location("launch_file", self.path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.generate_launch_description().execute(context)


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context):
        return context.launch_configurations[self.name]


MODULES = {
    "launch": {"LaunchDescription": LaunchDescription},
    "launch.actions": {
        each.__name__: each
        for each in (
            DeclareLaunchArgument,
            IncludeLaunchDescription,
            OpaqueFunction,
            SetLaunchConfiguration,
        )
    },
    "launch.launch_description_sources": {"PythonLaunchDescriptionSource": str},
    "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
    "launch_ros": {},
    "launch_ros.actions": {"LifecycleNode": Process, "Node": Process},
    "ament_index_python": {},
    "ament_index_python.packages": {"get_package_share_directory": lambda package: str(REPOSITORY)},
}


def launched(monkeypatch: pytest.MonkeyPatch, name: str, **arguments: str) -> dict:
    """The arguments of each process that launch/NAME.launch.py starts, by its executable."""
    for module_name, content in MODULES.items():
        module = ModuleType(module_name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module_name, module)
    context = Context({key: str(value) for key, value in arguments.items()})
    path = REPOSITORY / "launch" / f"{name}.launch.py"
    IncludeLaunchDescription(str(path)).execute(context)
    return context.processes
