"""Warm processes of their own for trials, each on cores of its own.

Warm: a fork server imports TensorFlow once and computes nothing, so a worker starts in some hundredths of a
second. A worker that dies takes its trial along and nothing else; another one takes its place.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import ParamSpec, TypeVar

from pipeline.errors import FulcrumError
from pipeline.hardware.device import ClaimedDevice, claim_device, claim_plain_device
from pipeline.hardware.process_marks import kill_abandoned
from pipeline.measures import Point
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.workers.exit_reason import EXPLAIN_PIPE_LOST, explain_exit, is_stopped_by_others
from pipeline.search.workers.fork_server import needs_processes, start_fork_server
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.memory_guard import MemoryGuard
from pipeline.search.workers.output_tail import OutputTail
from pipeline.search.workers.pool import (
    End,
    Event,
    InProcessPool,
    Stoppage,
    WorkerLost,
    WorkerPool,
    explain_late,
    make_cut_outcome,
)
from pipeline.search.workers.worker import Call, Returned, Surroundings, run_worker
from pipeline.search.workers.worker_process import WorkerProcess, WorkerTask, hidden_main, receive_message
from pipeline.settings.measuring import Device
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop

P = ParamSpec("P")
T = TypeVar("T")

GRACE_SECONDS = 5.0
"""How long a process that was ended may take to be gone."""

WAIT_SECONDS = 1.0
"""The longest wait for an event."""


def make_worker_pool(settings: Settings, claimed: ClaimedDevice) -> WorkerPool:
    """Return a pool of processes, or of this one, see `needs_processes`.

    `claimed`: the device that this process holds, or that each of the workers will.
    """
    if not needs_processes(settings):
        return InProcessPool()
    search, for_loops = settings.search, isinstance(settings.trial, UserLoop)
    return ProcessPool(search.workers, settings.device, claimed, search.trial_limit, for_loops)


class ProcessPool:
    """A pool of `workers` processes, started when they are first needed and replaced when they die."""

    def __init__(
        self,
        workers: int,
        device: Device,
        claimed: ClaimedDevice,
        timeout: float | None = None,
        for_loops: bool = False,
    ) -> None:
        """Start the fork server.

        `claimed`: what each worker will hold; `timeout`: seconds that a job or a call may take; `for_loops`:
        the jobs are loops of the user's own, which need no TensorFlow.
        """
        self._for_loops = for_loops
        self._limit, self._claimed, self._timeout = workers, claimed, timeout
        self._claim = partial(claim_plain_device if for_loops else claim_device, device, pin=True)
        self._context = start_fork_server(self._for_loops)
        kill_abandoned()  # by workers whose parent was killed as well
        self._workers: list[WorkerProcess] = []
        self._frontier: Sequence[Point] = ()
        self._guard: MemoryGuard | None = None

    def count_free(self) -> int:
        return self._limit - sum(worker.task is not None for worker in self._workers)

    def start(self, job: Job) -> None:
        worker = self._get_idle_worker()
        worker.task, worker.sent_frontier = WorkerTask(job=job), ()
        worker.output.clear()
        with suppress(OSError):  # it died this moment: `events` will notice
            worker.pipe.send(job)
        self._send_frontier(worker)

    def _get_idle_worker(self) -> WorkerProcess:
        for worker in [worker for worker in self._workers if not worker.task]:
            if worker.process.is_alive() and not worker.is_retiring:
                return worker
            self._bury(worker)
        return self._start_worker()

    def _start_worker(self) -> WorkerProcess:
        if self._guard is None:
            self._guard = MemoryGuard(self._limit, self._list_busy_pids, self._end_for_memory)
        self._context = start_fork_server(self._for_loops)
        pipe, worker_pipe = self._context.Pipe()
        output, worker_output = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=run_worker,
            args=(worker_pipe, worker_output, ProcessOwner.current(), self._claim, Surroundings.current()),
            daemon=True,
        )
        try:
            with hidden_main():
                process.start()
        except (OSError, EOFError) as error:
            raise FulcrumError(
                f"search.workers: no process could be started for a trial ({error or 'it ended at once'}); "
                "free memory or end other processes, or train in this one with search.workers=0"
            ) from None
        worker_pipe.close()
        worker_output.close()
        worker = WorkerProcess(process=process, pipe=pipe, output=OutputTail(output))
        self._workers.append(worker)
        return worker

    # ---- what comes back --------------------------------------------------------------------------------

    def has_events(self) -> bool:
        return bool(
            wait([worker.pipe for worker in self._workers if worker.task and worker.task.job], timeout=0)
        )

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        busy = {worker.pipe: worker for worker in self._workers if worker.task and worker.task.job}
        if not busy:
            return
        self._frontier = frontier
        for pipe in wait(list(busy), timeout=WAIT_SECONDS):
            assert isinstance(pipe, Connection)
            yield from self._receive(busy.pop(pipe))
        for worker in busy.values():
            self._end_if_late(worker)

    def _send_frontier(self, worker: WorkerProcess) -> None:
        """Send the frontier if it has changed; once an epoch at most, so an unread pipe never fills up."""
        if self._frontier is not worker.sent_frontier:
            with suppress(OSError):
                worker.pipe.send(tuple(self._frontier))
            worker.sent_frontier = self._frontier

    def _receive(self, worker: WorkerProcess) -> Iterator[Event]:
        task = worker.task
        assert task is not None
        assert task.job is not None
        event = receive_message(worker)
        if isinstance(event, Progress):
            task.reported, task.paid_seconds = time.monotonic(), event.paid_seconds
            task.epochs.append(event.epoch)
            self._send_frontier(worker)
        elif event is None:
            event = self._explain_end(worker, task)
        else:
            worker.task = None
            if isinstance(event, TrialOutcome) and event.status == "failed":
                event = replace(event, output=event.output + worker.output.read())
        yield task.job, event

    def _explain_end(self, worker: WorkerProcess, task: WorkerTask) -> End:
        """Return how the job of a worker that ended has ended."""
        paid_seconds = task.paid_seconds + (time.monotonic() - task.reported) * self._claimed.held
        reason = self._bury(worker)
        if not worker.end_reason and is_stopped_by_others(worker.process.exitcode):
            return Stoppage(reason, paid_seconds)
        assert task.job is not None
        output = worker.output.read()
        return make_cut_outcome(task.job, self._claimed, task.epochs, reason, paid_seconds, output)

    def _bury(self, worker: WorkerProcess) -> str:
        """Forget a worker that has ended, end what it has left behind, and return why it ended."""
        self._workers.remove(worker)
        worker.process.join(GRACE_SECONDS)
        worker.kill(EXPLAIN_PIPE_LOST if worker.process.is_alive() else "")
        worker.process.join(GRACE_SECONDS)
        if not worker.is_retiring or worker.process.exitcode:  # one that retires has done it itself
            kill_abandoned()
        worker.pipe.close()
        before = worker.task.oom_kills if worker.task else None
        output = worker.output.read(wait_seconds=1.0)
        return worker.end_reason or explain_exit(worker.process.exitcode, before, output)

    def _end_if_late(self, worker: WorkerProcess) -> None:
        """End a worker whose time is up; the pipe tells the rest."""
        seconds = time.monotonic() - worker.task.started if worker.task else 0.0
        if self._timeout is not None and seconds > self._timeout and not worker.pipe.poll():
            worker.kill(explain_late(self._timeout))

    def _list_busy_pids(self) -> list[int]:
        return [worker.process.pid for worker in list(self._workers) if worker.task and worker.process.pid]

    def _end_for_memory(self, pid: int, reason: str) -> None:
        for worker in list(self._workers):
            if worker.process.pid == pid:
                worker.kill(reason)

    # ---- calls ------------------------------------------------------------------------------------------

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        worker = self._get_idle_worker()
        worker.task = WorkerTask(job=None)
        worker.output.clear()
        with suppress(OSError):
            worker.pipe.send(Call(function=function, args=args, kwargs=kwargs))
        while not worker.pipe.poll(WAIT_SECONDS):
            self._end_if_late(worker)
        returned = receive_message(worker)
        if returned is None:
            raise WorkerLost(self._bury(worker))
        if not isinstance(returned, Returned):
            worker.kill("it sent what nobody has asked for")
            raise WorkerLost(self._bury(worker))
        worker.task = None
        if returned.error is not None:
            raise returned.error
        if returned.text:
            raise WorkerLost(returned.text.strip().splitlines()[-1])
        value: T = returned.value
        return value

    call_here = call

    def close(self) -> None:
        if self._guard:
            self._guard.close()
            self._guard = None
        for worker in self._workers:
            worker.pipe.close()
            worker.kill()  # it holds nothing that a kill could tear apart
        for worker in self._workers:
            worker.process.join(GRACE_SECONDS)
        if self._workers:
            kill_abandoned()
        self._workers = []
