"""Waiting for what a process prints ends, whatever becomes of it."""

import processes
import pytest
from processes import next_line

SILENT = ("-c", "import time; time.sleep(1000)")


def test_a_line_is_waited_for_while_something_is_done(start_process):
    done = []
    process = start_process("-c", "import time; time.sleep(0.5); print('here')")
    assert next_line(process, lambda: done.append(1)) == "here\n"
    assert done


def test_a_silent_process_is_named(start_process, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_S", 0.3)
    with pytest.raises(AssertionError, match=r"time\.sleep.* printed nothing"):
        next_line(start_process(*SILENT))


def test_what_fails_meanwhile_ends_the_wait(start_process):
    def fail() -> None:
        raise AssertionError("nothing came")

    with pytest.raises(AssertionError, match="nothing came"):
        next_line(start_process(*SILENT), fail)
