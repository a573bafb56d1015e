"""Contention: whether a trial had its device to itself while it trained; if not, what share of it.

A process that is ready to run and has to wait for a core is slower through no fault of its own. Linux counts
that wait for every thread (/proc/self/task/*/schedstat), and what a hypervisor takes as steal (/proc/stat).
Where the wait is not counted, CPU seconds against wall seconds show it for one thread. A neighbour on the
other half of a core, in the caches or on the memory bus is seen by none of these.
"""

import operator
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from statistics import median
from typing import Protocol

from pipeline.hardware.energy import Gauge

CLEAR_SHARE = 0.95
"""A share of the cores below this is contention; above it are the kernel's own interruptions."""

MIN_SPAN_SECONDS = 0.02
"""Wall seconds that a verdict needs; shorter epochs are judged together with those before them."""

PRESSURE_SHARE = 0.02
"""Share of time that some task of the machine waited for a core; below it nobody took ours."""

TICK_SECONDS = 0.01
"""The kernel counts steal in ticks of this length, so that much of it may be rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
        """Return the span from `before` to this reading; of `strangers` the larger number of the two."""
        # A thread that ended takes its wait along, so a difference may be below zero.
        return _join(self, before, lambda now, then: max(0.0, now - then))

    def __add__(self, later: "Reading") -> "Reading":
        """Add two spans up to one."""
        return _join(self, later, operator.add)


def _join(first: Reading, second: Reading, join: Callable[[float, float], float]) -> Reading:
    """Apply `join` to each pair of counters; None where one of the two is not counted."""

    def join_counted(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else join(a, b)

    counts = [count for count in (first.strangers, second.strangers) if count is not None]
    return Reading(
        wall=join(first.wall, second.wall),
        cpu=join(first.cpu, second.cpu),
        delayed=join_counted(first.delayed, second.delayed),
        stolen=join_counted(first.stolen, second.stolen),
        pressure=join_counted(first.pressure, second.pressure),
        strangers=max(counts, default=None),
    )


# ---- judging ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContentionVerdict:
    """Whether a span was contended; `share`: core time obtained / core time needed, 0..1, None if unknown."""

    contended: bool
    share: float | None


def compute_core_share(span: Reading, cores: int) -> float | None:
    """Return the core seconds that a process got / those it needed, 0..1: 1 where it never waited.

    A process that kept all of its cores busy had them to itself, even where its own threads queued for them.
    None for several cores where waiting is not counted: threads may have been idle of their own accord.
    """
    available = span.wall * cores
    stolen = max(0.0, (span.stolen or 0.0) - TICK_SECONDS)
    used = max(0.0, min(span.cpu, available - stolen))  # some kernels count stolen time as run
    if not available or not span.cpu or (span.delayed is None and cores > 1):
        return None
    busy_share = used / available
    if span.delayed is None:
        return busy_share
    return max(busy_share, used / (used + span.delayed + stolen)) if used else 0.0


def judge_span(span: Reading, cores: int) -> ContentionVerdict:
    """Judge a span; `cores` = 0 for a trial on a GPU, which only other processes on that GPU can disturb.

    A span shorter than `MIN_SPAN_SECONDS` is never called contended.
    """
    if span.wall < MIN_SPAN_SECONDS:
        return ContentionVerdict(False, None)
    if not cores:
        return ContentionVerdict(bool(span.strangers), None)
    share = compute_core_share(span, cores)
    if share is None:
        return ContentionVerdict(False, None)
    return ContentionVerdict(share < CLEAR_SHARE and not _was_idle(span), share)


def _was_idle(span: Reading) -> bool:
    """Return whether the cores stood idle, so that the process waited for something else than a core."""
    counted = span.delayed is not None or bool(span.stolen)
    return not counted and span.pressure is not None and span.pressure < PRESSURE_SHARE * span.wall


CLEAN_SHARE = 0.98
"""A short repeat that got at least this much of its core tells what a step costs."""

MIN_CLEAN_LAPS = 5
"""Clean laps of each length that an estimate needs."""


def estimate_step_seconds(laps: Sequence[tuple[int, float]]) -> float | None:
    """Estimate the seconds of one step from clean laps (steps, seconds) of two lengths.

    It is the difference of the two medians, so that what a call costs besides its steps cancels. None where
    there are fewer than `MIN_CLEAN_LAPS` of either length.
    """
    by_length: dict[int, list[float]] = {}
    for steps, seconds in laps:
        by_length.setdefault(steps, []).append(seconds)
    if len(by_length) != 2 or min(map(len, by_length.values())) < MIN_CLEAN_LAPS:
        return None
    (few, few_seconds), (many, many_seconds) = sorted(by_length.items())
    seconds = (median(many_seconds) - median(few_seconds)) / (many - few)
    return seconds if seconds > 0 else None


class ContentionMonitor:
    """An observer of one trial's training, epoch by epoch, that says whether others took part of its device.

    `verdict` is on the last epoch.
    """

    def __init__(self, readings: "ReadingSource", cores: int) -> None:
        """`cores`: CPU cores that the trial holds, 0 on a GPU."""
        self._readings, self._cores = readings, cores
        self._recent: deque[Reading] = deque()
        self.verdict = ContentionVerdict(False, None)
        self.lost_share = 0.0
        """Share of the last epoch's wall seconds that others took; 0 unless it was contended."""

    def run_and_judge(self, call: Callable[[], None]) -> bool:
        """Run `call`; return whether it had its cores to itself, as far as that is counted."""
        before = self._readings.read()
        call()
        span = self._readings.read().since(before)
        if not self._cores:
            return not span.strangers
        if span.delayed is None:
            return False
        return span.delayed <= (1 - CLEAN_SHARE) * span.wall

    @contextmanager
    def observe_epoch(self) -> Iterator[None]:
        """Judge the block, an epoch of training, together with as many before it as a verdict needs."""
        before = self._readings.read()
        yield
        span = self._readings.read().since(before)
        self._recent.append(span)
        while sum(earlier.wall for earlier in list(self._recent)[1:]) >= MIN_SPAN_SECONDS:
            self._recent.popleft()
        self.verdict = judge_span(reduce(operator.add, self._recent), self._cores)
        share = compute_core_share(span, self._cores) if self.verdict.contended and self._cores else None
        self.lost_share = 0.0 if share is None else 1 - share


# ---- reading ---------------------------------------------------------------------------------------


class ReadingSource(Protocol):
    """A source of readings; tests replay recorded ones."""

    def read(self) -> Reading: ...


class KernelCounters:
    """The counters that the kernel keeps for the running process."""

    def __init__(self, gauge: Gauge, cores: int, proc: Path = Path("/proc")) -> None:
        """`cores`: CPU cores that the trial holds, 0 on a GPU; `gauge`: knows who else is on the GPU."""
        self._gauge, self._cores, self._proc = gauge, cores, proc

    def read(self) -> Reading:
        return Reading(
            wall=time.monotonic(),
            cpu=time.process_time(),
            delayed=read_delayed_seconds(self._proc),
            stolen=read_stolen_seconds(self._proc, self._cores),
            pressure=read_pressure_seconds(self._proc),
            strangers=self._gauge.strangers(),
        )


def read_delayed_seconds(proc: Path) -> float | None:
    """Return the seconds that this process' threads have waited for a core so far; None: not counted."""
    waits = []
    for path in proc.glob("self/task/*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # a thread may end while it is read
            waits.append(int(path.read_text().split()[1]) * 1e-9)
    return sum(waits) if waits else None


def read_stolen_seconds(proc: Path, cores: int) -> float | None:
    """Return the seconds that the hypervisor has taken so far from `cores` cores; None: not counted.

    It is the average of the cores that this process may use x `cores`.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    with suppress(OSError, IndexError, ValueError):
        rows = [line.split() for line in (proc / "stat").read_text().splitlines()]
        ticks = [int(row[8]) for row in rows if row and row[0] in ours]
        return sum(ticks) / os.sysconf("SC_CLK_TCK") * cores / len(ticks) if ticks else None
    return None


def read_pressure_seconds(proc: Path) -> float | None:
    """Return the seconds so far in which some task of the machine waited for a core; None: not counted.

    Linux calls that pressure stall information (PSI); it is the line `some` of /proc/pressure/cpu.
    """
    with suppress(OSError, IndexError, ValueError):
        return int((proc / "pressure/cpu").read_text().split("total=")[1].split()[0]) * 1e-6
    return None
