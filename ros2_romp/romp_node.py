"""The node `romp`: camera images in, people as SMPL bodies out."""

import itertools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ros2_romp.camera import Camera
from ros2_romp.command_line import wrong_ros_arguments
from ros2_romp.diagnostics import status
from ros2_romp.humans import Humans
from ros2_romp.middleware import make_room_for_images
from ros2_romp.node_parameters import NodeParameters
from ros2_romp.parameters import Settings
from ros2_romp.pipeline import Pipeline, SharedOutputs
from ros2_romp.predictor import Predictor, free_device_memory
from ros2_romp.transforms import BodyFrames
from ros2_romp.worker import Worker

DIAGNOSTICS_PERIOD = 1.0
STOP_TIMEOUT = 1.0
"""Seconds that a forward pass may still take when the process is told to end."""


class RompNode(LifecycleNode):
    """Wires cameras, model and worker along the lifecycle.

    Configured it holds the model and the topics of its results; active it listens to the cameras.
    The executor's thread only takes messages in; the worker's thread does everything else.
    """

    def __init__(self, **options):
        super().__init__("romp", **options)
        self._predictor: Predictor | None = None
        self._settings = NodeParameters(self, may_reconfigure=lambda: self._predictor is None)
        self._cameras: dict[str, Camera] = {}
        self._track_ids = itertools.count(1)  # of all cameras, and never again
        self._outputs = SharedOutputs()
        self._pipeline: Pipeline | None = None
        self._worker: Worker[bytes] | None = None
        self._failure = ""
        self._absence = "the node is not configured"
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Not the node's clock: a simulation may stand still, and that is worth reporting.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=steady)

    def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Answer also where a transition is impossible.

        Those of rclpy leave whoever names it by its number, such as Nav2's lifecycle manager, to
        wait for ever.
        """
        try:
            return self._change_state(request, response)
        except RCLError as error:
            self.get_logger().error(str(error))
            return ChangeState.Response(success=False)

    def start(self) -> None:
        """Configure and activate, unless the parameter `autostart` is false."""
        if (
            self._settings.current.autostart
            and self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        ):
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and announce the results' topics."""
        settings = self._settings.current
        self.get_logger().info(f"loading model {settings.model}, body {settings.body_model}")
        try:
            self._load(settings)
        except Exception as error:  # a wrong file, no such device, no memory: the node lives
            self._unload()
            self._failure = str(error)
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        return TransitionCallbackReturn.SUCCESS

    def _load(self, settings: Settings) -> None:
        """Each part is kept as soon as it is there, so that `_unload` finds it."""
        with _failing("the model cannot be loaded"):
            self._predictor = Predictor(settings)
        body = self._predictor.romp.body
        for name in settings.cameras:
            with _failing(f"the topics of camera {name!r} cannot be configured"):
                self._cameras[name] = Camera(
                    self, name, settings.image_transport, body, self._track_ids
                )
        if settings.publish_tf:
            with _failing("TF cannot be configured"):
                self._outputs = replace(self._outputs, frames=BodyFrames(self))
        if settings.publish_ros4hri:
            with _failing("ROS4HRI cannot be configured"):
                self._outputs = replace(self._outputs, humans=Humans(self, body))
        self._pipeline = Pipeline(
            self._predictor,
            self._cameras,
            self._outputs,
            lambda: self._settings.current,
            self.get_logger(),
        )

    def _unload(self) -> None:
        for camera in self._cameras.values():
            camera.destroy()
        self._cameras = {}
        self._outputs.destroy()
        self._outputs = SharedOutputs()
        self._pipeline = None
        self._predictor = None
        free_device_memory()

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras."""
        try:
            self._listen()
        except Exception as error:  # for one, a QoS override that does not exist: the node lives
            self._fall_silent()
            self._failure = f"the cameras cannot be listened to: {error}"
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        topics = ", ".join(camera.image_topic for camera in self._cameras.values())
        self.get_logger().info(f"listening to {topics} on {self._predictor.romp.device}")
        return TransitionCallbackReturn.SUCCESS

    def _listen(self) -> None:
        self._pipeline.start()
        self._worker = Worker(self._pipeline.process)
        self._worker.start()
        for camera in self._cameras.values():
            camera.start(lambda message, camera=camera: self._on_image(camera, message))

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more; the result under way is still published."""
        self._fall_silent()
        return TransitionCallbackReturn.SUCCESS

    def _fall_silent(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        self._pipeline.stop()
        self._outputs.clear()
        for camera in self._cameras.values():
            camera.stop()

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and take the topics away."""
        self._unload()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivate and cleanup."""
        if self._worker is not None:
            self.on_deactivate(state)
        self._unload()
        self._failure, self._absence = "", "the node was shut down"
        return TransitionCallbackReturn.SUCCESS

    def stop(self, timeout: float) -> bool:
        """Begin nothing more.

        Returns:
            Whether nothing runs any more after that many seconds.
        """
        return self._worker is None or (self._worker.stop(timeout) and self._pipeline.stop(timeout))

    def _on_image(self, camera: Camera, message: bytes) -> None:
        if self._worker is None:  # taken from the wire before the subscription was gone
            return
        camera.statistics.received()
        if self._worker.put(camera.name, message):
            camera.statistics.dropped()

    def _publish_diagnostics(self) -> None:
        name = self.get_fully_qualified_name().lstrip("/")
        array = DiagnosticArray(status=[status(f"{name}: model", *self._model_state())])
        array.header.stamp = self.get_clock().now().to_msg()
        if self._worker is not None:
            array.status += [
                camera.diagnose(f"{name}: camera {camera.name}".rstrip())
                for camera in self._cameras.values()
            ]
        self._diagnostics.publish(array)

    def destroy_node(self) -> None:
        """End everything that the node has.

        Lifecycle nodes of rclpy leave their own services, and these hold the middleware's shared
        memory: 17 MB in /dev/shm that would outlive even the process.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _model_state(self) -> tuple[bytes, str, dict[str, str]]:
        """Level, message and values of the model's status."""
        if self._failure:
            return DiagnosticStatus.ERROR, self._failure, {}
        if self._predictor is None:
            return DiagnosticStatus.OK, f"no model is loaded: {self._absence}", {}
        values = self._predictor.describe()
        if self._pipeline.overlay_problem:
            return DiagnosticStatus.WARN, f"no overlay: {self._pipeline.overlay_problem}", values
        return DiagnosticStatus.OK, "running" if self._worker else "not active", values


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Whatever fails inside says what it was about."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(f"{what}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the node until SIGINT or SIGTERM; ends the process with status 0."""
    # rclpy's own handlers wake the executor and then call this one, which also ends the loading of
    # a model.
    signal.signal(signal.SIGINT, interrupt_once)
    signal.signal(signal.SIGTERM, interrupt_once)
    make_room_for_images()
    try:
        rclpy.init(args=sys.argv if arguments is None else ["romp_node", *arguments])
    except RCLError as error:
        sys.exit(f"romp_node: {wrong_ros_arguments(error)}")
    node = None
    try:
        node = RompNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.start()
        spin(node, executor)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    if node is not None:
        node.stop(STOP_TIMEOUT)
        node.destroy_node()
    rclpy.try_shutdown()
    # Python's own end would take torch apart, which takes seconds, and would pull the interpreter
    # away from under a forward pass that still runs.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def interrupt_once(*_: object) -> None:
    """Signal handler; `ros2 launch` may send a second signal, which must not disturb the end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # Python complains where SIG_IGN meets a signal
    raise KeyboardInterrupt


def spin(node: RompNode, executor: SingleThreadedExecutor) -> None:
    """Handle callbacks until ROS shuts down."""
    while rclpy.ok():
        try:
            executor.spin_once()
        except RCLError as error:  # for one, an answer to somebody who is gone
            node.get_logger().error(str(error))


if __name__ == "__main__":
    main()
