"""Builds workspaces with the ROS 2 of this environment: sourced, or its wheels."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def colcon_build(folder: Path, *options: str | Path) -> None:
    """`colcon build` in a folder, which must succeed.

    Args:
        folder: the workspace.
        options: further ones of `colcon build`.
    """
    environment = dict(os.environ, PATH=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    if "ROS_DISTRO" not in environment:
        environment.update(AMENT_PREFIX_PATH=sys.prefix, CMAKE_PREFIX_PATH=sys.prefix)
    build = subprocess.run(
        ["colcon", "build", *options, "--event-handlers", "console_direct+"]
        + ["--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
