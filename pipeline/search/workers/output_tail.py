"""What a worker prints: read as it comes, so that nobody waits for it, and its end kept."""

import os
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

KEPT_BYTES = 64 * 1024


class OutputTail:
    """The last bytes that came out of a pipe."""

    def __init__(self, pipe: Connection) -> None:
        """Read `pipe` to its end, in a thread."""
        self._pipe, self._bytes, self._lock = pipe, bytearray(), threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while self._pipe.poll(None) and self._take_what_came():
                pass
        with self._lock:
            self._pipe.close()

    def _take_what_came(self) -> bool:
        """Take what lies in the pipe, without waiting for more; return whether more may come."""
        with self._lock:
            while not self._pipe.closed and self._pipe.poll(0):
                piece = os.read(self._pipe.fileno(), KEPT_BYTES)
                if not piece:
                    return False
                self._bytes += piece
                del self._bytes[:-KEPT_BYTES]
            return not self._pipe.closed

    def clear(self) -> None:
        """Forget what came so far."""
        with self._lock:
            self._bytes.clear()

    def read(self, wait_seconds: float = 0.0) -> str:
        """Return what is kept, with all that was written before this call.

        `wait_seconds`: for the end, where the process has ended.
        """
        self._thread.join(wait_seconds)
        with suppress(OSError):
            self._take_what_came()
        with self._lock:
            return self._bytes.decode(errors="replace")
