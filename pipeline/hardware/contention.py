"""Contention: whether a trial had its device to itself while it trained, and what others took from it.

A trial pays for the time of its cores, `wall x cores`, less what others took. That is

    off the cores    wall x cores - CPU seconds of the process: nobody took what it computed, so
                     CPU seconds <= cost <= wall x cores, and a busy thread of its own is charged;
    and waited for   its threads were ready to run but waited for a core (kept exactly by the kernel), or the
                     hypervisor or the quota of a container had stopped them; a trial that left its core idle
                     or waited for input is charged;
    and foreign      the core was neither idle nor ours: threads of one process may wait for each other.

The first two are exact for each epoch. The third is told in ticks of 0.01 s, so it is added up over all
epochs of training: its rounding is a tick in all and not one an epoch.

A process that is bound to no cores (`device.pin=false`, or others had claimed them all) may run on any of the
machine's: foreign is then what it lacked although none of them stood idle. Unbound threads may also take more
than the cores that the trial pays for; CPU seconds <= cost holds there, too, so it is charged what they took.

On one core with one busy thread the cost is so the CPU seconds, and the rest is idle time. A kernel that
counts what the hypervisor steals as run leaves it in the CPU seconds and in the cost; the epoch is contended.
Where nobody counts idle cores (macOS) a trial pays for all. On a GPU the cost is wall seconds. Nothing here
sees a neighbour on the other half of a core, in the caches or on the memory bus: it makes the CPU seconds
themselves more.
"""

from collections import deque
from dataclasses import dataclass

from pipeline.hardware.counters import TICK_SECONDS, Reading

CLEAR_SHARE = 0.95
"""A share of the cores below this is contention; above it are the kernel's own interruptions."""

INTERRUPTION_SECONDS = 0.002
"""What the kernel's own threads may take at once from a short epoch; a neighbour's turn is longer."""

WINDOW_SECONDS = 0.05
"""Wall seconds that a verdict looks back at; shorter epochs are judged together with those before."""


@dataclass(frozen=True, slots=True)
class ContentionVerdict:
    """Whether training was contended; `share`: of the time of its cores that others left, None if unknown."""

    contended: bool
    share: float | None


@dataclass(frozen=True, slots=True)
class CoreSeconds:
    """Core-seconds of an epoch: `available`, of these off the cores, `lost` to others, and stolen."""

    available: float
    off_cores: float
    lost: float
    stolen: float


class ContentionMonitor:
    """An observer of one trial's training, epoch by epoch, that says what others took of its device.

    `verdict` is on the last epoch, or the last few if they are short; `lost_seconds`: core-seconds that
    others took from all epochs so far; `excess_seconds`: core-seconds that the trial took beyond its cores.
    """

    def __init__(self, cores: int) -> None:
        """Start to count; `cores`: CPU cores that the trial holds, 0 on a GPU."""
        self._cores = cores
        self._foreign_balance = 0.0
        self._window: deque[CoreSeconds] = deque()
        self.verdict = ContentionVerdict(False, None)
        self.lost_seconds = 0.0
        self.excess_seconds = 0.0

    def add_epoch(self, span: Reading) -> None:
        """Count an epoch: `wall` and `cpu` exactly of its training, the other counters from around it."""
        excess = span.cpu - span.wall * self._cores
        if self._cores and excess > INTERRUPTION_SECONDS:  # less is the clocks' own time
            self.excess_seconds += excess
        if not self._cores:
            self.verdict = ContentionVerdict(bool(span.strangers), None)
        elif span.idle is None or not span.wall:
            self.verdict = ContentionVerdict(False, None)
        else:
            self._window.append(self._count_epoch(span, span.idle))
            self.lost_seconds += self._window[-1].lost
            self.verdict = self._judge_window()

    def _count_epoch(self, span: Reading, idle: float) -> CoreSeconds:
        """Return what others took from an epoch by the rule of this module."""
        available, rounding = span.wall * self._cores, TICK_SECONDS * self._cores
        off_cores = max(0.0, available - span.cpu)
        # A core that a quota stops stands idle.
        foreign = self._foreign_balance + available - span.cpu - idle + min(span.throttled, idle)
        if span.delayed is None:
            lost = min(off_cores, max(0.0, foreign))
        else:
            waited = span.delayed + span.stolen + span.throttled
            lost = min(off_cores, waited, max(0.0, foreign + rounding))
        # What others did while this process wanted no core is no credit for its own waits later. Where it is
        # bound to none, further cores stand idle: an epoch that had them tells nothing of the next.
        self._foreign_balance = max(min(foreign - lost, rounding), -3 * rounding)
        return CoreSeconds(available, off_cores, lost, span.stolen)

    def _judge_window(self) -> ContentionVerdict:
        """Judge the last epochs, as many as `WINDOW_SECONDS` need."""
        window, least = self._window, WINDOW_SECONDS * self._cores
        while len(window) > 1 and sum(epoch.available for epoch in window) - window[0].available >= least:
            window.popleft()
        available, lost = sum(epoch.available for epoch in window), sum(epoch.lost for epoch in window)
        stolen_as_run = sum(epoch.stolen - epoch.off_cores for epoch in window)
        if stolen_as_run > TICK_SECONDS * self._cores:  # less may be rounding
            lost = min(available, lost + stolen_as_run)
        share = 1 - lost / available
        return ContentionVerdict(share < CLEAR_SHARE and lost > INTERRUPTION_SECONDS, share)
