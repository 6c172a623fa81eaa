"""Talks to a running node as a robot would: images in, people out, parameters, lifecycle."""

from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ros2_romp.images import to_image
from ros2_romp.msg import SmplPersonArray

REPEAT_S = 1.0
"""Seconds after which an image that got no answer is sent again: best effort may lose it."""

REPEAT_CALL_S = 20.0
"""The same for services: the node may answer before its answers' reader is known to it."""


def picture(seed: int = 0, height: int = 96, width: int = 128) -> np.ndarray:
    """(H, W, 3) uint8 with detail at many scales, in which random networks see people."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 16, width // 16, 3))
    fine = generator.integers(-40, 40, (height, width, 3))
    return np.clip(coarse.repeat(16, 0).repeat(16, 1) + fine, 0, 255).astype(np.uint8)


class NodeDriver:
    """The other side of one node, called romp.

    Args:
        node: of the test.
        spin_until: as the fixture of that name.
        camera: whose topics to use.
        image_type: of its images.
        reliable: how images are published.
    """

    def __init__(
        self,
        node: Node,
        spin_until: Callable[[Callable[[], bool]], None],
        camera: str = "",
        image_type: type = Image,
        reliable: bool = True,
    ):
        self.node, self.spin_until = node, spin_until
        self.prefix = f"{camera}/" if camera else ""
        topic = f"{self.prefix}image" + "/compressed" * (image_type is CompressedImage)
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=5, reliability=reliability)
        self.images = node.create_publisher(image_type, topic, qos)
        self.infos = node.create_publisher(CameraInfo, f"{self.prefix}camera_info", qos)
        self.people: list[SmplPersonArray] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.listen(SmplPersonArray, "people", self.people.append)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._seconds = 1000

    def listen(self, message_type: type, name: str, callback: Callable, qos=10):
        """Subscribe to one of the node's results."""
        topic = f"/romp/{self.prefix}{name}"
        return self.node.create_subscription(message_type, topic, callback, qos)

    def ask(self, image: Image | CompressedImage | np.ndarray | None = None) -> SmplPersonArray:
        """Publish an image, (H, W, 3) BGR or a message, until its result comes; return that."""
        message = self.stamped(image)
        self.publish_until(message, lambda: self._answer_to(message) is not None)
        return self._answer_to(message)

    def stamped(self, image: Image | CompressedImage | np.ndarray | None = None):
        """A message with a stamp of its own."""
        image = picture() if image is None else image
        message = to_image(image) if isinstance(image, np.ndarray) else image
        self._seconds += 1
        message.header.stamp.sec, message.header.stamp.nanosec = self._seconds, 17
        message.header.frame_id = "camera_optical"
        return message

    def publish_until(self, message, condition: Callable[[], bool]) -> None:
        """Publish the same message again and again until the condition holds."""
        sent = -np.inf

        def publish_and_check() -> bool:
            nonlocal sent
            now = self.node.get_clock().now().nanoseconds * 1e-9
            if now - sent > REPEAT_S and self.images.get_subscription_count():
                self.images.publish(message)
                sent = now
            return condition()

        self.spin_until(publish_and_check)

    def _answer_to(self, message) -> SmplPersonArray | None:
        stamp = message.header.stamp
        return next((people for people in self.people if people.header.stamp == stamp), None)

    def call(self, service_type: type, name: str, request):
        """Answer of one of the node's services."""
        client = self.node.create_client(service_type, f"/romp/{name}")
        self.spin_until(client.service_is_ready)
        answers, sent = [], -np.inf

        def ask_and_check() -> bool:
            nonlocal sent
            now = self.node.get_clock().now().nanoseconds * 1e-9
            if now - sent > REPEAT_CALL_S:
                answers.append(client.call_async(request))
                sent = now
            return any(answer.done() for answer in answers)

        self.spin_until(ask_and_check)
        self.node.destroy_client(client)
        return next(answer.result() for answer in answers if answer.done())

    def set_parameter(self, name: str, value) -> SetParametersResult:
        """Set one parameter."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, "set_parameters", request).results[0]

    def get_parameter(self, name: str):
        """Value of one parameter."""
        answer = self.call(GetParameters, "get_parameters", GetParameters.Request(names=[name]))
        parameter = Parameter.Type(answer.values[0].type)
        message = Parameter(name, type_=Parameter.Type.NOT_SET).to_parameter_msg()
        message.value = answer.values[0]
        assert parameter is not Parameter.Type.NOT_SET
        return Parameter.from_parameter_msg(message).value

    def describe_parameter(self, name: str):
        """Descriptor of one parameter."""
        request = DescribeParameters.Request(names=[name])
        return self.call(DescribeParameters, "describe_parameters", request).descriptors[0]

    def change_state(self, label: str) -> bool:
        """Ask for a transition of the lifecycle; whether it succeeded."""
        request = ChangeState.Request(transition=Transition(label=label))
        return self.call(ChangeState, "change_state", request).success

    @property
    def state(self) -> str:
        """The lifecycle's state."""
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses = {status.name: status for status in message.status}

    def wait_for_status(
        self, name: str, condition: Callable[[DiagnosticStatus, dict[str, str]], bool]
    ) -> dict[str, str]:
        """Values of the first status of that name, published from now on, for which it holds."""
        self.statuses = {}
        values: dict[str, str] = {}

        def holds() -> bool:
            status = self.statuses.get(f"romp: {name}")
            if status is None:
                return False
            values.update((pair.key, pair.value) for pair in status.values)
            return condition(status, values)

        self.spin_until(holds)
        return values
