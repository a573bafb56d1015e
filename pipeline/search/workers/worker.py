"""A worker process: jobs come in through a pipe, epochs and outcomes go out, until the pipe is closed.

What it runs may be a user's own network, so nothing of what that does to its process is taken for granted.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline.errors import FulcrumError
from pipeline.files import own_temporary_folder
from pipeline.hardware.process_marks import adopt_orphans, kill_started, mark_started
from pipeline.measures import Point
from pipeline.processes import garbage
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.workers.job import Job
from pipeline.search.workers.job_kinds import run_job
from pipeline.search.workers.pool import catch_crash
from pipeline.search.workers.process_state import ProcessState, Retiring, identify_file, watch_process
from pipeline.signals import end_with_parent

PIPE_LOST = 97
"""Exit code where the pipe to the parent is gone: the job has closed files that are not its own."""

FIRST_TO_GO = "500"
"""Of 1000: where memory runs out, the system ends a worker before anything else of this user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function to call, and its arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What a call came to: its `value`, or the `error` that it raised with its traceback as `text`."""

    value: Any = None
    error: BaseException | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a worker starts from, and each of its jobs: its parent's folder and environment."""

    folder: Path
    environment: dict[str, str]
    import_path: tuple[str, ...]

    @classmethod
    def current(cls) -> "Surroundings":
        """Return those of this process."""
        return cls(folder=Path.cwd(), environment=dict(os.environ), import_path=tuple(sys.path))

    def restore(self) -> None:
        """Go back to them, whatever a job has changed."""
        with suppress(OSError):
            os.chdir(self.folder)
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)


def run_worker(
    pipe: Connection,
    output: Connection,
    parent: ProcessOwner,
    claim: Callable[[], object],
    surroundings: Surroundings,
) -> None:
    """Run jobs in a worker process, on cores of its own, until the pipe is closed.

    `output`: where it writes what it prints; `parent`: whom it works for; `claim`: claims its device.
    """
    _become_worker(output, parent)
    garbage.collect_late()
    surroundings.restore()
    claim()
    adopt_orphans()
    mark_started()
    # What it has told the libraries by their variables holds for each job.
    surroundings = replace(surroundings, environment=dict(os.environ))
    with own_temporary_folder(), suppress(EOFError, OSError):
        _Server(pipe, surroundings).serve()
    os._exit(0)  # threads that a job has left behind are not waited for


def _become_worker(output: Connection, parent: ProcessOwner) -> None:
    multiprocessing.current_process().daemon = False  # or a job could start no process: to load data, say
    multiprocessing.set_start_method(None, force=True)  # a job starts its own as it would anywhere else
    with suppress(OSError):
        os.setsid()  # what a terminal sends goes to the parent alone, which decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()
    with suppress(AttributeError, OSError, TypeError):  # a job may write into each file that it finds open
        os.close(resource_tracker._resource_tracker._fd)  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._fd = None  # type: ignore[attr-defined]
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    end_with_parent()  # the fork server, which ends with its own
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


class _Server:
    """Answers what comes through the pipe."""

    def __init__(self, pipe: Connection, surroundings: Surroundings) -> None:
        self._pipe, self._surroundings = pipe, surroundings
        self._place, self._pid = _identify(pipe), os.getpid()
        self._frontier: Sequence[Point] = ()

    def serve(self) -> None:
        """Answer until the pipe is closed."""
        while True:
            message = self._receive()
            self._surroundings.restore()
            match message:
                case Job():
                    if self._run(message):
                        return
                case Call():
                    state = ProcessState()
                    returned = _call(message)
                    if is_changed := bool(state.find_changes()) | kill_started():
                        self._send(Retiring())
                    self._send(returned)
                    if is_changed:
                        return
                case _:  # a frontier for a job that has ended meanwhile
                    pass

    def _run(self, job: Job) -> bool:
        """Run a job; return whether it has changed this process, which then runs no other."""
        self._frontier, is_changed = (), False
        for event in watch_process(job, catch_crash(run_job(job, self._read_frontier))):
            is_changed |= isinstance(event, Retiring)
            self._send(event)
        return is_changed

    def _read_frontier(self) -> Sequence[Point]:
        while self._check().poll():
            self._frontier = self._pipe.recv()
        return self._frontier

    def _receive(self) -> Any:
        return self._check().recv()

    def _send(self, message: object) -> None:
        self._check().send(message)

    def _check(self) -> Connection:
        """Return the pipe; end where a job has closed it, as its number may be another file's by now.

        A copy of this process, which a job has forked off, ends as well: the pipe is not its own.
        """
        if os.getpid() != self._pid:
            os._exit(0)
        if _identify(self._pipe) != self._place:
            os._exit(PIPE_LOST)
        return self._pipe


def _identify(pipe: Connection) -> tuple[int, int] | None:
    return None if pipe.closed else identify_file(pipe.fileno())


def _call(call: Call) -> Returned:
    try:
        return Returned(value=call.function(*call.args, **call.kwargs))
    except FulcrumError as error:
        return Returned(error=error)
    except BaseException:  # what a user's code raises may not be copied, and may be SystemExit
        return Returned(text=traceback.format_exc())


def _end_with(parent: ProcessOwner) -> None:
    """End this process once its parent has ended: it has nobody to work for."""
    while parent.is_alive():
        time.sleep(1.0)
    os._exit(1)
