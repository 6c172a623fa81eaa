"""The `romp-core` command itself."""

import subprocess
import sys

from romp_core.cli import COMMANDS, main


def test_help_names_every_command(capsys):
    for arguments in ([], ["--help"]):
        assert main(arguments) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in COMMANDS)


def test_unknown_commands_are_named(capsys):
    assert main(["dance", "now"]) == 2
    assert "there is no command 'dance now'" in capsys.readouterr().err


def test_every_command_explains_itself():
    for name in COMMANDS:
        shown = subprocess.run(
            [sys.executable, "-m", "romp_core.cli", *name.split(), "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"usage: romp-core {name}" in shown.stdout


def test_wrong_options_end_with_status_2():
    ended = subprocess.run(
        [sys.executable, "-m", "romp_core.cli", "convert", "body", "--wrong", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
