"""Whether a trial had its device to itself while it trained; if not, what share of it.

A process that is ready to run and has to wait for a core is slower through no fault of its own. Linux counts
that wait for every thread (/proc/self/task/*/schedstat), and what a hypervisor takes as steal (/proc/stat).
Where the wait is not counted, CPU seconds against wall seconds tell it for one thread. A neighbour on the
other half of a core, in the caches or on the memory bus is seen by none of these.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from pipeline.hardware.energy import Gauge

CLEAR_SHARE = 0.95
"""A share of the cores below this is contention; above it are the kernel's own interruptions."""

SHORTEST_SECONDS = 0.02
"""Wall seconds that a verdict needs; shorter epochs are judged together with those before them."""

PRESSURE_SHARE = 0.02
"""Share of time that some task of the machine waited for a core; below it nobody took ours."""

TICK_SECONDS = 0.01
"""The kernel counts steal in ticks of this length, so that much of it may be rounding."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment, or their difference over a span, in seconds; None where nobody counts.

    `cpu`: on a core, all threads of the process; `delayed`: ready to run but waiting for a core, likewise;
    `stolen`: taken from our cores by the hypervisor; `pressure`: some task of the machine waited for a core.
    `strangers` is no counter: other processes on our GPU.
    """

    wall: float
    cpu: float
    delayed: float | None = None
    stolen: float | None = None
    pressure: float | None = None
    strangers: int | None = None

    def since(self, before: "Reading") -> "Reading":
        """The span between two readings; of strangers the more."""
        # A thread that ended takes its wait along, so a difference may be below zero.
        return _joined(self, before, lambda now, then: max(0.0, now - then))

    def __add__(self, other: "Reading") -> "Reading":
        """Two spans as one."""
        return _joined(self, other, lambda one, two: one + two)


def _joined(one: Reading, two: Reading, join: Callable[[float, float], float]) -> Reading:
    def both(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else join(a, b)

    seen = [count for count in (one.strangers, two.strangers) if count is not None]
    return Reading(
        join(one.wall, two.wall),
        join(one.cpu, two.cpu),
        both(one.delayed, two.delayed),
        both(one.stolen, two.stolen),
        both(one.pressure, two.pressure),
        max(seen, default=None),
    )


# ---- judging ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """`share`: of the core time that was wanted, what was got, 0..1; None where it cannot be told."""

    contended: bool
    share: float | None


def core_share(span: Reading, cores: int) -> float | None:
    """Core seconds that a process got, of those it wanted: 1 where it never waited.

    A process that kept all of its cores busy got them whole, even where its own threads queued for them.
    None for several cores where waiting is not counted: threads may have been idle of their own accord.
    """
    whole = span.wall * cores
    stolen = max(0.0, (span.stolen or 0.0) - TICK_SECONDS)
    got = max(0.0, min(span.cpu, whole - stolen))  # some kernels count stolen time as run
    if not whole or not span.cpu or (span.delayed is None and cores > 1):
        return None
    filled = got / whole
    if span.delayed is None:
        return filled
    return max(filled, got / (got + span.delayed + stolen)) if got else 0.0


def judge(span: Reading, cores: int) -> Verdict:
    """The verdict on a span; `cores` = 0 for a trial on a GPU, which other processes alone can disturb."""
    if span.wall < SHORTEST_SECONDS:
        return Verdict(False, None)
    if not cores:
        return Verdict(bool(span.strangers), None)
    share = core_share(span, cores)
    if share is None:
        return Verdict(False, None)
    return Verdict(share < CLEAR_SHARE and not _slept(span), share)


def _slept(span: Reading) -> bool:
    """Whether the cores stood idle, so that the process waited for something else than a core."""
    counted = span.delayed is not None or bool(span.stolen)
    return not counted and span.pressure is not None and span.pressure < PRESSURE_SHARE * span.wall


CLEAN_SHARE = 0.98
"""A short repeat that got at least this much of its core tells what a step costs."""

FEWEST_CLEAN = 5


def step_seconds(laps: Sequence[tuple[int, float]]) -> float | None:
    """Seconds of one step, from clean laps (steps, seconds) of two lengths; None with too few of either.

    The difference of the medians, so that what a call costs besides its steps cancels.
    """
    by_length: dict[int, list[float]] = {}
    for steps, seconds in laps:
        by_length.setdefault(steps, []).append(seconds)
    if len(by_length) != 2 or min(map(len, by_length.values())) < FEWEST_CLEAN:
        return None
    (short, brief), (long, lasting) = sorted(by_length.items())
    found = (median(lasting) - median(brief)) / (long - short)
    return found if found > 0 else None


class Witness:
    """Watches the training of one trial, epoch by epoch."""

    def __init__(self, readings: "Readings", cores: int) -> None:
        """`cores`: CPU cores that the trial holds, 0 on a GPU."""
        self._readings, self._cores = readings, cores
        self._recent: deque[Reading] = deque()
        self.verdict = Verdict(False, None)
        self.lost_share = 0.0
        """Share of the last epoch's wall seconds that others took; 0 unless it was contended."""

    def is_clean(self, go: Callable[[], None]) -> bool:
        """Run `go`; whether it had its cores to itself, as far as that is counted."""
        before = self._readings.read()
        go()
        span = self._readings.read().since(before)
        if not self._cores:
            return not span.strangers
        if span.delayed is None:
            return False
        return span.delayed <= (1 - CLEAN_SHARE) * span.wall

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Judge the block, an epoch of training, with as many before it as a verdict needs."""
        before = self._readings.read()
        yield
        span = self._readings.read().since(before)
        self._recent.append(span)
        while sum(each.wall for each in list(self._recent)[1:]) >= SHORTEST_SECONDS:
            self._recent.popleft()
        together = self._recent[0]
        for each in list(self._recent)[1:]:
            together += each
        self.verdict = judge(together, self._cores)
        own = core_share(span, self._cores) if self.verdict.contended and self._cores else None
        self.lost_share = 0.0 if own is None else 1 - own


# ---- reading ---------------------------------------------------------------------------------------


class Readings(Protocol):
    """Where readings come from; tests replay recorded ones."""

    def read(self) -> Reading: ...


class SystemReadings:
    """What the kernel counts for the running process."""

    def __init__(self, gauge: Gauge, cores: int, proc: Path = Path("/proc")) -> None:
        """`cores`: CPU cores that the trial holds, 0 on a GPU; `gauge`: tells who else is on the GPU."""
        self._gauge, self._cores, self._proc = gauge, cores, proc

    def read(self) -> Reading:
        return Reading(
            wall=time.monotonic(),
            cpu=time.process_time(),
            delayed=delayed(self._proc),
            stolen=stolen(self._proc, self._cores),
            pressure=pressure(self._proc),
            strangers=self._gauge.strangers(),
        )


def delayed(proc: Path) -> float | None:
    """Seconds that the threads of this process have waited for a core so far."""
    waits = []
    for path in proc.glob("self/task/*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # a thread may end while it is read
            waits.append(int(path.read_text().split()[1]) * 1e-9)
    return sum(waits) if waits else None


def stolen(proc: Path, cores: int) -> float | None:
    """Seconds that the hypervisor has taken so far, the average of the cores we may use x `cores`."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    with suppress(OSError, IndexError, ValueError):
        rows = [line.split() for line in (proc / "stat").read_text().splitlines()]
        ticks = [int(row[8]) for row in rows if row and row[0] in ours]
        return sum(ticks) / os.sysconf("SC_CLK_TCK") * cores / len(ticks) if ticks else None
    return None


def pressure(proc: Path) -> float | None:
    """Seconds so far in which some task of the machine waited for a core (PSI, the line `some`)."""
    with suppress(OSError, IndexError, ValueError):
        return int((proc / "pressure/cpu").read_text().split("total=")[1].split()[0]) * 1e-6
    return None
