"""Fast DDS, ROS 2's usual middleware, set up for images. Needs no ROS."""

import os
from pathlib import Path

FAST_DDS_PROFILE = Path(__file__).with_name("fast_dds.xml")


def make_room_for_images() -> None:
    """Let this process exchange messages of megabytes with others on the same machine.

    Call it before `rclpy.init`. Whoever has set up Fast DDS otherwise keeps that.
    """
    if "FASTDDS_BUILTIN_TRANSPORTS" not in os.environ:
        os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(FAST_DDS_PROFILE))
