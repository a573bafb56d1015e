"""Seconds of a trial, read once the device has finished its work.

A device-second is one second of one device held: seconds of training steps times the CPU cores or GPUs
that the trial keeps from others, less what others took all the same by the rule of `contention`. Compilation,
warm-up, input preparation and validation are timed apart.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from pipeline.hardware import energy
from pipeline.hardware.contention import ContentionMonitor, ContentionVerdict
from pipeline.hardware.counters import KernelCounters, Reading, ReadingSource
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import EnergyMeter, Gauge
from pipeline.measures import PowerDraw, Seconds

Phase = Literal["input", "compile", "warm_up", "train", "validate"]


def wait_for_tensorflow() -> None:
    """Wait until what TensorFlow was told to do is done."""
    from pipeline.backend import tf  # a loop of the user's own may not need it

    tf.test.experimental.sync_devices()


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that waits for the device before it is read; `name`: which seconds, for people."""

    name: str
    read: Callable[[], float]

    def time(self, call: Callable[[], object]) -> float:
        """Return the seconds that `call()` and what it starts on the device take."""
        wait_for_tensorflow()
        start = self.read()
        call()
        wait_for_tensorflow()
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
        self,
        device: ClaimedDevice,
        readings: ReadingSource | None = None,
        gauge: Gauge | None = None,
        wait: Callable[[], None] = wait_for_tensorflow,
        watts: float | None = None,
        computed: Callable[[], float] | None = None,
    ) -> None:
        """Start at zero; `readings`, `gauge`: of this process and the device unless a test replays some.

        `wait`: returns when the device has finished its work; `watts`: see `energy.open_gauge`; `computed`:
        CPU seconds so far of all that the trial has at work, None: of this process.
        """
        self.device = device
        self.seconds = Seconds()
        cores = device.count if device.kind == "cpu" else 0
        watts = energy.WATTS[device.kind] if watts is None else watts
        gauge = gauge or energy.open_gauge(
            device.kind, device.count, watts * device.held / device.count, computed
        )
        self._readings = readings or KernelCounters(gauge, cores)
        self._contention = ContentionMonitor(cores)
        self._energy = EnergyMeter(gauge)
        self._wait, self._read_computed = wait, computed or (lambda: time.process_time())
        self._spans: list[Reading] = []
        self._before: Reading | None = None

    @contextmanager
    def time(self, phase: Phase) -> Iterator[None]:
        """Add the seconds of the block to `phase`; a block that raises is not counted."""
        self._wait()
        start = time.perf_counter()
        yield
        self._wait()
        self._add(phase, time.perf_counter() - start)

    @contextmanager
    def time_epoch(self) -> Iterator[None]:
        """Add the seconds of the block, an epoch of training, to `train`; watch energy and contention.

        What lies between `stop` and `start` within the block is not counted.
        """
        self._spans = []
        self.start()
        yield
        self.stop()
        self._contention.add_epoch(reduce(Reading.plus, self._spans))

    def start(self) -> None:
        """Count from here on."""
        self._before = self._readings.read()
        self._measuring: AbstractContextManager[None] = self._energy.measure()
        self._measuring.__enter__()
        self._computed = self._read_computed()
        self._wait()
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Count no further than here; nothing where the clock stands."""
        if self._before is None:
            return
        self._wait()
        wall = time.perf_counter() - self._started
        computed = self._read_computed() - self._computed
        self._measuring.__exit__(None, None, None)
        span = self._readings.read().since(self._before)
        self._before = None
        self._add("train", wall)
        # The readings take a while themselves, in which the process may lose its core.
        self._spans.append(replace(span, wall=wall, cpu=computed))

    def _add(self, phase: Phase, seconds: float) -> None:
        self.seconds = replace(self.seconds, **{phase: getattr(self.seconds, phase) + seconds})

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
        """Return the seconds of training steps x devices held, less what others took; see `contention`."""
        held = self.seconds.train * self.device.held
        return held - self._contention.lost_seconds + self._contention.excess_seconds
