"""What tests do with the processes that the fixture `start_process` starts."""

import fcntl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

PATIENCE_S = 120.0  # ends a test that would hang; far above what a loaded machine needs

PLAIN = {"device": "cpu", "runtime": "torch", "precision": "float32", "smoothing": 0.0}
"""Parameters of nodes under test: they start fast, and a result depends on its own image alone."""


def finish(process: subprocess.Popen, expected: int = 0) -> str:
    """Wait for a process to end by itself and return its output; its exit code is checked."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == expected, output
    return output


def next_line(process: subprocess.Popen, meanwhile: Callable[[], object] = lambda: None) -> str:
    """The next line that a process prints; until it does, something is done again and again."""
    deadline = time.monotonic() + PATIENCE_S
    with ThreadPoolExecutor(1) as reader:
        line = reader.submit(process.stdout.readline)
        try:
            while not line.done():
                assert time.monotonic() < deadline, f"{process.args} printed nothing"
                meanwhile()
                wait([line], timeout=0.05)
        except BaseException:
            process.kill()  # else the reader, and with it the test, would wait for ever
            raise
        return line.result()


def shared_memory() -> set[Path]:
    """What Fast DDS' processes have on this machine."""
    found = Path("/dev/shm").glob("fastrtps_*")
    return {path for path in found if not path.name.startswith("fastrtps_port")}


def free_shared_memory() -> None:
    """Remove what processes have left that live no more."""
    for lock in shared_memory():
        if lock.name.endswith("_el") and not _is_held(lock):
            lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
