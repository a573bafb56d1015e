"""The counters that the kernel keeps for this process and its cores: CPU seconds, idle seconds, waits.

CPU seconds and waits are exact. How long a core stood idle is told in ticks of 0.01 s. Outside Linux most of
them are missing, which is no error.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.hardware import cpu_cores
from pipeline.hardware.cpu_quota import GROUPS, PROC, find_quota, read_throttled_seconds
from pipeline.hardware.energy import Gauge

TICK_SECONDS = 0.01
"""Linux tells all programs in ticks of this length what a core did (USER_HZ)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Counters at one moment, or their difference over a span, in seconds; None where nobody counts.

    `cpu`: on a core, all threads of the process, added up; `idle`: the cores that the process may use had
    nothing to do, added up; `delayed`: threads of the process were ready to run but waited for a core, added
    up; `stolen`: what the hypervisor took of the cores; `throttled`: what a container's quota withheld.
    No counters: `threads`, of which `delayed` tells, and `strangers`, other processes on our GPU.
    """

    wall: float
    cpu: float
    idle: float | None = None
    delayed: float | None = None
    stolen: float = 0.0
    throttled: float = 0.0
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
            idle=subtract(self.idle, before.idle),
            delayed=subtract(self.delayed, before.delayed) if before.threads <= self.threads else None,
            stolen=max(0.0, self.stolen - before.stolen),
            throttled=max(0.0, self.throttled - before.throttled),
            threads=self.threads,
            strangers=max(counts, default=None),
        )

    def plus(self, span: "Reading") -> "Reading":
        """Return this span and another of the same process as one; what one of them lacks is unknown."""

        def add(first: float | None, second: float | None) -> float | None:
            return None if first is None or second is None else first + second

        counts = [count for count in (self.strangers, span.strangers) if count is not None]
        return Reading(
            wall=self.wall + span.wall,
            cpu=self.cpu + span.cpu,
            idle=add(self.idle, span.idle),
            delayed=add(self.delayed, span.delayed),
            stolen=self.stolen + span.stolen,
            throttled=self.throttled + span.throttled,
            threads=self.threads | span.threads,
            strangers=max(counts, default=None),
        )


class ReadingSource(Protocol):
    """A source of readings; tests replay recorded ones."""

    def read(self) -> Reading:
        """Read all counters, now."""


class KernelCounters:
    """The counters that the kernel keeps for the running process."""

    def __init__(self, gauge: Gauge, cores: int, proc: Path = PROC, groups: Path = GROUPS) -> None:
        """`cores`: CPU cores that the trial holds, 0 on a GPU; `gauge`: knows who else is on the GPU."""
        self._gauge, self._cores, self._proc = gauge, cores, proc
        quota = find_quota(proc, groups)
        self._quota_file = quota.file if quota else None

    def read(self) -> Reading:
        idle, stolen = read_idle_seconds(self._proc, self._cores) or (None, 0.0)
        delays = read_delays(self._proc)
        return Reading(
            wall=time.monotonic(),
            cpu=time.process_time(),
            idle=idle,
            delayed=sum(delays.values()) if delays else None,
            stolen=stolen,
            throttled=read_throttled_seconds(self._quota_file),
            threads=frozenset(delays),
            strangers=self._gauge.strangers(),
        )


def read_idle_seconds(proc: Path, cores: int) -> tuple[float, float] | None:
    """Return the seconds so far that the cores that this process may use stood idle, and that were stolen.

    `cores`: how many of them it holds; where it is bound to none, nobody knows what was stolen of them: 0.
    None where nobody counts, or where it may use fewer than that.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    own, ticks = os.sched_getaffinity(0), cpu_cores.read_core_ticks(proc / "stat")
    if not cores or len(own) < cores or not own <= ticks.keys():
        return None
    idle = sum(ticks[core].idle for core in own)
    stolen = sum(ticks[core].stolen for core in own) if len(own) == cores else 0
    return idle * TICK_SECONDS, stolen * TICK_SECONDS


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
