"""Fixtures of the ROS layer: real processes and real topics, heard by nobody else.

Every test gets a ROS_DOMAIN_ID of its own that no other test on this machine holds, also not one
of another run, and no packet leaves the loopback interface.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import rclpy
import torch
from domain_coordinator import domain_id
from interface_packages import environment_with_packages
from node_driver import NodeDriver
from processes import PATIENCE_S, PLAIN, free_shared_memory
from random_network import make_network
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from romp_core.checkpoints import write_checkpoint
from romp_core.network import NetworkConfig

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def shared_memory_is_freed() -> Iterator[None]:
    """Processes that tests kill leave their shared memory, 17 MB each."""
    yield
    free_shared_memory()


@pytest.fixture
def ros_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Environment variables, of this process too, with a ROS_DOMAIN_ID nobody else uses."""
    with domain_id() as own_domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(own_domain))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        # Processes import the source tree that the test stands in, as pytest itself does.
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
        yield dict(os.environ)


@pytest.fixture
def node(ros_environment: dict[str, str]) -> Iterator[Node]:
    """A node of the test process, in the test's own domain; spin it with `spin_until`."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def spin_until(node: Node) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """`spin_until(condition)` handles the node's callbacks until the condition holds."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin(condition: Callable[[], bool]) -> None:
        deadline = node.get_clock().now().nanoseconds + PATIENCE_S * 1e9
        while not condition():
            assert node.get_clock().now().nanoseconds < deadline, "nothing came"
            executor.spin_once(timeout_sec=0.05)

    yield spin
    executor.shutdown()


@pytest.fixture
def start_process(
    ros_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen]]:
    """`start_process(*arguments)` runs Python with them; what still runs at the end is killed.

    The working directory is not the source tree, and both outputs come together as text. Variables
    in `environment` join those of the test.
    """
    processes = []

    def start(
        *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env={**ros_environment, **(environment or {})},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def with_packages(pytestconfig) -> dict[str, str]:
    """Variables of processes that can import tf2_msgs and hri_msgs; built where missing."""
    found = environment_with_packages(pytestconfig.cache.mkdir("interface_packages"))
    names = ("AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
    packages = {name: found[name] for name in names if name in found}
    # As `ros_environment` has it: the source tree comes first.
    paths = [str(REPOSITORY), *packages.get("PYTHONPATH", "").split(os.pathsep)]
    return packages | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Random weights of a network that is quick on any machine."""
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    network = make_network(NetworkConfig("resnet18", input_size=128))
    center = network.final_layers["2"][-1]
    with torch.no_grad():  # confidences below 1, as trained networks have them
        center.weight.mul_(0.1)
        center.bias.fill_(0.2)
    write_checkpoint(path, network, root_align=True, body="open_body")
    return path


@pytest.fixture
def start_node(start_process, weights):
    """`start_node(name=value, ...)` runs the node with these parameters beside the weights."""

    def start(arguments=(), program=("-m", "ros2_romp.romp_node"), environment=None, **parameters):
        parameters = {"model": weights, **PLAIN, **parameters}
        settings = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
        return start_process(*program, "--ros-args", *settings, *arguments, environment=environment)

    return start


@pytest.fixture
def drive(node, spin_until):
    """`drive(...)` makes a `NodeDriver`."""
    return lambda *args, **options: NodeDriver(node, spin_until, *args, **options)
