"""The `romp-core` command itself."""

import subprocess
import sys

from romp_core.cli import COMMANDS, _spell_out, main


def test_help_names_every_command(capsys):
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in COMMANDS)


def test_unknown_commands_are_named(capsys):
    assert main(["dance", "now"]) == 2
    assert "there is no command 'dance now'" in capsys.readouterr().err


HELP = """
import os, sys
import cv2, jsonargparse, rich.progress, scipy.optimize, scipy.spatial.transform, torch  # once
from romp_core.cli import COMMANDS, main
for name in COMMANDS:
    child = os.fork()
    if not child:  # nothing else of the package is imported there yet
        sys.exit(main([*name.split(), "--help"]))
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} failed")
"""


def test_every_command_explains_itself():
    ended = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for name in COMMANDS:
        assert f"usage: romp-core {name} [" in ended.stdout


def test_wrong_options_end_with_status_2():
    ended = subprocess.run(
        [sys.executable, "-m", "romp_core.cli", "convert", "body", "--wrong", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2


def command(source: str, max_people: int = 1, resume: bool = False, set: list[str] | None = None):
    """Stands for a command with every kind of option."""


def test_options_may_be_written_as_people_write_them():
    words = ["a.yaml", "--max-people", "3", "--resume", "--set", "a.b=c", "--set=d=[1]"]
    words += ["--no-resume", "--resume", "False"]
    assert _spell_out(words, command) == [
        "a.yaml",
        "--max_people",
        "3",
        "--resume=true",
        "--resume=false",
        "--resume=false",
        '--set=["a.b=c", "d=[1]"]',
    ]
