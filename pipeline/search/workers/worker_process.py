"""A process that runs jobs as its parent sees it: what it is at, what it sends, how it is ended."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from pipeline.hardware.memory import count_oom_kills
from pipeline.measures import Epoch, Point
from pipeline.processes.process_tree import kill_session
from pipeline.search.workers.job import Job
from pipeline.search.workers.output_tail import OutputTail
from pipeline.search.workers.process_state import Retiring


@dataclass(slots=True, kw_only=True)
class WorkerTask:
    """What a worker is at: a job, or a call (None).

    `paid_seconds`: device-seconds until `reported`, when its last epoch ended (monotonic time).
    """

    job: Job | None
    started: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)
    paid_seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    oom_kills: int | None = field(default_factory=count_oom_kills)


@dataclass(slots=True, kw_only=True)
class WorkerProcess:
    """A worker process, the pipe to it and what it prints; `end_reason`: why this process ended it.

    `is_retiring`: a job has changed the process, so it ends after that one.
    """

    process: ForkServerProcess
    pipe: Connection
    output: OutputTail
    task: WorkerTask | None = None
    sent_frontier: Sequence[Point] = field(default_factory=tuple)
    end_reason: str = ""
    is_retiring: bool = False

    def kill(self, reason: str = "") -> None:
        """End the process and all that it has started."""
        self.end_reason = self.end_reason or reason
        pid = self.process.pid
        if pid is not None:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            kill_session(pid)  # what it has started may have a group of its own
        self.process.kill()


def receive_message(worker: WorkerProcess) -> Any:
    """Return what a worker sends; None where it has ended, or sends what cannot be read."""
    try:
        message = worker.pipe.recv()
        if isinstance(message, Retiring):
            worker.is_retiring = True
            message = worker.pipe.recv()
        return message
    except (EOFError, OSError):
        return None
    except Exception as error:  # a job may have written into the pipe
        worker.kill(f"it sent what cannot be read ({type(error).__name__})")
        return None


@contextmanager
def hidden_main() -> Iterator[None]:
    """Keep `multiprocessing` from running this process' script again in a worker, which needs none of it."""
    main = sys.modules["__main__"]
    names = [name for name in ("__file__", "__spec__") if name in main.__dict__]
    before: dict[str, Any] = {name: main.__dict__.pop(name) for name in names}
    main.__spec__ = None
    try:
        yield
    finally:
        main.__dict__.update(before)
