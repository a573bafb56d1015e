"""Ends the largest worker before the machine's memory is used up, so that the system need not end anybody.

Not a limit on addresses (`RLIMIT_AS`): TensorFlow and CUDA reserve many times of what they use.
"""

from collections.abc import Callable, Iterable, Sequence

from pipeline.hardware.memory import Memory, read_memory, read_tree_bytes
from pipeline.processes.repeating_thread import RepeatingThread

INTERVAL_SECONDS = 0.1
SHORT_SHARE = 0.04
"""Memory is short where less than this share of it is left, or less than `SHORT_BYTES`."""
SHORT_BYTES = 256 * 1024**2
GIB = 1024**3


class MemoryGuard:
    """Watches the memory while workers are at work."""

    def __init__(
        self, workers: int, list_pids: Callable[[], Iterable[int]], end: Callable[[int, str], None]
    ) -> None:
        """`list_pids`: of the workers at work; `end(pid, reason)`: ends one of them."""
        self._workers, self._list_pids, self._end = workers, list_pids, end
        self._thread = RepeatingThread(self._watch, INTERVAL_SECONDS)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._thread.stop()

    def _watch(self) -> None:
        if pids := list(self._list_pids()):
            self.check(pids)

    def check(self, pids: Sequence[int]) -> None:
        """End the largest of the workers, with all that it has started, if memory is short because of it.

        One that has no more than half of its share did not use the memory up.
        """
        memory = read_memory()
        if not _is_short(memory):
            return
        size, pid = max((read_tree_bytes(pid), pid) for pid in pids)
        if size > memory.total / self._workers / 2:
            held, left = size / GIB, memory.available / GIB
            total = f"{memory.total / GIB:.1f} GiB"
            self._end(pid, f"out of memory: its process held {held:.1f} of {total}, {left:.2f} were left")


def _is_short(memory: Memory) -> bool:
    return memory.available < max(SHORT_SHARE * memory.total, min(SHORT_BYTES, memory.total / 8))
