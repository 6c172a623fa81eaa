"""The node's lifecycle: by hand, with models that cannot be loaded, and its end."""

import signal
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from processes import finish, shared_memory


def test_lifecycle_by_hand(start_node, drive, weights):
    start_node(autostart=False)
    driver = drive()
    assert driver.state == "unconfigured"
    assert driver.change_state("configure")
    assert driver.state == "inactive"
    assert driver.images.get_subscription_count() == 0
    for _ in range(2):
        assert driver.change_state("activate")
        assert driver.ask().people
        assert driver.change_state("deactivate")
    driver.spin_until(lambda: driver.images.get_subscription_count() == 0)
    assert not driver.set_parameter("cameras", ["front"]).successful
    assert driver.change_state("cleanup")
    assert driver.set_parameter("cameras", ["front"]).successful
    assert driver.change_state("configure")
    assert driver.change_state("activate")
    assert drive("front").ask().people
    assert driver.change_state("shutdown") or driver.state == "finalized"
    driver.wait_for_status("model", lambda s, _: "the node was shut down" in s.message)


def test_impossible_transition_does_not_end_the_node(start_node, drive):
    start_node()
    driver = drive()
    driver.ask()
    assert not driver.change_state("configure")
    # By its number, as Nav2's lifecycle manager asks.
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    assert not driver.call(ChangeState, "change_state", request).success
    assert driver.ask().people


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"model": "absent.pkl"}, "absent.pkl does not exist"),
        ({"body_model": "absent.npz"}, "absent.npz does not exist"),
        ({"device": "toaster"}, "'toaster' cannot be used"),
    ],
)
def test_model_that_cannot_be_loaded_is_an_error_and_can_be_mended(
    start_node, drive, weights, parameters, reason
):
    start_node(**parameters)
    driver = drive()
    driver.wait_for_status(
        "model", lambda s, _: s.level == DiagnosticStatus.ERROR and reason in s.message
    )
    assert driver.state == "unconfigured"
    good = {"model": str(weights), "body_model": "open", "device": "cpu"}
    for name in parameters:
        assert driver.set_parameter(name, good[name]).successful
    assert driver.change_state("configure")
    assert driver.change_state("activate")
    assert driver.ask().people
    values = driver.wait_for_status("model", lambda s, _: s.level == DiagnosticStatus.OK)
    assert "128x128 pixels" in values["network"]


def test_output_that_cannot_be_configured_is_named_and_leaves_no_topic(
    start_node, drive, with_packages, tmp_path
):
    (tmp_path / "hri_msgs").mkdir()
    for name in ("__init__.py", "msg.py"):  # of another version
        (tmp_path / "hri_msgs" / name).touch()
    environment = {**with_packages, "PYTHONPATH": f"{tmp_path}:{with_packages['PYTHONPATH']}"}
    start_node(environment=environment, publish_tf=True, publish_ros4hri=True)
    driver = drive()
    reason = "ROS4HRI cannot be configured: cannot import name 'IdsList'"
    driver.wait_for_status("model", lambda s, _: s.message.startswith(reason))
    driver.spin_until(lambda: driver.node.count_publishers("/tf") == 0)
    for name in ("publish_ros4hri", "publish_tf"):
        assert driver.set_parameter(name, False).successful
    assert driver.change_state("configure")
    driver.wait_for_status("model", lambda s, _: s.level == DiagnosticStatus.OK)
    assert driver.node.count_publishers("/tf") == 0


def test_cameras_that_cannot_be_listened_to_are_an_error(start_node, drive):
    start_node(**{"qos_overrides./image.subscription.reliability": "besteffort"})
    driver = drive()
    driver.wait_for_status(
        "model",
        lambda s, _: s.level == DiagnosticStatus.ERROR and "cannot be listened to" in s.message,
    )
    assert driver.state == "inactive"
    assert driver.change_state("cleanup")


@pytest.mark.parametrize("numbers", [[signal.SIGINT] * 2, [signal.SIGTERM, signal.SIGINT]])
def test_signals_end_the_node_cleanly(start_node, drive, numbers):
    """`ros2 launch` sends a second signal where Ctrl-C has sent the first."""
    driver = drive()
    others = shared_memory()
    process = start_node()
    driver.ask()
    mapped = Path(f"/proc/{process.pid}/maps").read_text()  # further tests may run beside this one
    own = {path for path in shared_memory() - others if f"{path}\n" in mapped}
    assert own
    for number in numbers:
        process.send_signal(number)
    output = finish(process)
    assert "Traceback" not in output
    # What stays there is memory that is lost until the machine starts again.
    assert not own & shared_memory()


def test_wrong_ros_arguments_end_the_node_with_a_sentence(start_node):
    output = finish(start_node(("--params-file", "absent.yaml")), expected=1)
    assert "romp_node: wrong ROS arguments: " in output
    assert "absent.yaml" in output
    assert "Traceback" not in output
