"""Seconds of a trial, read once the device has finished its work.

A device-second is one second of one device held: seconds of training steps times the CPU cores or GPUs
that the trial keeps from others, less what others took all the same (see `contention`). Compilation, warm-up,
input preparation and validation are timed apart.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.backend import tf
from pipeline.hardware import energy
from pipeline.hardware.contention import (
    ContentionMonitor,
    ContentionVerdict,
    KernelCounters,
    ReadingSource,
    estimate_step_seconds,
)
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import EnergyMeter, Gauge
from pipeline.measures import PowerDraw, Seconds

Phase = Literal["input", "compile", "warm_up", "train", "repeat", "validate"]

SLICE_SECONDS = 0.003
"""About what a busy neighbour leaves between two of its turns: shorter laps may run undisturbed."""

REPEATED_SHARE, REPEATED_SECONDS = 0.25, 1.0
"""Repeats take at most this share of the epoch's time and at most so many seconds."""

MIN_EPOCH_SECONDS = 0.1
"""Shorter epochs are not repeated."""

MAX_LAPS = 40


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that waits for the device before it is read; `name`: which seconds, for people."""

    name: str
    read: Callable[[], float]

    def time(self, call: Callable[[], object]) -> float:
        """Return the seconds that `call()` and what it starts on the device take."""
        tf.test.experimental.sync_devices()
        start = self.read()
        call()
        tf.test.experimental.sync_devices()
        return self.read() - start


WALL = Clock("wall seconds", time.perf_counter)


def choose_clock(device: ClaimedDevice) -> Clock:
    """Return the clock that others disturb least: CPU seconds of this process on one core, else wall seconds.

    What others take from the core is not in CPU seconds.
    """
    if device.kind == "cpu" and device.count == 1:
        return Clock("CPU seconds", time.process_time)
    return WALL


class Stopwatch:
    """Wall seconds of one trial by phase; the device has finished its work at both ends of each span."""

    def __init__(
        self, device: ClaimedDevice, readings: ReadingSource | None = None, gauge: Gauge | None = None
    ) -> None:
        """Start at zero; `readings`, `gauge`: of this process and the device unless a test replays some."""
        self.device = device
        self.seconds = Seconds()
        self.lost_seconds = 0.0
        """Device-seconds of training that others took."""
        self._last_epoch = self._lost_before = self._unjudged = 0.0
        gauge, cores = gauge or energy.open_gauge(device.kind), device.count if device.kind == "cpu" else 0
        self._contention = ContentionMonitor(readings or KernelCounters(gauge, cores), cores)
        self._energy = EnergyMeter(gauge)

    @contextmanager
    def time(self, phase: Phase) -> Iterator[None]:
        """Add the seconds of the block to `phase`; a block that raises is not counted."""
        tf.test.experimental.sync_devices()
        start = time.perf_counter()
        yield
        tf.test.experimental.sync_devices()
        seconds = getattr(self.seconds, phase) + time.perf_counter() - start
        self.seconds = replace(self.seconds, **{phase: seconds})

    @contextmanager
    def time_epoch(self) -> Iterator[None]:
        """Add the seconds of the block, an epoch of training, to `train`; watch energy and contention."""
        before = self.seconds.train
        with self._energy.measure(), self._contention.observe_epoch(), self.time("train"):
            computed = -time.process_time()
            yield
            computed += time.process_time()
        self._last_epoch, self._lost_before = self.seconds.train - before, self.lost_seconds
        available, contention = self._last_epoch * self.device.count, self._contention
        # The monitor's span is a little longer than the epoch: while it reads, the process may lose its core.
        off_core = max(0.0, available - computed + contention.stolen_seconds)
        self.lost_seconds += self._settle(min(contention.lost_seconds, off_core, available), available)

    def _settle(self, lost: float, available: float) -> float:
        """Return the device-seconds of `available` that the last epoch lost: only a verdict lets them count.

        What epochs before the first verdict lost is added once it says contended: to each at most half of
        what an epoch cost, so that its cost stays above zero.
        """
        if self.verdict.share is None:
            self._unjudged += lost
            return 0.0
        if not self.verdict.contended:
            self._unjudged = 0.0
            return 0.0
        late = min(self._unjudged, (available - lost) / 2)
        self._unjudged -= late
        return lost + late

    def repeat_if_contended(self, take_steps: Callable[[int], object], steps: int) -> None:
        """Measure by short repeats what the `steps` of the last epoch cost, if others disturbed that epoch.

        `take_steps(n)` takes n steps on throw-away state. Laps of one and two time slices go in turns, a
        quarter of the epoch's time at most; undisturbed ones give the cost of a step. With too few of these
        the epoch's cost stays what its counters say (`ContentionMonitor.lost_seconds`).
        """
        epoch_seconds = self._last_epoch
        if not self.verdict.contended or steps < 2 or epoch_seconds < MIN_EPOCH_SECONDS:
            return
        lap_steps = min(max(1, round(SLICE_SECONDS * steps / epoch_seconds)), steps // 2)
        laps: list[tuple[int, float]] = []
        deadline = time.perf_counter() + min(REPEATED_SHARE * epoch_seconds, REPEATED_SECONDS)
        while time.perf_counter() < deadline and len(laps) < MAX_LAPS:
            for length in (lap_steps, 2 * lap_steps):
                laps += self._time_lap(take_steps, length)
        step_cost = estimate_step_seconds(laps)
        if step_cost is None or step_cost * steps > epoch_seconds:
            return
        self.lost_seconds = self._lost_before + (epoch_seconds - step_cost * steps) * self.device.count

    def _time_lap(self, take_steps: Callable[[int], object], steps: int) -> list[tuple[int, float]]:
        """Take a lap; return [(steps, seconds)] if nobody disturbed it, else []."""
        seconds = [0.0]

        def run() -> None:
            start = time.perf_counter()
            take_steps(steps)
            tf.test.experimental.sync_devices()
            seconds[0] = time.perf_counter() - start

        return [(steps, seconds[0])] if self._contention.run_and_judge(run) else []

    @property
    def verdict(self) -> ContentionVerdict:
        """Return whether others disturbed the last epoch."""
        return self._contention.verdict

    @property
    def drawn(self) -> PowerDraw:
        """Return joules, mean watts and mean busy share (0..1) of the device over all epochs."""
        return self._energy.summarise()

    @property
    def device_seconds(self) -> float:
        """Return the seconds of training steps x devices held, less what others took."""
        return self.seconds.train * self.device.count - self.lost_seconds
