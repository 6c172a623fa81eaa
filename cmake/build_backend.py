"""setuptools as pip's build backend, with build requirements that depend on the environment.

Where a ROS 2 is sourced the package is built with it and runs on it. Elsewhere both come as
wheels from the package index.
"""

import os
import platform
import sys
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # pip calls the other hooks by name

ROOT = Path(__file__).resolve().parents[1]


def ros_is_sourced() -> bool:
    """True in a shell that has run the setup script of a ROS 2 installation."""
    return bool(os.environ.get("ROS_DISTRO") and os.environ.get("AMENT_PREFIX_PATH"))


def requirements(purpose: str) -> list[str]:
    """The lines of requirements/PURPOSE.txt and, without a sourced ROS 2, ros-PURPOSE.txt."""
    names = [purpose] if ros_is_sourced() else [purpose, f"ros-{purpose}"]
    texts = [(ROOT / "requirements" / f"{name}.txt").read_text() for name in names]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def get_requires_for_build_wheel(config_settings=None) -> list[str]:
    """What pip installs into the build environment (PEP 517).

    Raises:
        SystemExit: there are no ROS 2 wheels for this machine; says so before pip looks for them.
    """
    machine = f"{platform.machine()} {sys.platform}"
    if not ros_is_sourced() and machine != "x86_64 linux":
        raise SystemExit(
            f"ROS 2 wheels exist for x86_64 linux, and this is {machine}: "
            "source a ROS 2 (source /opt/ros/DISTRO/setup.bash) and run the same command again"
        )
    return build_meta.get_requires_for_build_wheel(config_settings) + requirements("build")
