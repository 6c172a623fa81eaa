"""What `pip install .` put into this environment, and what it refuses to build."""

import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import Distribution
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "cmake"))
import build_backend  # noqa: E402  # pip imports it from there, too


@pytest.fixture(scope="module")
def package() -> Distribution:
    """The installed package; setuptools leaves a second description in the source tree."""
    (found,) = Distribution.discover(name="ros2_romp", path=[sysconfig.get_path("platlib")])
    return found


def files_below(folder: Path) -> set[Path]:
    """Relative paths of files, without what Python caches beside its sources."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path for path in found if "__pycache__" not in path.parts}


def run_python(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_wheel_is_tagged_for_this_interpreter_and_platform(package):
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = re.sub("[-.]", "_", sysconfig.get_platform())
    assert f"Tag: {python}-{python}-{platform}" in package.read_text("WHEEL").splitlines()


def test_version_is_that_of_package_xml(package):
    assert f"<version>{package.version}</version>" in (REPOSITORY / "package.xml").read_text()


@pytest.mark.parametrize("name", ["romp_core", "ros2_romp"])
def test_every_file_of_the_source_tree_is_installed(package, name):
    installed = {Path(file) for file in package.files}
    missing = {name / file for file in files_below(REPOSITORY / name)} - installed
    assert not missing, "run `make test`, which installs what has changed"


def test_messages_are_installed_beside_the_nodes(package):
    installed = {Path(file) for file in package.files}
    assert {Path("ros2_romp/__init__.py"), Path("ros2_romp/msg/__init__.py")} <= installed


def test_the_compiled_part_of_the_body_is_installed(package):
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert Path(f"romp_core_compiled{suffix}") in {Path(file) for file in package.files}


def test_share_holds_what_ros_tools_look_for():
    prefix = Path(sysconfig.get_path("data"))
    share = prefix / "share/ros2_romp"
    assert (prefix / "share/ament_index/resource_index/packages/ros2_romp").is_file()
    assert (share / "package.xml").read_text() == (REPOSITORY / "package.xml").read_text()
    for folder in ("config", "launch", "msg"):
        assert files_below(REPOSITORY / folder) <= files_below(share / folder), folder


def test_rosdep_is_asked_for_nothing_that_ubuntu_has_not():
    keys = re.findall(r"<\w*depend>(.+)</", (REPOSITORY / "package.xml").read_text())
    # pip's keys fail where Python is managed by the system; torch has no package in Ubuntu 24.04.
    assert not [key for key in keys if key.endswith("-pip") or key == "python3-torch"]
    assert {"rclpy", "python3-numpy"} <= set(keys)


def test_workspaces_get_all_requirements_of_the_nodes():
    guide = (REPOSITORY / "docs" / "installation.md").read_text()
    commands = guide.partition("## With colcon")[2].split("```")[1]
    assert "pip install -r src/ros2_romp/requirements/runtime.txt" in commands


def test_both_build_systems_install_the_same_executables(package):
    cmake = (REPOSITORY / "CMakeLists.txt").read_text()
    launchers = dict(re.findall(r"^install_launcher\((\S+) (\S+)\)", cmake, re.MULTILINE))
    assert launchers
    scripts = {entry.name: entry.value for entry in package.entry_points}
    assert scripts == {name: f"ros2_romp.start:{function}" for name, function in launchers.items()}


@pytest.mark.parametrize("name", ["image_player", "romp-core"])
def test_console_script_prints_its_help(name, tmp_path):
    script = Path(sysconfig.get_path("scripts"), name)
    result = run_python(str(script), "--help", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")


@pytest.mark.parametrize("name", ["image_player", "romp-core"])
def test_ros2_run_finds_the_executables(name, tmp_path):
    # Where `ros2 run` and launch files look; not with the environment on PATH.
    program = Path(sysconfig.get_path("data"), "lib/ros2_romp", name)
    result = subprocess.run(
        [program, "--help"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")


@pytest.mark.parametrize("where", ["source tree", "elsewhere"])
def test_messages_are_found_from_everywhere(where, tmp_path):
    folder = REPOSITORY if where == "source tree" else tmp_path
    code = (
        "import ros2_romp.image_player, ros2_romp.msg\n"
        "from rclpy.serialization import serialize_message\n"
        "serialize_message(ros2_romp.msg.SmplPersonArray())\n"
        "print(ros2_romp.image_player.__file__, ros2_romp.msg.__file__, sep='\\n')"
    )
    result = run_python("-c", code, folder=folder)
    assert result.returncode == 0, result.stderr
    module, messages = map(Path, result.stdout.splitlines())
    installed = Path(sysconfig.get_path("platlib"))
    assert module.parent == (folder if where == "source tree" else installed) / "ros2_romp"
    assert messages.parent == installed / "ros2_romp/msg"


def test_a_sourced_ros_takes_the_place_of_the_wheels(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    for purpose, wheel in (("runtime", "ros-jazzy-rclpy"), ("build", "ros-jazzy-ament-cmake")):
        assert any(line.startswith(wheel) for line in build_backend.requirements(purpose))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    for purpose in ("runtime", "build"):
        lines = build_backend.requirements(purpose)
        assert lines
        assert not any(line.startswith("ros-") for line in lines)


def test_machines_without_wheels_are_told_to_source_a_ros(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(SystemExit, match="this is aarch64 linux: source a ROS 2"):
        build_backend.get_requires_for_build_wheel()


def test_building_without_a_compiler_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "cmake"), prepend=os.pathsep)
    monkeypatch.setenv("CXX", "no-such-compiler")
    result = run_python("setup.py", "-q", "build", "-b", str(tmp_path), folder=REPOSITORY)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: the messages need a C and C++ compiler and no-such-compiler was not found: "
        "run `apt-get install g++`, or set CC and CXX"
    )
