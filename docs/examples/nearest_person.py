"""Says how far the nearest person is, whenever the node reports people.

Run it beside the node: python docs/examples/nearest_person.py
"""

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from ros2_romp.client import PeopleDecoder
from ros2_romp.msg import SmplPersonArray


class NearestPerson(Node):
    """Logs the distance from the camera to the nearest point of anybody's surface."""

    def __init__(self):
        super().__init__("nearest_person")
        self.decode = PeopleDecoder()
        self.create_subscription(SmplPersonArray, "/romp/people", self.on_people, 1)

    def on_people(self, message: SmplPersonArray) -> None:
        """Decode the message; the rest is NumPy."""
        people = self.decode(message)
        if len(people):
            distances = np.linalg.norm(people.vertices, axis=-1).min(1)
            nearest = distances.argmin()
            self.get_logger().info(
                f"{len(people)} people, the nearest at {distances[nearest]:.2f} m "
                f"(confidence {people.confidence[nearest]:.2f})"
            )
        else:
            self.get_logger().info("nobody is seen")


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(NearestPerson())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
