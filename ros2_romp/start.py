"""Where the commands begin: Ctrl-C ends them without a word while they are still imported.

Python would print a traceback of the import. Needs no ROS.
"""

import signal
from importlib import import_module
from types import ModuleType


def image_player() -> int:
    """`ros2_romp.image_player.main`, which handles signals itself."""
    return _imported("ros2_romp.image_player").main()


def people_recorder() -> int:
    """`ros2_romp.people_recorder.main`, which handles signals itself."""
    return _imported("ros2_romp.people_recorder").main()


def romp_node() -> int:
    """`ros2_romp.romp_node.main`, which handles signals itself."""
    return _imported("ros2_romp.romp_node").main()


def romp_core() -> int:
    """`romp_core.cli.main`, in which Ctrl-C is a KeyboardInterrupt: training saves what it has."""
    handler = signal.getsignal(signal.SIGINT)
    cli = _imported("romp_core.cli")
    signal.signal(signal.SIGINT, handler)
    return cli.main()


def _imported(module: str) -> ModuleType:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return import_module(module)
