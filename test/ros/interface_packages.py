"""Message packages that robots have and the wheels of ROS 2 lack, built for the tests.

The definitions below have the fields, and the order, of geometry2's tf2_msgs and of hri_msgs 2 of
ROS4HRI, so that what is tested is what those packages would exchange.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from colcon_workspace import colcon_build

PARTS = """
    NOSE NECK RIGHT_SHOULDER RIGHT_ELBOW RIGHT_WRIST LEFT_SHOULDER LEFT_ELBOW LEFT_WRIST
    RIGHT_HIP RIGHT_KNEE RIGHT_ANKLE LEFT_HIP LEFT_KNEE LEFT_ANKLE
    LEFT_EYE RIGHT_EYE LEFT_EAR RIGHT_EAR
"""
CONSTANTS = "".join(f"uint8 {name} = {number}\n" for number, name in enumerate(PARTS.split()))
POINTS = "NormalizedPointOfInterest2D[18] skeleton"

DEFINITIONS = {
    "tf2_msgs": {"TFMessage": "geometry_msgs/TransformStamped[] transforms"},
    "hri_msgs": {
        "IdsList": "std_msgs/Header header\nstring[] ids",
        "NormalizedPointOfInterest2D": "float32 x\nfloat32 y\nfloat32 c",
        "NormalizedRegionOfInterest2D": (
            "std_msgs/Header header\nfloat32 xmin\nfloat32 ymin\nfloat32 xmax\nfloat32 ymax\n"
            "float32 c"
        ),
        "Skeleton2D": "std_msgs/Header header\n" + CONSTANTS + POINTS,
    },
}
DEPENDENCIES = {"tf2_msgs": "geometry_msgs", "hri_msgs": "std_msgs"}

CMAKE = """\
cmake_minimum_required(VERSION 3.22)
project({package} LANGUAGES C CXX)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package({dependency} REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter Development.Module)
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES {dependency})
# The wheels' targets name header folders of the machine that they were made on.
get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
list(FILTER targets INCLUDE REGEX "__rosidl_generator_py$")
foreach(target IN LISTS targets)
  set_target_properties(${{target}} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
    "${{Python3_INCLUDE_DIRS}}")
endforeach()
ament_package()
"""

MANIFEST = """\
<package format="3">
  <name>{package}</name><version>0.0.0</version><description>For tests</description>
  <maintainer email="nobody@example.com">nobody</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>{dependency}</depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


def environment_with_packages(cache: Path) -> dict[str, str]:
    """Environment variables under which a process can import the packages.

    Args:
        cache: folder that keeps what was built.
    """
    missing = [package for package in DEFINITIONS if find_spec(package) is None]
    if not missing:
        return dict(os.environ)
    digest = hashlib.sha256(repr((DEFINITIONS, CMAKE, sys.version)).encode()).hexdigest()[:12]
    workspace = cache / digest
    if not (workspace / "built").exists():
        _build(workspace, missing)
        (workspace / "built").touch()
    line = f". {shlex.quote(str(workspace / 'install' / 'setup.bash'))} >&2 && env -0"
    found = subprocess.run(["bash", "-c", line], capture_output=True, check=True, text=True)
    return dict(entry.partition("=")[::2] for entry in found.stdout.split("\0") if entry)


def _build(workspace: Path, packages: list[str]) -> None:
    for package in packages:
        folder = workspace / "src" / package
        (folder / "msg").mkdir(parents=True, exist_ok=True)
        files = []
        for name, fields in DEFINITIONS[package].items():
            (folder / "msg" / f"{name}.msg").write_text(fields + "\n")
            files.append(f"msg/{name}.msg")
        words = {"package": package, "dependency": DEPENDENCIES[package]}
        (folder / "CMakeLists.txt").write_text(CMAKE.format(**words, files=" ".join(files)))
        (folder / "package.xml").write_text(MANIFEST.format(**words))
    colcon_build(workspace, "--merge-install")
