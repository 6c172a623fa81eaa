"""A process that waits for one SmplPersonArray on `people` and writes what came to a .npz file."""

import sys

import numpy as np
import rclpy
from people_contents import contents
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.wait_for_message import wait_for_message

from ros2_romp.msg import SmplPersonArray

rclpy.init()
node = rclpy.create_node("people_listener")
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_, message = wait_for_message(SmplPersonArray, node, "people", qos_profile=latched)
np.savez(sys.argv[1], **contents(message))
node.destroy_node()
rclpy.shutdown()
