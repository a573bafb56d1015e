"""Energy, power and busy share of the device that trains.

A GPU is asked through NVML (package nvidia-ml-py), a CPU through RAPL: /sys/class/powercap, which often only
root may read, and which counts whole packages, neighbours included. Where neither answers, energy is
estimated from the power of the device at full load, and every reading says that it is an estimate.
"""

import importlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.measures import PowerDraw
from pipeline.processes.repeating_thread import RepeatingThread

RAPL = Path("/sys/class/powercap")
READ_SECONDS = 30.0
"""Between two looks at counters of RAPL: they hold 65 kJ and more, which 400 W fill in 160 s."""
MOST_WATTS, SPARE_SECONDS = 1000.0, 1.0
"""Of a CPU package; with time to spare for readings at once: a counter that would have had to draw more to
pass its limit was set to 0 instead, as when a notebook wakes up."""
STILL_SECONDS = 0.2
"""RAPL counts anew each 0.001 s: a counter that stands still for so long, as in some virtual machines, counts
nothing."""
WATTS: dict[str, float] = {"cpu": 12.0, "gpu": 200.0}
"""Of a CPU core and of a GPU at full load where nobody knows better: the rows "Any" of TDP_cpu.csv and
TDP_gpu.csv of Green Algorithms (github.com/GreenAlgorithms/green-algorithms-tool; Lannelongue, Grealey and
Inouye 2021, doi 10.1002/advs.202100707). Its table has 4 to 24 W for a core, 30 to 300 W for a GPU."""


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """One reading of a gauge: `joules` since some beginning, `watts` now, `busy` share of the time 0..1.

    `estimated`: the joules are no measurement.
    """

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None
    estimated: bool = False

    @property
    def is_measured(self) -> bool:
        """Return whether the device told what it draws."""
        return not self.estimated and (self.joules is not None or self.watts is not None)


class Gauge(Protocol):
    """What a device measures of itself; None for what it does not."""

    def read(self) -> EnergyReading:
        """Read energy, power and busy share, now."""

    def strangers(self) -> int | None:
        """Return how many other processes compute on the device; None: unknown."""


class SilentGauge:
    """The gauge of a device that measures nothing."""

    def read(self) -> EnergyReading:
        return EnergyReading()

    def strangers(self) -> int | None:
        return None


class EstimatedGauge:
    """A device that does not tell its energy: its power at full load x the seconds in which it was used."""

    def __init__(self, silent: Gauge, watts: float, clock: Callable[[], float]) -> None:
        """`watts`: of the device at full load; `clock`: seconds so far in which this process used it."""
        self._silent, self._watts, self._clock = silent, watts, clock

    def read(self) -> EnergyReading:
        return replace(self._silent.read(), joules=self._watts * self._clock(), estimated=True)

    def strangers(self) -> int | None:
        return self._silent.strangers()


class NvmlGauge:
    """One NVIDIA GPU; `library` is pynvml or a replay of it."""

    def __init__(self, library: Any, gpu: Any) -> None:
        self._library, self._gpu = library, gpu

    def read(self) -> EnergyReading:
        ask = self._library
        return EnergyReading(
            self._read_or_none(lambda: ask.nvmlDeviceGetTotalEnergyConsumption(self._gpu) / 1e3),  # mJ
            self._read_or_none(lambda: ask.nvmlDeviceGetPowerUsage(self._gpu) / 1e3),  # mW
            self._read_or_none(lambda: ask.nvmlDeviceGetUtilizationRates(self._gpu).gpu / 100),  # %
        )

    def strangers(self) -> int | None:
        """Count all processes but one, which is ours: in a container ours may have another pid there."""
        with suppress(self._library.NVMLError):
            running = self._library.nvmlDeviceGetComputeRunningProcesses(self._gpu)
            return max(0, len({process.pid for process in running}) - 1)
        return None

    def _read_or_none(self, question: Callable[[], float]) -> float | None:
        with suppress(self._library.NVMLError):  # older GPUs do not know every question
            return question()
        return None


class RaplGauge:
    """All CPU packages of the machine, added up.

    A counter starts anew at its limit, some of them after three minutes at full load. So a thread reads them
    meanwhile, until nobody holds the gauge any more.
    """

    def __init__(self, packages: list[Path]) -> None:
        self._packages, self._total = packages, 0
        self._spans = [_read_number(package / "max_energy_range_uj") + 1 for package in packages]
        self._last = [_read_number(package / "energy_uj") for package in packages]
        self._moments = [time.monotonic()] * len(packages)  # of these readings; sleep does not count
        self._lock, gauge = threading.Lock(), weakref.ref(self)
        reader = RepeatingThread(lambda: (alive := gauge()) and alive.read(), READ_SECONDS)
        reader.start()
        weakref.finalize(self, reader.stop, 0)

    def read(self) -> EnergyReading:
        with self._lock, suppress(OSError, ValueError):  # counters whose rights are taken away meanwhile
            for number, package in enumerate(self._packages):
                now, moment = _read_number(package / "energy_uj"), time.monotonic()
                drawn = (now - self._last[number]) % self._spans[number]
                seconds = moment - self._moments[number] + SPARE_SECONDS
                started_anew = now < self._last[number] and drawn > MOST_WATTS * seconds * 1e6
                self._total += now if started_anew else drawn
                self._last[number], self._moments[number] = now, moment
            return EnergyReading(joules=self._total / 1e6)
        return EnergyReading()

    def strangers(self) -> int | None:
        return None


class JoinedGauge:
    """Several devices that train together: what they draw, added up, None where one does not tell."""

    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def read(self) -> EnergyReading:
        readings = [gauge.read() for gauge in self._gauges]
        busy = _add_all([reading.busy for reading in readings])
        return EnergyReading(
            _add_all([reading.joules for reading in readings]),
            _add_all([reading.watts for reading in readings]),
            None if busy is None else busy / len(readings),
        )

    def strangers(self) -> int | None:
        counts = [gauge.strangers() for gauge in self._gauges]
        return None if None in counts else max(count for count in counts if count is not None)


def _add_all(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) if len(numbers) == len(values) else None


def open_gauge(
    kind: Literal["cpu", "gpu"],
    count: int = 1,
    watts: float | None = None,
    computed: Callable[[], float] | None = None,
) -> Gauge:
    """Return the gauge of the device that a trial holds; one that estimates where nothing can be read.

    `count`: GPUs; `watts`: of one CPU core or GPU at full load for the estimate, None: see `WATTS`. The
    estimate of a CPU counts the CPU seconds that `computed` tells, None: of this process; that of GPUs all
    seconds in which they are held.
    """
    gauge = _open_nvml_of_process(count) if kind == "gpu" else open_rapl_gauge(RAPL)
    if gauge.read().is_measured and (kind == "gpu" or _counts(gauge)):
        return gauge
    watts = WATTS[kind] if watts is None else watts
    if kind == "cpu":
        return EstimatedGauge(SilentGauge(), watts, computed or time.process_time)
    return EstimatedGauge(gauge, watts * count, time.monotonic)


def _counts(gauge: Gauge) -> bool:
    """Return whether the joules of a gauge grow while this process is busy."""
    first, until = gauge.read().joules, time.perf_counter() + STILL_SECONDS
    while time.perf_counter() < until:
        if gauge.read().joules != first:
            return True
    return False


def open_rapl_gauge(root: Path) -> Gauge:
    """Return a gauge of all CPU packages below `root`, or a silent one if there is none that may be read."""
    # intel-rapl:0 is a package (AMD's too), intel-rapl:0:1 a part of it, psys another view of the whole.
    paths = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]
    try:
        packages = [path for path in paths if (path / "name").read_text().startswith("package")]
        return RaplGauge(packages) if packages else SilentGauge()
    except (OSError, ValueError):
        return SilentGauge()


@cache
def _open_nvml_of_process(count: int) -> Gauge:
    try:
        library = importlib.import_module("pynvml")
    except ImportError:
        return SilentGauge()
    return open_nvml_gauge(library, os.environ.get("CUDA_VISIBLE_DEVICES", ""), count)


def open_nvml_gauge(library: Any, visible: str, count: int = 1) -> Gauge:
    """Return a gauge of the first `count` GPUs that CUDA may use, or a silent one without a driver.

    `library`: pynvml or a replay of it; `visible`: as in CUDA_VISIBLE_DEVICES, numbers or UUIDs.
    """
    words = [word.strip() for word in visible.split(",") if word.strip()] or [str(n) for n in range(count)]
    try:
        library.nvmlInit()
        gauges = [
            NvmlGauge(
                library,
                library.nvmlDeviceGetHandleByIndex(int(word))
                if word.isdigit()
                else library.nvmlDeviceGetHandleByUUID(word),
            )
            for word in words[:count]
        ]
    except library.NVMLError:  # no driver
        return SilentGauge()
    return gauges[0] if len(gauges) == 1 else JoinedGauge(gauges)


def _read_number(path: Path) -> int:
    return int(path.read_text())


class EnergyMeter:
    """The sum of what a device drew in all blocks that were measured."""

    def __init__(self, gauge: Gauge, clock: Callable[[], float] = time.monotonic) -> None:
        self._gauge, self._clock = gauge, clock
        self._seconds = 0.0
        self._compute_joules: float | None = 0.0
        self._busy_seconds: float | None = 0.0
        self._is_estimated = False

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Add what the device draws during the block."""
        before, start = self._gauge.read(), self._clock()
        yield
        seconds, after = self._clock() - start, self._gauge.read()
        self._seconds += seconds
        self._is_estimated |= after.estimated
        self._compute_joules = _add_known(self._compute_joules, _joules(before, after, seconds))
        self._busy_seconds = _add_known(
            self._busy_seconds, None if after.busy is None else after.busy * seconds
        )

    def summarise(self) -> PowerDraw:
        """Return the joules, mean watts and mean busy share (0..1) of all blocks so far.

        What one of them does not tell is unknown of all: the sum of the others would be too small.
        """
        if not self._seconds:
            return PowerDraw()
        watts = None if self._compute_joules is None else self._compute_joules / self._seconds
        busy = None if self._busy_seconds is None else self._busy_seconds / self._seconds
        return PowerDraw(self._compute_joules, watts, busy, self._is_estimated)


def _joules(before: EnergyReading, after: EnergyReading, seconds: float) -> float | None:
    """Compute joules by the counter; where there is none, as the mean power at both ends x seconds.

    A counter that fell was set to 0 meanwhile, as by a driver that was loaded again: it tells nothing.
    """
    if before.joules is not None and after.joules is not None and before.joules <= after.joules:
        return after.joules - before.joules
    if before.watts is not None and after.watts is not None:
        return (before.watts + after.watts) / 2 * seconds
    return None


def _add_known(total: float | None, more: float | None) -> float | None:
    return None if total is None or more is None else total + more
