"""The thread that processes images, so that callbacks never wait for the network. Needs no ROS."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Hands the newest item of each source to a function in a thread of its own.

    While the function runs, a newer item replaces a waiting one of the same source: at most one
    per source ever waits, however slow the function is.

    Args:
        process: gets the waiting items by source, at least one, all sources at once. It must not
            raise.
    """

    def __init__(self, process: Callable[[dict[str, Item]], None]):
        self._process = process
        self._waiting: dict[str, Item] = {}
        self._changed = threading.Condition()
        self._stopping = False
        # Killed with the process, so that a forward pass never holds up its end.
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to process."""
        self._thread.start()

    def put(self, source: str, item: Item) -> bool:
        """Leave an item to be processed; never waits.

        Returns:
            Whether it replaced an older one, which is then never processed.
        """
        with self._changed:
            replaced = source in self._waiting
            self._waiting[source] = item
            self._changed.notify()
        return replaced

    def stop(self, timeout: float | None = None) -> bool:
        """Process nothing more; what waits is dropped.

        Args:
            timeout: seconds to wait for the item that is being processed; None: until it is done.

        Returns:
            Whether the thread has ended. If not, it ends after the item that it is busy with.
        """
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether results are no longer wanted."""
        return self._stopping

    def _run(self) -> None:
        while items := self._take():
            self._process(items)

    def _take(self) -> dict[str, Item]:
        """What waits, once something does; nothing when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            items, self._waiting = self._waiting, {}
        return items
