"""Tracked people's bodies as TF frames."""

from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import QoSProfile
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from romp_core import People
from romp_core.body.joints import SMPL_JOINTS
from ros2_romp.human_joints import REP103_FROM_SMPL, body_id

_HIPS = [SMPL_JOINTS.index(name) for name in ("left_hip", "right_hip")]

TF_QOS = QoSProfile(depth=100)  # as tf2_ros has it


def body_frame(track_id: int) -> str:
    """Name of a person's TF frame (REP 155)."""
    return f"body_{body_id(track_id)}"


class BodyFrames:
    """Broadcasts where tracked people's bodies are.

    The frame has its origin midway between the hips, x forward, y left and z up (REP 155). Its
    parent is the frame of the image.

    Args:
        node: that broadcasts. The package tf2_msgs must be installed.
    """

    def __init__(self, node: Node):
        from tf2_msgs.msg import TFMessage  # not with the wheels of ROS 2

        self._node = node
        self._message = TFMessage
        self._publisher = node.create_publisher(TFMessage, "/tf", TF_QOS)

    def publish(self, people: People, header: Header) -> None:
        """Broadcast the frames of who has an id.

        Args:
            people: in the image's optical frame.
            header: of the image; without a frame_id nothing is broadcast, since every listener
                would complain of each transform.
        """
        if not header.frame_id:
            self._node.get_logger().warning("no TF: images have no frame_id", once=True)
            return
        tracked = people[people.track_ids > 0]
        if len(tracked):
            self._publisher.publish(self._message(transforms=body_transforms(tracked, header)))

    def destroy(self) -> None:
        """Take the publisher away."""
        self._node.destroy_publisher(self._publisher)


def body_transforms(people: People, header: Header) -> list[TransformStamped]:
    """Transforms from the bodies of people, who have ids, to the frame of their image."""
    rotations = Rotation.from_rotvec(people.pose[:, :3]) * Rotation.from_matrix(REP103_FROM_SMPL.T)
    between_hips = people.joints[:, _HIPS].mean(1, dtype=float)
    transforms = []
    for index, (origin, rotation) in enumerate(zip(between_hips, rotations.as_quat(), strict=True)):
        transform = TransformStamped(header=header)
        transform.child_frame_id = body_frame(people.track_ids[index])
        transform.transform.translation = Vector3(**dict(zip("xyz", origin.tolist(), strict=True)))
        transform.transform.rotation = Quaternion(
            **dict(zip("xyzw", rotation.tolist(), strict=True))
        )
        transforms.append(transform)
    return transforms
