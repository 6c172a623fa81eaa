"""One node for several cameras.

ros2 launch ros2_romp multi_camera.launch.py cameras:=front,rear

Camera NAME is heard on NAME/image and NAME/camera_info, with image:=image_raw on NAME/image_raw.
Without the argument the cameras are those that params_file names, else front and rear. Further
arguments go to romp.launch.py.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

ROMP = Path(get_package_share_directory("ros2_romp"), "launch", "romp.launch.py")


def generate_launch_description():
    """The base launch file with another default for the cameras."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "default_cameras",
                default_value="front,rear",
                description="the cameras where neither `cameras` nor params_file names any",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(ROMP))),
        ]
    )
