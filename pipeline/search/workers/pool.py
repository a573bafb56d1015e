"""Where jobs run: in this process (here), in processes of their own (`process_pool`), or on a `cluster`."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from pipeline.errors import CacheUnusable, FulcrumError
from pipeline.formatting import format_count
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, Point
from pipeline.search.workers.job import Job, Progress, TrialOutcome

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Crash:
    """An exception that no setting explains, with its traceback: an error of the program."""

    text: str


@dataclass(frozen=True, slots=True)
class Stoppage:
    """A worker ended before its job, which may have done nothing wrong: it was asked to stop, or is lost.

    `paid_seconds`: device-seconds that the job had spent; `is_innocent`: the job has certainly not caused it.
    """

    reason: str
    paid_seconds: float = 0.0
    is_innocent: bool = False


End = TrialOutcome | Crash | Stoppage
Event = tuple[Job, Progress | End]


class WorkerLost(FulcrumError):
    """The process that was to do something ended, or took too long; the text says which, and how."""


class WorkerPool(Protocol):
    """The workers that run jobs."""

    def count_free(self) -> int:
        """Count the jobs that can be started now."""

    def start(self, job: Job) -> None:
        """Start a job; a worker must be free."""

    def has_events(self) -> bool:
        """Return whether `events` would yield something at once."""

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        """Yield what happened since, after waiting for a moment while a job runs.

        `frontier`: the best points so far, for the workers to compare with.
        """

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns where a free worker calls it; all of it is copied on the way.

        Raises:
            WorkerLost: the worker ended meanwhile.
            Exception: what the function raises.
        """

    def call_here(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, as `call`, but on this machine, which reaches the stores."""

    def close(self) -> None:
        """End all workers and what they run."""


class InProcessPool:
    """A pool that runs its job in this process, an event at a time."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._events: Iterator[Progress | End] = iter(())
        self._frontier: Sequence[Point] = ()

    def count_free(self) -> int:
        return 0 if self._job else 1

    def start(self, job: Job) -> None:
        from pipeline.search.workers.job_kinds import run_job

        self._job, self._events = job, catch_crash(run_job(job, lambda: self._frontier))

    def has_events(self) -> bool:
        return False  # the one job makes them only when it is asked

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        self._frontier, job = frontier, self._job
        if job is None:
            return
        event = next(self._events)
        if not isinstance(event, Progress):
            self._job = None
        yield job, event

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    call_here = call

    def close(self) -> None:
        self._job, self._events = None, iter(())


def catch_crash(events: Iterator[E]) -> Iterator[E | Crash | TrialOutcome]:
    """Yield the events; an exception becomes the last of them: a `Crash`, or a trial that is refused."""
    try:
        yield from events
    except CacheUnusable as error:
        yield TrialOutcome(status="refused", reason=str(error))
    except Exception:
        yield Crash(traceback.format_exc())


def explain_late(seconds: float) -> str:
    """Explain why a job was ended that took longer than `seconds`."""
    return f"it had not ended after {format_count(seconds, 'second')} (search.trial_timeout)"


def make_cut_outcome(
    job: Job,
    device: ClaimedDevice,
    epochs: Sequence[Epoch],
    reason: str,
    paid_seconds: float,
    output: str = "",
) -> TrialOutcome:
    """Return the outcome of a job that was cut off and so has failed; `epochs`: those that were heard of."""
    is_whole = bool(epochs) and epochs[0].number == 1
    fair = job.settings.fair_midway
    return TrialOutcome(
        status="failed",
        reason=f"{reason}, {f'after epoch {epochs[-1].number}' if epochs else 'before its first epoch'}",
        curve=Curve(device.name, fair, tuple(epochs)) if is_whole else None,
        paid_seconds=paid_seconds,
        output=output,
    )
