"""The `romp-core` command: `romp-core COMMAND [options]`.

Every command is a plain function in `romp_core.commands`; its signature and docstring make the
options. Only the chosen command's module is imported, so that help is quick.
"""

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import get_args, get_type_hints

from romp_core.errors import RompError

COMMANDS: dict[str, tuple[str, str]] = {
    "predict": ("predict:predict", "people in images, folders and videos: overlays and .npz"),
    "convert body": ("convert:body", "a SMPL body file into a compact, safe .npz"),
    "convert weights": ("convert:weights", "published weights into this package's own format"),
    "export": ("export:export", "a network as an ONNX or OpenVINO file"),
    "compare-runtimes": (
        "compare_runtimes:compare_runtimes",
        "how far each runtime's people are from PyTorch's in float32",
    ),
    "render-dataset": ("render_dataset:render_dataset", "annotated synthetic people, to disk"),
    "train": ("train:train", "train or fine-tune a network from a YAML configuration"),
    "evaluate": ("evaluate:evaluate", "how well a network finds and poses people of a data set"),
    "bench": ("bench:bench", "how fast a network is on this machine, by runtime"),
    "tables": ("tables:tables", "the paper's tables, out of evaluations"),
    "data check": ("data:check", "whether a downloaded data set is whole, and what is in it"),
}
"""Function (module:name within `romp_core.commands`) and summary of each command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after `romp-core`; None takes the process's own.

    Returns:
        Exit status: 0, or 2 after bad input, which is said in one sentence on standard error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)
    if name is None:
        asked = not words or words[0] in ("-h", "--help")
        print(_overview(words), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        _run(name, words[len(name.split()) :])
    except (RompError, OSError) as error:
        print(f"romp-core {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _run(name: str, words: list[str]) -> None:
    from jsonargparse import auto_cli

    module, function = COMMANDS[name][0].split(":")
    command: Callable[..., None] = getattr(import_module(f"romp_core.commands.{module}"), function)
    auto_cli(command, args=_spell_out(words, command), prog=f"romp-core {name}")


def _spell_out(words: Sequence[str], command: Callable[..., None]) -> list[str]:
    """Options as jsonargparse takes them, from the way people write them.

    `--max-people` is `--max_people`, `--resume` is `--resume=true`, `--no-overlay` is
    `--overlay=false`, and an option that takes a list may be given once per entry.
    """
    types = get_type_hints(command)
    switches = {name for name, kind in types.items() if kind is bool or bool in get_args(kind)}
    lists: dict[str, list[str]] = {}
    spelled: list[str] = []
    pending = list(words)
    while pending:
        word = pending.pop(0)
        option, equals, value = word.partition("=")
        key = option[2:].replace("-", "_")
        if not option.startswith("--"):
            spelled.append(word)
        elif get_args(types.get(key)) and list[str] in get_args(types[key]):
            lists.setdefault(key, []).append(value if equals or not pending else pending.pop(0))
        elif key in switches and not equals:
            said = pending and pending[0].lower() in ("true", "false")
            spelled.append(f"--{key}={pending.pop(0).lower() if said else 'true'}")
        elif key.startswith("no_") and key[3:] in switches:
            spelled.append(f"--{key[3:]}=false")
        else:
            spelled.append(f"--{key}{equals}{value}")
    return spelled + [f"--{key}={json.dumps(entries)}" for key, entries in lists.items()]


def _overview(words: Sequence[str]) -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    unknown = [w for w in words[:1] if not w.startswith("-")]
    head = [f"romp-core: there is no command {' '.join(words[:2])!r}"] if unknown else []
    usage = ["usage: romp-core COMMAND [options]", "", "commands:", *lines, ""]
    return "\n".join([*head, *usage, "romp-core COMMAND --help explains one."])


if __name__ == "__main__":
    sys.exit(main())
