"""`colcon build` on top of a ROS 2 that is already there gives a package that runs."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from colcon_workspace import colcon_build

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace built with the ROS 2 of this environment: sourced, or its wheels."""
    folder = tmp_path_factory.mktemp("workspace")
    colcon_build(folder, "--base-paths", REPOSITORY)
    return folder


def in_workspace(workspace: Path, *command: str | Path) -> str:
    """Output of a command in a shell that has sourced the workspace."""
    line = f". install/setup.bash && {shlex.join(map(str, command))}"
    result = subprocess.run(["bash", "-c", line], cwd=workspace, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("executable", ["image_player", "people_recorder", "romp-core"])
def test_executable_prints_its_help(workspace, executable):
    program = workspace / "install/ros2_romp/lib/ros2_romp" / executable
    assert "usage: " in in_workspace(workspace, program, "--help")


def test_messages_and_modules_come_from_the_workspace(workspace):
    code = (
        "import ros2_romp.msg, romp_core, romp_core_compiled\n"
        "from rclpy.serialization import deserialize_message, serialize_message\n"
        "message = ros2_romp.msg.SmplPersonArray(people=[ros2_romp.msg.SmplPerson(track_id=7)])\n"
        "copy = deserialize_message(serialize_message(message), type(message))\n"
        "modules = ros2_romp.msg, romp_core, romp_core_compiled\n"
        "print(copy.people[0].track_id, *(module.__file__ for module in modules), sep='\\n')"
    )
    track_id, *files = in_workspace(workspace, sys.executable, "-c", code).splitlines()
    assert track_id == "7"
    assert all(Path(file).is_relative_to(workspace / "install") for file in files), files


@pytest.mark.parametrize("package", ["romp_core", "ros2_romp"])
def test_python_packages_are_complete(workspace, package):
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    installed = workspace / "install/ros2_romp/lib" / python / "site-packages" / package
    assert not relative_files(REPOSITORY / package) - relative_files(installed)


@pytest.mark.parametrize("folder", ["launch", "config"])
def test_share_holds_the_files_of_the_source_tree(workspace, folder):
    installed = workspace / "install/ros2_romp/share/ros2_romp"
    assert (installed / "package.xml").is_file()
    assert relative_files(installed / folder) == relative_files(REPOSITORY / folder)


def relative_files(folder: Path) -> set[Path]:
    """Files below a folder, without what Python caches beside its sources."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder) for path in files if "__pycache__" not in path.parts}
