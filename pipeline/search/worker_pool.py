"""Where trials run: in this process, or in warm processes of their own, each on cores of its own.

Warm: a fork server imports TensorFlow once and computes nothing, so a worker starts in some hundredths of a
second. A worker that dies takes its trial along and nothing else; another one takes its place.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Protocol

import psutil

from pipeline.measures import Epoch, Point
from pipeline.search.job import Ended, Job
from pipeline.settings.measuring import Device

PRELOADED = ["pipeline.search.job"]
GRACE_SECONDS = 5.0
"""How long a worker may take to end once it is told to."""


@dataclass(frozen=True, slots=True)
class Bug:
    """An exception that no setting explains: where, in full."""

    text: str


Event = tuple[Job, Epoch | Ended | Bug]


class Crew(Protocol):
    """Those who run jobs."""

    def free(self) -> int:
        """How many more jobs can be taken now."""

    def start(self, job: Job) -> None:
        """Take a job; there must be somebody free."""

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        """What happened since; waits for something while a job runs. `frontier`: for those who work."""

    def close(self) -> None:
        """Send everybody home."""


def crew(workers: int, device: Device) -> Crew:
    """One: this process; more: processes of their own."""
    return Alone() if workers == 1 else Company(workers, device)


class Alone:
    """The work is done in this process, an event at a time."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._events: Iterator[Epoch | Ended | Bug] = iter(())
        self._frontier: Sequence[Point] = ()

    def free(self) -> int:
        return 0 if self._job else 1

    def start(self, job: Job) -> None:
        from pipeline.search.job import work

        self._job, self._events = job, _whole(work(job, lambda: self._frontier))

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        self._frontier, job = frontier, self._job
        if job is None:
            return
        event = next(self._events)
        if not isinstance(event, Epoch):
            self._job = None
        yield job, event

    def close(self) -> None:
        self._job, self._events = None, iter(())


# ---- processes of their own -------------------------------------------------------------------------


@dataclass(slots=True)
class _Hand:
    """A worker process and the line to it."""

    process: ForkServerProcess
    line: Connection
    job: Job | None = None
    told: Sequence[Point] = field(default_factory=tuple)


class Company:
    """`workers` processes, started when they are first needed and replaced when they die."""

    def __init__(self, workers: int, device: Device) -> None:
        self._workers, self._device = workers, device
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._hands: list[_Hand] = []
        self._frontier: Sequence[Point] = ()

    def free(self) -> int:
        return self._workers - sum(hand.job is not None for hand in self._hands)

    def start(self, job: Job) -> None:
        self._hands = [hand for hand in self._hands if hand.job or hand.process.is_alive()]
        hand = next((hand for hand in self._hands if hand.job is None), None) or self._hire()
        hand.job, hand.told = job, ()
        with suppress(OSError):  # it died this moment: `events` will notice
            hand.line.send(job)
        self._tell(hand)

    def _hire(self) -> _Hand:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, os.getpid(), self._device), daemon=True)
        process.start()
        theirs.close()
        hand = _Hand(process, ours)
        self._hands.append(hand)
        return hand

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        busy = {hand.line: hand for hand in self._hands if hand.job}
        if not busy:
            return
        self._frontier = frontier
        for line in wait(list(busy), timeout=1.0):
            assert isinstance(line, Connection)
            yield from self._heard(busy[line])

    def _tell(self, hand: _Hand) -> None:
        """The frontier, if it is news: once an epoch at most, so that an unread line never fills up."""
        if self._frontier is not hand.told:
            with suppress(OSError):
                hand.line.send(tuple(self._frontier))
            hand.told = self._frontier

    def _heard(self, hand: _Hand) -> Iterator[Event]:
        job = hand.job
        assert job is not None
        try:
            event = hand.line.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._hands.remove(hand)
            yield job, Ended("failed", _epitaph(hand.process))
            return
        if isinstance(event, Epoch):
            self._tell(hand)
        else:
            hand.job = None
        yield job, event

    def close(self) -> None:
        for hand in self._hands:
            hand.line.close()  # whoever waits for a job ends at that
            if hand.job:
                hand.process.terminate()
        for hand in self._hands:
            hand.process.join(GRACE_SECONDS)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
        self._hands = []


def _epitaph(process: ForkServerProcess) -> str:
    process.join(GRACE_SECONDS)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"its worker was ended by {name}{hint}"
    return f"its worker ended with exit code {code}"


def _serve(line: Connection, parent: int, device: Device) -> None:
    """A worker's life: settle on cores, then job after job until the line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from pipeline.hardware.device import claim_and_pin_device
    from pipeline.search.job import work

    claim_and_pin_device(device)
    known: list[Sequence[Point]] = [()]

    def frontier() -> Sequence[Point]:
        while line.poll():
            known[0] = line.recv()
        return known[0]

    with suppress(EOFError, OSError):
        while True:
            job = line.recv()
            if not isinstance(job, Job):  # news for a job that has ended meanwhile
                continue
            known[0] = ()
            for event in _whole(work(job, frontier)):
                line.send(event)


def _whole(events: Iterator[Epoch | Ended]) -> Iterator[Epoch | Ended | Bug]:
    """The events, and a bug as the last of them."""
    try:
        yield from events
    except Exception:
        yield Bug(traceback.format_exc())


def _end_with(parent: int) -> None:
    """A process whose parent was killed has nobody to work for."""
    born = _birth(parent)
    while _birth(parent) == born:
        time.sleep(1.0)
    os._exit(1)


def _birth(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
