"""What tests do with the processes that the fixture `start_process` starts."""

import subprocess

PATIENCE_S = 120.0  # ends a test that would hang; far above what a loaded machine needs

PLAIN = {"device": "cpu", "runtime": "torch", "precision": "float32", "smoothing": 0.0}
"""Parameters of nodes under test: they start fast, and a result depends on its own image alone."""


def finish(process: subprocess.Popen, expected: int = 0) -> str:
    """Wait for a process to end by itself and return its output; its exit code is checked."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == expected, output
    return output
