"""The node when the network is slow, stuck or out of memory, and when images are garbage."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_driver import picture
from processes import finish
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from ros2_romp.images import to_image

ALTERED_NODE = Path(__file__).parent / "altered_node.py"


class Gate:
    """The other end of the FIFO at which each forward pass of the altered node waits."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self.descriptor = None

    def is_entered(self) -> bool:
        """Whether a forward pass waits now."""
        if self.descriptor is None:
            try:
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads
                return False
        return True

    def let_through(self):
        os.close(self.descriptor)
        self.descriptor = None


def test_newest_image_is_next_and_the_others_are_counted(start_node, drive, spin_until, tmp_path):
    gate = Gate(tmp_path / "gate")
    start_node(program=(ALTERED_NODE, f"gate:{gate.path}"))
    driver = drive()
    first = driver.stamped()
    driver.publish_until(first, gate.is_entered)
    start = received(driver)
    last = None
    for number in range(1, 11):  # while the first is in the network, ten more come
        last = driver.stamped()
        driver.images.publish(last)
        driver.wait_for_status(
            "camera", lambda s, v, count=start + number: int(v["images received"]) >= count
        )
    gate.let_through()
    spin_until(lambda: driver.people)
    spin_until(gate.is_entered)
    gate.let_through()
    spin_until(lambda: len(driver.people) == 2)
    assert [people.header for people in driver.people] == [first.header, last.header]
    values = driver.wait_for_status("camera", lambda s, v: v["images answered"] == "2")
    # Of the images before the ten, only repetitions of the first one were dropped.
    assert int(values["images dropped"]) == int(values["images received"]) - 2
    assert int(values["images received"]) == start + 10


def received(driver) -> int:
    return int(driver.wait_for_status("camera", lambda s, v: True)["images received"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_middle_of_a_forward_pass_ends_the_node(start_node, drive, number):
    process = start_node(program=(ALTERED_NODE, "endless"))
    driver = drive()
    message = driver.stamped()
    driver.publish_until(message, lambda: answers_or_waits(driver))
    process.send_signal(number)
    assert "Traceback" not in finish(process)


def answers_or_waits(driver) -> bool:
    """Whether an image is in the network, which never answers: it was received, nothing else."""
    status = driver.statuses.get("romp: camera")
    values = {pair.key: pair.value for pair in status.values} if status else {}
    return int(values.get("images received", 0)) > 0 and values["images answered"] == "0"


def test_memory_for_one_image_at_a_time_is_enough(start_node, drive):
    start_node(program=(ALTERED_NODE, "small"), cameras="[front, rear]")
    drivers = [drive("front"), drive("rear")]
    for _ in range(10):  # sooner or later two wait together
        messages = [driver.stamped() for driver in drivers]
        for driver, message in zip(drivers, messages, strict=True):
            driver.images.publish(message)
        for driver, message in zip(drivers, messages, strict=True):
            driver.publish_until(message, lambda d=driver, m=message: d._answer_to(m))
    for driver, name in zip(drivers, ("front", "rear"), strict=True):
        values = driver.wait_for_status(f"camera {name}", lambda s, v: True)
        assert values["images failed"] == "0"


def test_memory_for_no_image_is_an_error_until_there_is_some(start_node, drive):
    start_node(program=(ALTERED_NODE, "none"))
    driver = drive()
    driver.publish_until(driver.stamped(), lambda: has_failed(driver))
    status = driver.statuses["romp: camera"]
    assert "memory of cpu does not suffice for one image" in status.message
    black = np.zeros((96, 128, 3), np.uint8)
    driver.ask(black)
    driver.wait_for_status("camera", lambda s, v: s.level != DiagnosticStatus.ERROR)


def has_failed(driver) -> bool:
    status = driver.statuses.get("romp: camera")
    return status is not None and status.level == DiagnosticStatus.ERROR


def test_ten_thousand_damaged_images_leave_no_trace(start_node, drive):
    """Memory may grow by 5 %; it is measured when a tenth of them has come, and at the end."""
    process = start_node()
    driver = drive()
    good = driver.ask()
    generator = np.random.default_rng(0)
    message = serialize_message(to_image(picture()))
    resident = []
    for number in range(1, 10_001):
        driver.images.publish(damaged(message, generator, number))
        time.sleep(0.001)  # best effort: what comes too fast is lost on the way
        if number % 1000 == 0:
            assert len(driver.ask().people) == len(good.people)
            resident.append(resident_bytes(process.pid))
    assert resident[-1] < 1.05 * resident[0]
    values = driver.wait_for_status("camera", lambda s, v: True)
    assert int(values["images received"]) > 5_000
    assert int(values["images refused"]) > 1_000
    assert values["last refusal"]
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert "Traceback" not in output


def damaged(message: bytes, generator: np.random.Generator, kind: int) -> bytes | Image:
    if kind % 5 == 0:
        return generator.bytes(int(generator.integers(0, 300)))
    if kind % 5 == 1:
        return message[: int(generator.integers(4, len(message)))]
    if kind % 5 == 2:
        altered = bytearray(message)
        for place in generator.integers(0, 60, 3):
            altered[place] = int(generator.integers(0, 256))
        return bytes(altered)
    size = {"height": int(generator.integers(0, 2**32)), "width": int(generator.integers(0, 2**32))}
    encoding = str(generator.choice(["rgb8", "mono16", "32FC1", "nonsense", "nv12", ""]))
    if kind % 5 == 3:
        return Image(**size, encoding=encoding, step=int(generator.integers(0, 2**32)))
    return Image(height=96, width=128, encoding=encoding, step=384, data=bytes(300))


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_made_that_nobody_listens_to(start_node, drive):
    process = start_node(program=(ALTERED_NODE, "telling"))
    driver = drive()
    for _ in range(3):
        driver.ask()
    answers = len(driver.people)
    arrays, overlays = [], []
    driver.listen(MarkerArray, "markers", arrays.append)
    driver.publish_until(driver.stamped(), lambda: arrays)
    driver.listen(Image, "overlay", overlays.append)
    driver.publish_until(driver.stamped(), lambda: overlays)
    answers = len(driver.people) - answers  # may miss one that is on its way
    process.terminate()
    output = finish(process)
    assert 2 <= output.count("made markers") <= answers + 1
    assert 1 <= output.count("made an overlay") < output.count("made markers")
