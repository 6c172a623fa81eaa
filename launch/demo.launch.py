"""Player, node and RViz.

ros2 launch ros2_romp demo.launch.py source:=people.mp4

Further arguments go to romp.launch.py.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("ros2_romp"))


def generate_launch_description():
    """The player waits for the node, so that its first frames are not lost."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source", description="image, folder, video, rosbag2 or webcam number"
            ),
            DeclareLaunchArgument("rviz", default_value="true", description="whether to show RViz"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "romp.launch.py"))
            ),
            Node(
                package="ros2_romp",
                executable="image_player",
                arguments=[LaunchConfiguration("source"), "--loop", "--wait-for-subscriber"],
                output="screen",
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", str(SHARE / "config" / "romp.rviz")],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
