"""What the commands beside the node share: their arguments, and how they end."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from romp_core.errors import RompError


def note(program: str, text: object) -> None:
    """Tell the user something on stderr."""
    print(f"{program}: {text}", file=sys.stderr, flush=True)


def positive(text: str) -> float:
    """Number above zero, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def wrong_ros_arguments(error: RuntimeError) -> str:
    """What rclpy says against its arguments, without the end, which tells where it is in C."""
    return f"wrong ROS arguments: {str(error).split(', at /')[0]}"


def parse_own(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Options of a command; the ROS part of its arguments is left to rclpy.

    Args:
        parser: which ends the process where they are wrong.
        arguments: all of them, the program's name first.
    """
    try:
        own = remove_ros_args(arguments)[1:]
    except RuntimeError as error:  # rclpy has no public name for it
        parser.error(wrong_ros_arguments(error))
    return parser.parse_args(own)


def stop_on_signals() -> threading.Event:
    """Event that is set by the first SIGINT or SIGTERM; a second one ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def run_in_ros(arguments: Sequence[str], run: Callable[[], int]) -> int:
    """Run a command between the beginning and the end of ROS.

    Args:
        arguments: all of them, the program's name first.
        run: gives the exit code.

    Returns:
        The exit code; 2, and a sentence on stderr, for bad input.
    """
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return run()
    except (RompError, OSError) as error:
        note(arguments[0], error)
        return 2
    finally:
        rclpy.try_shutdown()
