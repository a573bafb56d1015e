"""Seconds of a trial, read once the device has finished its work.

A device-second is one second of one device held: seconds of training steps times the CPU cores or GPUs
that the trial keeps from others, less what others took all the same by the rule of `contention`. Compilation,
warm-up, input preparation and validation are timed apart.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.backend import tf
from pipeline.hardware import energy
from pipeline.hardware.contention import ContentionMonitor, ContentionVerdict
from pipeline.hardware.counters import KernelCounters, ReadingSource
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import EnergyMeter, Gauge
from pipeline.measures import PowerDraw, Seconds

Phase = Literal["input", "compile", "warm_up", "train", "validate"]


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
        gauge, cores = gauge or energy.open_gauge(device.kind), device.count if device.kind == "cpu" else 0
        self._readings = readings or KernelCounters(gauge, cores)
        self._contention = ContentionMonitor(cores)
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
        before, train_before = self._readings.read(), self.seconds.train
        with self._energy.measure():
            computed = -time.process_time()
            with self.time("train"):
                yield
            computed += time.process_time()
        span = self._readings.read().since(before)
        # The readings take a while themselves, in which the process may lose its core.
        self._contention.add_epoch(replace(span, wall=self.seconds.train - train_before, cpu=computed))

    @property
    def lost_seconds(self) -> float:
        """Return the device-seconds of training that others took."""
        return self._contention.lost_seconds

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
