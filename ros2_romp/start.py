"""Where the commands begin: what must be said before the rest of them is imported.

Ctrl-C ends them without a word; Python would print a traceback of the import. Needs no ROS.
"""

import os
import signal
import sys
from importlib import import_module
from types import ModuleType


def image_player() -> int:
    """`ros2_romp.image_player.main`, which handles signals itself."""
    return _imported("ros2_romp.image_player").main()


def people_recorder() -> int:
    """`ros2_romp.people_recorder.main`, which handles signals itself."""
    return _imported("ros2_romp.people_recorder").main()


def romp_node() -> int:
    """`ros2_romp.romp_node.main`, which handles signals itself.

    Its threads wait without spinning, unless OMP_WAIT_POLICY says otherwise: beside other
    processes, threads that spin until their turn comes keep the cores from who has work to do.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is imported
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


if __name__ == "__main__":  # python -m ros2_romp.start COMMAND ...
    sys.argv[:2] = sys.argv[1:2]
    sys.exit(globals()[sys.argv[0]]())
