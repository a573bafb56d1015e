"""Energy, power and busy share of the device that trains; absent where the machine does not tell.

A GPU is asked through NVML (package nvidia-ml-py), a CPU through RAPL: /sys/class/powercap, which often only
root may read, and which counts whole packages, neighbours included. A device that tells nothing is a gauge
like any other, so nobody has to ask which kind there is.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.measures import Drawn

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Level:
    """A look at a gauge: `joules` since some beginning, `watts` now, `busy` share of the time 0..1."""

    joules: float | None = None
    watts: float | None = None
    busy: float | None = None


class Gauge(Protocol):
    """What a device tells about itself; None for what it does not."""

    def read(self) -> Level: ...

    def strangers(self) -> int | None:
        """Other processes that compute on the device."""


class Silent:
    """A device that tells nothing."""

    def read(self) -> Level:
        return Level()

    def strangers(self) -> int | None:
        return None


class Nvml:
    """One NVIDIA GPU; `library` is pynvml or a replay of it."""

    def __init__(self, library: Any, gpu: Any) -> None:
        self._library, self._gpu = library, gpu

    def read(self) -> Level:
        ask = self._library
        return Level(
            self._asked(lambda: ask.nvmlDeviceGetTotalEnergyConsumption(self._gpu) / 1e3),  # mJ
            self._asked(lambda: ask.nvmlDeviceGetPowerUsage(self._gpu) / 1e3),  # mW
            self._asked(lambda: ask.nvmlDeviceGetUtilizationRates(self._gpu).gpu / 100),  # %
        )

    def strangers(self) -> int | None:
        """All but one, which is us: in a container we may show under another number than our own."""
        with suppress(self._library.NVMLError):
            running = self._library.nvmlDeviceGetComputeRunningProcesses(self._gpu)
            return max(0, len({each.pid for each in running}) - 1)
        return None

    def _asked(self, question: Callable[[], float]) -> float | None:
        with suppress(self._library.NVMLError):  # older GPUs do not know every question
            return question()
        return None


class Rapl:
    """The CPU packages of the machine, as one."""

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._last = [_number(package / "energy_uj") for package in packages]
        self._total = 0

    def read(self) -> Level:
        for at, package in enumerate(self._packages):
            now = _number(package / "energy_uj")
            # The counter starts anew at its limit.
            self._total += (now - self._last[at]) % (_number(package / "max_energy_range_uj") + 1)
            self._last[at] = now
        return Level(joules=self._total / 1e6)

    def strangers(self) -> int | None:
        return None


def gauge(kind: Literal["cpu", "gpu"]) -> Gauge:
    """The gauge of the device that a trial holds."""
    return _nvml() if kind == "gpu" else rapl(RAPL)


def rapl(root: Path) -> Gauge:
    """All packages below `root`, or silence if there is none that may be read."""
    # intel-rapl:0 is a package (AMD's too), intel-rapl:0:1 a part of it, psys another view of the whole.
    found = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]
    try:
        packages = [path for path in found if (path / "name").read_text().startswith("package")]
        return Rapl(packages) if packages else Silent()
    except (OSError, ValueError):
        return Silent()


@cache
def _nvml() -> Gauge:
    try:
        return nvml(importlib.import_module("pynvml"), os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    except ImportError:
        return Silent()


def nvml(library: Any, visible: str) -> Gauge:
    """The first GPU that CUDA may use; `visible`: as in CUDA_VISIBLE_DEVICES, numbers or UUIDs."""
    first = visible.partition(",")[0].strip() or "0"
    try:
        library.nvmlInit()
        if first.isdigit():
            return Nvml(library, library.nvmlDeviceGetHandleByIndex(int(first)))
        return Nvml(library, library.nvmlDeviceGetHandleByUUID(first))
    except library.NVMLError:  # no driver
        return Silent()


def _number(path: Path) -> int:
    return int(path.read_text())


class Account:
    """Adds up what a device drew while it trained."""

    def __init__(self, gauge: Gauge, clock: Callable[[], float] = time.monotonic) -> None:
        self._gauge, self._clock = gauge, clock
        self._seconds = 0.0
        self._joules: float | None = None
        self._busy_seconds: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Add the block."""
        before, start = self._gauge.read(), self._clock()
        yield
        seconds, after = self._clock() - start, self._gauge.read()
        self._seconds += seconds
        self._joules = _plus(self._joules, _joules(before, after, seconds))
        self._busy_seconds = _plus(self._busy_seconds, None if after.busy is None else after.busy * seconds)

    def drawn(self) -> Drawn:
        """All blocks so far."""
        if not self._seconds:
            return Drawn()
        watts = None if self._joules is None else self._joules / self._seconds
        busy = None if self._busy_seconds is None else self._busy_seconds / self._seconds
        return Drawn(self._joules, watts, busy)


def _joules(before: Level, after: Level, seconds: float) -> float | None:
    """By the counter; where there is none, the mean of the power at both ends x seconds."""
    if before.joules is not None and after.joules is not None:
        return after.joules - before.joules
    if before.watts is not None and after.watts is not None:
        return (before.watts + after.watts) / 2 * seconds
    return None


def _plus(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more
