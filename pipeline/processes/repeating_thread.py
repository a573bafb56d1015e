"""A thread that does the same again and again, such as renewing a lease."""

import threading
from collections.abc import Callable


class RepeatingThread:
    """A thread that calls a function again and again, after a pause each time, until it is stopped."""

    def __init__(self, function: Callable[[], object], pause_seconds: float) -> None:
        """Prepare the thread; it does not keep the process from ending."""
        self._function, self._pause_seconds = function, pause_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin with a pause."""
        self._thread.start()

    def stop(self, wait_seconds: float | None = None) -> None:
        """Call the function no more; wait so long for a call that is under way, None: to its end.

        A call that stops its own thread does not wait for itself.
        """
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(wait_seconds)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause_seconds):
            self._function()
