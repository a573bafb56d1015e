"""Energy, power and busy share of the device that trains; None where the machine does not measure them.

A GPU is asked through NVML (package nvidia-ml-py), a CPU through RAPL: /sys/class/powercap, which often only
root may read, and which counts whole packages, neighbours included. A device that measures nothing has a
gauge like any other, so callers need not ask which kind there is.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.measures import PowerDraw

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """One reading of a gauge: `joules` since some beginning, `watts` now, `busy` share of the time 0..1."""

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None


class Gauge(Protocol):
    """What a device measures of itself; None for what it does not."""

    def read(self) -> EnergyReading: ...

    def strangers(self) -> int | None:
        """Return how many other processes compute on the device; None: unknown."""


class SilentGauge:
    """The gauge of a device that measures nothing."""

    def read(self) -> EnergyReading:
        return EnergyReading()

    def strangers(self) -> int | None:
        return None


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
    """All CPU packages of the machine, added up."""

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._last = [_read_number(package / "energy_uj") for package in packages]
        self._total = 0

    def read(self) -> EnergyReading:
        for number, package in enumerate(self._packages):
            now = _read_number(package / "energy_uj")
            # The counter starts anew at its limit.
            self._total += (now - self._last[number]) % (_read_number(package / "max_energy_range_uj") + 1)
            self._last[number] = now
        return EnergyReading(joules=self._total / 1e6)

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


def open_gauge(kind: Literal["cpu", "gpu"], count: int = 1) -> Gauge:
    """Return the gauge of the device that a trial holds; `count`: GPUs."""
    return _open_nvml_of_process(count) if kind == "gpu" else open_rapl_gauge(RAPL)


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
        self._compute_joules: float | None = None
        self._busy_seconds: float | None = None

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Add what the device draws during the block."""
        before, start = self._gauge.read(), self._clock()
        yield
        seconds, after = self._clock() - start, self._gauge.read()
        self._seconds += seconds
        self._compute_joules = _add_counted(self._compute_joules, _joules(before, after, seconds))
        self._busy_seconds = _add_counted(
            self._busy_seconds, None if after.busy is None else after.busy * seconds
        )

    def summarise(self) -> PowerDraw:
        """Return the joules, mean watts and mean busy share (0..1) of all blocks so far."""
        if not self._seconds:
            return PowerDraw()
        watts = None if self._compute_joules is None else self._compute_joules / self._seconds
        busy = None if self._busy_seconds is None else self._busy_seconds / self._seconds
        return PowerDraw(self._compute_joules, watts, busy)


def _joules(before: EnergyReading, after: EnergyReading, seconds: float) -> float | None:
    """Compute joules by the counter; where there is none, as the mean power at both ends x seconds."""
    if before.joules is not None and after.joules is not None:
        return after.joules - before.joules
    if before.watts is not None and after.watts is not None:
        return (before.watts + after.watts) / 2 * seconds
    return None


def _add_counted(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more
