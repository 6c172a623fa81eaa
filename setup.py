"""Builds the wheel. CMake does the work, as under colcon; this packs what CMake installs."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from pathlib import Path

from build_backend import ROOT, requirements, ros_is_sourced
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, SetupError

PYTHON_FOLDER = "python"  # where CMake puts importable packages below its install prefix


class CMakeBuild(build_ext):
    """Runs CMakeLists.txt; its Python packages become the wheel's, all else its data files."""

    def run(self) -> None:
        """Fill build_lib and data_files, from which setuptools makes the wheel."""
        if self.editable_mode:
            raise SetupError(
                "an editable install cannot hold the generated messages: "
                "use `pip install .`, or `make test`, which installs again after every change"
            )
        installed = Path(self.build_temp, "install").resolve()
        run_cmake(Path(self.build_temp, "cmake").resolve(), installed)
        shutil.rmtree(self.build_lib, ignore_errors=True)
        shutil.copytree(
            installed / PYTHON_FOLDER,
            self.build_lib,
            ignore=shutil.ignore_patterns("*.c", "*.egg-info", "__pycache__"),
        )
        self.distribution.data_files = data_files(installed)


def run_cmake(build: Path, prefix: Path) -> None:
    """Configures, builds and installs below `prefix`, reusing `build` where it still fits."""
    for variable, command in (("CC", "cc"), ("CXX", "c++")):
        compiler = os.environ.get(variable, command)
        if not shutil.which(compiler.split()[0]):
            raise CompileError(
                f"the messages need a C and C++ compiler and {compiler} was not found: "
                "run `apt-get install g++`, or set CC and CXX"
            )
    prefixes = ros_prefixes()
    underlay = ";".join(prefixes)
    cache = build / "CMakeCache.txt"
    # pip's isolated environments lie somewhere else each time, and the cache is full of paths.
    if cache.exists() and f"CMAKE_PREFIX_PATH:UNINITIALIZED={underlay}\n" not in cache.read_text():
        shutil.rmtree(build)
    shutil.rmtree(prefix, ignore_errors=True)  # files that are no longer installed
    configure = [
        *("-S", ROOT, "-B", build, "-G", "Ninja"),
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DCMAKE_PREFIX_PATH={underlay}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DPYTHON_INSTALL_DIR={PYTHON_FOLDER}",
        "-DCONSOLE_SCRIPTS=ON",
    ]
    environment = build_environment(prefixes)
    for arguments in (configure, ["--build", build], ["--install", build]):
        if subprocess.run(["cmake", *arguments], env=environment).returncode:
            raise CompileError("CMake failed; its own message stands above")


def build_environment(prefixes: list[str]) -> dict[str, str]:
    """Environment variables under which CMake and the generators of ROS 2 find their parts."""
    # pip's isolation takes PYTHONPATH away from a sourced ROS 2, and --no-build-isolation does
    # not put the environment's own tools on PATH.
    site_packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    additions = {
        "AMENT_PREFIX_PATH": prefixes,
        "PATH": [sysconfig.get_path("scripts"), *(f"{prefix}/bin" for prefix in prefixes)],
        "PYTHONPATH": [f"{prefix}/{site_packages}" for prefix in prefixes],
    }
    environment = dict(os.environ)
    for name, folders in additions.items():
        present = environment.get(name, "").split(os.pathsep)
        environment[name] = os.pathsep.join(filter(None, [*folders, *present]))
    return environment


def ros_prefixes() -> list[str]:
    """The folders that ROS 2 is installed in: those that were sourced, or that of its wheels."""
    if ros_is_sourced():
        return os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)
    generator = importlib.util.find_spec("rosidl_adapter")
    if generator is None:
        raise SetupError(
            "neither a sourced ROS 2 nor its wheels were found: source /opt/ros/DISTRO/setup.bash, "
            "or run `pip install -r requirements/build.txt -r requirements/ros-build.txt`, "
            "which exist for CPython 3.10 to 3.13"
        )
    # PREFIX/lib/pythonX.Y/site-packages/rosidl_adapter/__init__.py
    return [str(Path(generator.origin).parents[4])]


def data_files(installed: Path) -> list[tuple[str, list[str]]]:
    """Libraries, headers and share/ as (folder below the environment, files) pairs."""
    folders = defaultdict(list)
    for file in sorted(path for path in installed.rglob("*") if path.is_file()):
        folder = file.relative_to(installed).parent
        # parent_prefix_path names folders of the machine that built the wheel.
        if folder.parts[0] != PYTHON_FOLDER and folder.name != "parent_prefix_path":
            folders[str(folder)].append(os.path.relpath(file, ROOT))
    return list(folders.items())


setup(
    version=re.search(r"<version>(.+)</version>", (ROOT / "package.xml").read_text())[1],
    install_requires=requirements("runtime"),
    packages=[],
    # Without sources, but it makes setuptools run the command and tag the wheel for the platform.
    ext_modules=[Extension("ros2_romp.msg", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
)
