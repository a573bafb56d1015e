"""Contention: whether a trial had its device to itself while it trained; if not, what share of it.

What others take from a core is what the core was busy (/proc/stat, a hypervisor's steal included) less the
CPU seconds of this process, which is bound to that core. Threads of the process may queue for the core among
themselves: that is no contention. For a process that is bound to no cores, and where the system does not
count, nothing is known and nothing is taken off. A neighbour on the other half of a core, in the caches or on
the memory bus is not seen.
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

from pipeline.hardware import cpu_cores
from pipeline.hardware.energy import Gauge

CLEAR_SHARE = 0.95
"""A share of the cores below this is contention; above it are the kernel's own interruptions."""

MIN_SPAN_SECONDS = 0.05
"""Wall seconds that a verdict needs; shorter epochs are judged together with what was before them."""

TICK_SECONDS = 0.01
"""Linux tells all programs in ticks of this length how long a core was busy (USER_HZ)."""

ROUNDING_SECONDS = 2 * TICK_SECONDS
"""What a core seems to be busy beyond its process may be rounding up to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters at one moment, or their difference over a span, in seconds; None where nobody counts.

    `cpu`: on a core, all threads of the process; `busy`: the cores of the process were at work, for whomever;
    `stolen`: the part of `busy` that the hypervisor took; `delayed`: threads of the process were ready to run
    but waited for a core, added up. No counters: `threads`, of which `delayed` tells, and `strangers`, other
    processes on our GPU.
    """

    wall: float
    cpu: float
    busy: float | None = None
    stolen: float = 0.0
    delayed: float | None = None
    threads: frozenset[int] = frozenset()
    strangers: int | None = None

    def since(self, before: "Reading") -> "Reading":
        """Return the span from `before` to this reading; of `strangers` the larger number of the two.

        A thread that ended took its wait along, so `delayed` is unknown then.
        """

        def subtract(now: float | None, then: float | None) -> float | None:
            return None if now is None or then is None else max(0.0, now - then)

        counts = [count for count in (self.strangers, before.strangers) if count is not None]
        return Reading(
            wall=max(0.0, self.wall - before.wall),
            cpu=max(0.0, self.cpu - before.cpu),
            busy=subtract(self.busy, before.busy),
            stolen=max(0.0, self.stolen - before.stolen),
            delayed=subtract(self.delayed, before.delayed) if before.threads <= self.threads else None,
            threads=self.threads,
            strangers=max(counts, default=None),
        )


# ---- judging ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContentionVerdict:
    """Whether a span was contended; `share`: of the time of its cores that others left, None if unknown."""

    contended: bool
    share: float | None


def compute_core_share(span: Reading, cores: int) -> float | None:
    """Return the share of the time of `cores` cores that others left to a process, 0..1; None: unknown.

    Others' time counts only as far as the process waited for a core: what they do with a core that it leaves
    idle takes nothing from it.
    """
    lost_seconds = _count_taken_seconds(span, cores)
    return None if lost_seconds is None else 1 - lost_seconds / (span.wall * cores)


def compute_lost_seconds(span: Reading, cores: int) -> float:
    """Return the core-seconds that a process lost to others in a contended span.

    Ticks are too coarse to count what a short epoch lost, but CPU seconds and waits are exact: the process
    lost no more than it was off its cores, nor than it waited for them.
    """
    foreign_seconds = _count_taken_seconds(span, cores, ROUNDING_SECONDS * cores)
    if foreign_seconds is None:
        return 0.0
    return min(foreign_seconds, max(0.0, span.wall * cores - span.cpu + span.stolen))


def _count_taken_seconds(span: Reading, cores: int, rounding: float = 0.0) -> float | None:
    """Return the core-seconds that others took; `rounding`: seconds that the ticks may have left out."""
    available = span.wall * cores
    if not available or span.busy is None:
        return None
    used = min(span.cpu, max(0.0, available - span.stolen))  # some kernels count stolen time as run
    foreign_seconds = max(0.0, span.busy - used + rounding)
    if span.delayed is not None:
        foreign_seconds = min(foreign_seconds, span.delayed + span.stolen)
    return min(foreign_seconds, available)


def judge_span(span: Reading, cores: int) -> ContentionVerdict:
    """Judge a span; `cores` = 0 for a trial on a GPU, which only other processes on that GPU can disturb.

    A span shorter than `MIN_SPAN_SECONDS` is never called contended, nor one of which others took no more
    than rounding may explain.
    """
    if span.wall < MIN_SPAN_SECONDS:
        return ContentionVerdict(False, None)
    if not cores:
        return ContentionVerdict(bool(span.strangers), None)
    share = compute_core_share(span, cores)
    if share is None:
        return ContentionVerdict(False, None)
    return ContentionVerdict(share + ROUNDING_SECONDS / span.wall < CLEAR_SHARE, share)


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
        """Start to count; `cores`: CPU cores that the trial holds, 0 on a GPU."""
        self._readings, self._cores = readings, cores
        # A short first epoch is judged together with what came before it, such as warming up.
        self._starts = deque([readings.read()])
        self.verdict = ContentionVerdict(False, None)
        self.lost_seconds = self.stolen_seconds = 0.0
        """Core-seconds of the last epoch that others, and of these the hypervisor, took if contended."""

    def run_and_judge(self, call: Callable[[], None]) -> bool:
        """Run `call`; return whether it had its cores to itself, as far as that is counted.

        That is so where it kept all of them busy, or its threads never waited. Ticks are too coarse here.
        """
        before = self._readings.read()
        call()
        span = self._readings.read().since(before)
        if not self._cores:
            return not span.strangers
        if span.cpu >= CLEAN_SHARE * span.wall * self._cores:
            return True
        return span.delayed is not None and span.delayed <= (1 - CLEAN_SHARE) * span.wall

    @contextmanager
    def observe_epoch(self) -> Iterator[None]:
        """Judge the block, an epoch of training, together with as much before it as a verdict needs."""
        before = self._readings.read()
        self._starts.append(before)
        yield
        now = self._readings.read()
        while len(self._starts) > 1 and now.wall - self._starts[1].wall >= MIN_SPAN_SECONDS:
            self._starts.popleft()
        self.verdict = judge_span(now.since(self._starts[0]), self._cores)
        span = now.since(before)
        self.stolen_seconds = span.stolen
        self.lost_seconds = compute_lost_seconds(span, self._cores)


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
        counted, delays = read_busy_seconds(self._proc, self._cores), read_delays(self._proc)
        busy, stolen = counted or (None, 0.0)
        return Reading(
            wall=time.monotonic(),
            cpu=time.process_time(),
            busy=busy,
            stolen=stolen,
            delayed=sum(delays.values()) if delays else None,
            threads=frozenset(delays),
            strangers=self._gauge.strangers(),
        )


def read_busy_seconds(proc: Path, cores: int) -> tuple[float, float] | None:
    """Return the seconds so far that the `cores` cores of this process were at work, and the stolen of these.

    They count for whomever the cores worked. None where nobody counts, or where this process is not bound to
    so many cores: then nobody knows which of them it has.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    own, ticks = os.sched_getaffinity(0), cpu_cores.read_core_ticks(proc / "stat")
    if not cores or len(own) != cores or not own <= ticks.keys():
        return None
    busy = sum(ticks[core].busy for core in own)
    return busy * TICK_SECONDS, sum(ticks[core].stolen for core in own) * TICK_SECONDS


def read_delays(proc: Path) -> dict[int, float]:
    """Return the seconds that each thread of this process has waited for a core; {}: not counted."""
    delays = {}
    with suppress(OSError):
        for thread in os.listdir(proc / "self/task"):
            path = f"{proc}/self/task/{thread}/schedstat"
            # A thread may end while it is read.
            with suppress(OSError, IndexError, ValueError), open(path, "rb", buffering=0) as file:
                delays[int(thread)] = int(file.read().split()[1]) * 1e-9
    return delays
