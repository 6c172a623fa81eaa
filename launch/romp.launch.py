"""The node with an argument for each common parameter.

ros2 launch ros2_romp romp.launch.py image:=/camera/color/image_raw
"""

import os
import re
from pathlib import Path, PurePosixPath

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetLaunchConfiguration
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

PARAMETERS = {
    "model": (str, "network weights: 'open', or the path of a weights file"),
    "body_model": (str, "body: 'open', or the path of an SMPL file"),
    "device": (str, "cpu, cuda, ...; auto takes a GPU where there is one"),
    "runtime": (str, "what runs the network; auto takes the fastest that is exact enough"),
    "input_size": (int, "side in pixels of the network's input; 0: that of the weights"),
    "precision": (str, "of the network; auto takes the fastest that is exact enough"),
    "cameras": (list, "front,rear or [front, rear]: names, each the prefix of a camera's topics"),
    "image_transport": (str, "raw or compressed"),
    "center_threshold": (float, "confidence that a person must exceed"),
    "max_people": (int, "at most so many people per image"),
    "horizontal_fov_deg": (float, "field of view in degrees, used until camera_info comes"),
    "rectified": (bool, "whether images are rectified: camera_info's P counts, else K and D"),
    "max_depth_delay": (float, "seconds that an image and its depth may lie apart"),
    "tracking": (bool, "whether people get ids that last"),
    "smoothing": (float, "how much jitter is taken out of motion, 0 (none) to 1"),
    "max_image_age": (float, "images older than so many seconds are left out; 0: none"),
    "publish_vertices": (bool, "whether people carry their mesh vertices"),
    "publish_markers": (bool, "whether markers go to those who subscribe"),
    "publish_tf": (bool, "whether tracked bodies are broadcast as TF frames"),
    "publish_ros4hri": (bool, "whether tracked people are published as ROS4HRI has them"),
    "autostart": (bool, "whether the node configures and activates itself"),
    "use_sim_time": (bool, "whether time comes from /clock"),
}
"""Type and meaning; given on the command line, they win over the parameter file."""

NO_PREFIX = [""]
"""The cameras where none is named: a single one, whose topics have no prefix."""

BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

OTHERS = {
    "namespace": ("", "namespace of the node and its topics"),
    "name": ("romp", "name of the node"),
    "image": ("image", "image topic; with cameras below each of their names"),
    "camera_info": ("", "its camera_info; by default the one beside the image"),
    "depth": ("", "depth registered to the image; by default `depth` beside the image"),
    "params_file": (
        str(Path(get_package_share_directory("ros2_romp"), "config", "romp.yaml")),
        "parameter file",
    ),
    "default_cameras": ("", "the cameras where neither `cameras` nor params_file names any"),
    "log_level": ("info", "debug, info, warn or error"),
}


def generate_launch_description():
    """Arguments, then the node under their values."""
    arguments = [
        *((name, "", meaning) for name, (_, meaning) in PARAMETERS.items()),
        *((name, default, meaning) for name, (default, meaning) in OTHERS.items()),
    ]
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])


def start_node(context):
    """The node; what is left empty is left to the parameter file."""
    values = {name: LaunchConfiguration(name).perform(context) for name in (*PARAMETERS, *OTHERS)}
    given = {
        name: convert(values[name], kind) for name, (kind, _) in PARAMETERS.items() if values[name]
    }
    values["params_file"] = os.path.expanduser(values["params_file"])
    of_file = parameters_of_file(values["params_file"], full_name(context, values))
    cameras = given.get("cameras") or cameras_of(of_file)
    if cameras == NO_PREFIX and values["default_cameras"]:
        cameras = given["cameras"] = convert(values["default_cameras"], list)
    transport = given.get("image_transport") or of_file.get("image_transport", "raw")
    return [
        # For who plays images to the node.
        SetLaunchConfiguration("image_transport_in_use", str(transport)),
        LifecycleNode(
            package="ros2_romp",
            executable="romp_node",
            name=values["name"],
            namespace=values["namespace"],
            parameters=[values["params_file"], given],
            remappings=topics(cameras, values),
            arguments=["--ros-args", "--log-level", values["log_level"]],
            output="screen",
        ),
    ]


def cameras_of(parameters):
    """Names of the cameras; of wrong ones the node makes its default, too."""
    names = parameters.get("cameras")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return NO_PREFIX
    return names or NO_PREFIX


def full_name(context, values):
    """The node's name with its namespace, also where another launch file has pushed one."""
    pushed = context.launch_configurations.get("ros_namespace", "")
    return str(PurePosixPath("/", pushed, values["namespace"], values["name"]))


def parameters_of_file(path, node):
    """What a parameter file says about a node; as ROS reads it, what comes later wins."""
    found = {}
    for name, parameters in sections(yaml.safe_load(Path(path).read_text())):
        # A word with * stands for one part of the node's name, one with ** for any number of them.
        words = {"*": r"/\w+", "**": r"(/\w+)*"}
        pattern = "".join(words.get(part, "/" + re.escape(part)) for part in name)
        if re.fullmatch(pattern, node):
            found.update(parameters)
    return found


def sections(content, name=()):
    """The nodes of a parameter file, each by the parts of its name, and their parameters."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == "ros__parameters":
            yield name, value or {}
        else:
            yield from sections(value, (*name, *str(key).strip("/").split("/")))


def topics(cameras, values):
    """Where each camera's topics are; the node itself finds those beside the image."""
    given = {name: values[name] for name in ("image", "camera_info", "depth") if values[name]}
    return [
        (f"{camera}/{name}", f"{camera}/{topic.lstrip('/')}") if camera else (name, topic)
        for camera in cameras
        for name, topic in given.items()
    ]


def names(text):
    """Words of a list, written as front,rear or, as in a parameter file, [front, rear]."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)  # all words stay words
    except yaml.YAMLError as error:
        raise ValueError(f"{text!r} is no list; expected front,rear or [front, rear]") from error
    return found or NO_PREFIX


def convert(text, kind):
    """The value that a parameter of this type has for a word of the command line."""
    if kind is list:
        return names(text)
    if kind is bool:
        if text.lower() not in BOOLEANS:
            raise ValueError(f"{text!r} is neither true nor false")
        return BOOLEANS[text.lower()]
    return kind(text)
