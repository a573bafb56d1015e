"""What a worker prints: read as it comes, so that nobody waits for it, and its end kept."""

import os
import threading
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
        try:
            while piece := os.read(self._pipe.fileno(), KEPT_BYTES):
                with self._lock:
                    self._bytes += piece
                    del self._bytes[:-KEPT_BYTES]
        except OSError:
            pass
        finally:
            self._pipe.close()

    def clear(self) -> None:
        """Forget what came so far."""
        with self._lock:
            self._bytes.clear()

    def read(self, wait_seconds: float = 0.0) -> str:
        """Return what is kept. `wait_seconds`: for the end, where the process has ended."""
        self._thread.join(wait_seconds)
        with self._lock:
            return self._bytes.decode(errors="replace")
