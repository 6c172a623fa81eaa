"""Player, node and RViz.

ros2 launch ros2_romp demo.launch.py source:=people.mp4

Further arguments go to romp.launch.py, except cameras: the player is a single one.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory("ros2_romp"))
FRAME = "camera"
"""Fixed frame of the view in RViz."""


def generate_launch_description():
    """The node as in romp.launch.py, then what it hears and what shows its results."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source", description="image, folder, video, rosbag2 or webcam number"
            ),
            DeclareLaunchArgument("rviz", default_value="true", description="whether to show RViz"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "romp.launch.py"))
            ),
            OpaqueFunction(function=start_player_and_view),
        ]
    )


def start_player_and_view(context):
    """Both on the topics that the node has; the player waits until somebody listens."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    image, namespace = value("image"), value("namespace").strip("/")
    top = f"/{namespace}" if namespace else ""
    options = ["--compressed"] if value("image_transport_in_use") == "compressed" else []
    if value("horizontal_fov_deg"):
        options += ["--horizontal-fov-deg", value("horizontal_fov_deg")]
    player = Node(
        package="ros2_romp",
        executable="image_player",
        namespace=namespace,
        remappings=[("image", image)],
        arguments=[
            *(value("source"), "--loop", "--wait-for-subscriber", "--frame-id", FRAME),
            *options,
        ],
        output="screen",
    )
    if value("rviz").lower() not in ("true", "1"):
        return [player]
    results = f"{top}/{value('name')}"
    view = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "config" / "romp.rviz")],
        remappings=[
            ("/image", image if image.startswith("/") else f"{top}/{image}"),
            *((f"/romp/{name}", f"{results}/{name}") for name in ("markers", "overlay")),
        ],
    )
    return [player, view]
