"""Warm processes of their own for trials, each on cores of its own.

Warm: a fork server imports TensorFlow once and computes nothing, so a worker starts in some hundredths of a
second. A worker that dies takes its trial along and nothing else; another one takes its place.
"""

import multiprocessing
import pickle
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess

from pipeline.measures import Epoch, Point
from pipeline.processes import ProcessOwner
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.search.workers.pool import Event, InProcessPool, WorkerPool
from pipeline.search.workers.worker import run_worker
from pipeline.settings.measuring import Device

PRELOADED = ["pipeline.search.workers.job"]
GRACE_SECONDS = 5.0
"""How long a worker may take to end once it is asked to."""


def make_worker_pool(workers: int, device: Device) -> WorkerPool:
    """Return a pool in this process for one worker, of own processes for several."""
    return InProcessPool() if workers == 1 else ProcessPool(workers, device)


@dataclass(slots=True)
class _Worker:
    """A worker process and the pipe to it."""

    process: ForkServerProcess
    pipe: Connection
    job: Job | None = None
    sent_frontier: Sequence[Point] = field(default_factory=tuple)


class ProcessPool:
    """A pool of `workers` processes, started when they are first needed and replaced when they die."""

    def __init__(self, workers: int, device: Device) -> None:
        self._limit, self._device = workers, device
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._workers: list[_Worker] = []
        self._frontier: Sequence[Point] = ()

    def count_free(self) -> int:
        return self._limit - sum(worker.job is not None for worker in self._workers)

    def start(self, job: Job) -> None:
        self._workers = [worker for worker in self._workers if worker.job or worker.process.is_alive()]
        idle = (worker for worker in self._workers if worker.job is None)
        worker = next(idle, None) or self._start_worker()
        worker.job, worker.sent_frontier = job, ()
        with suppress(OSError):  # it died this moment: `events` will notice
            worker.pipe.send(job)
        self._send_frontier(worker)

    def _start_worker(self) -> _Worker:
        pipe, worker_pipe = self._context.Pipe()
        process = self._context.Process(
            target=run_worker, args=(worker_pipe, ProcessOwner.current(), self._device), daemon=True
        )
        process.start()
        worker_pipe.close()
        worker = _Worker(process, pipe)
        self._workers.append(worker)
        return worker

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        busy = {worker.pipe: worker for worker in self._workers if worker.job}
        if not busy:
            return
        self._frontier = frontier
        for pipe in wait(list(busy), timeout=1.0):
            assert isinstance(pipe, Connection)
            yield from self._receive(busy[pipe])

    def _send_frontier(self, worker: _Worker) -> None:
        """Send the frontier if it has changed; once an epoch at most, so an unread pipe never fills up."""
        if self._frontier is not worker.sent_frontier:
            with suppress(OSError):
                worker.pipe.send(tuple(self._frontier))
            worker.sent_frontier = self._frontier

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        job = worker.job
        assert job is not None
        try:
            event = worker.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._workers.remove(worker)
            yield job, TrialOutcome(status="failed", reason=_exit_reason(worker.process))
            return
        if isinstance(event, Epoch):
            self._send_frontier(worker)
        else:
            worker.job = None
        yield job, event

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()  # whoever waits for a job ends at that
            if worker.job:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []


def _exit_reason(process: ForkServerProcess) -> str:
    process.join(GRACE_SECONDS)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"its worker was ended by {name}{hint}"
    return f"its worker ended with exit code {code}"
