"""Energy on recorded answers of a GPU and of a CPU; a machine that tells nothing."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.hardware import energy
from pipeline.hardware.energy import (
    EnergyMeter,
    EnergyReading,
    NvmlGauge,
    RaplGauge,
    SilentGauge,
    open_nvml_gauge,
    open_rapl_gauge,
)
from pipeline.measures import PowerDraw


class Asked(Exception):
    """As pynvml's NVMLError: not supported."""


class Library:
    """Answers of NVML as they were recorded: mJ, mW, %, process ids. None: the GPU does not know."""

    NVMLError = Asked

    def __init__(self, millijoules: list[int] | None, milliwatts: list[int] | None, pids: list[int]) -> None:
        self._millijoules, self._milliwatts, self._pids = millijoules, milliwatts, pids
        self.opened: list[object] = []

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._pids:
            raise Asked("no driver")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.opened.append(index)
        return "gpu"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.opened.append(uuid)
        return "gpu"

    def nvmlDeviceGetTotalEnergyConsumption(self, _gpu: str) -> int:  # noqa: N802
        return self._next(self._millijoules)

    def nvmlDeviceGetPowerUsage(self, _gpu: str) -> int:  # noqa: N802
        return self._next(self._milliwatts)

    def nvmlDeviceGetUtilizationRates(self, _gpu: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=80, memory=10)

    def nvmlDeviceGetComputeRunningProcesses(self, _gpu: str) -> list[SimpleNamespace]:  # noqa: N802
        if self._pids == [-1]:
            raise Asked
        return [SimpleNamespace(pid=pid) for pid in self._pids]

    @staticmethod
    def _next(answers: list[int] | None) -> int:
        if answers is None:
            raise Asked
        return answers.pop(0)


def ticking(*seconds: float) -> Iterator[float]:
    return iter(seconds)


def account(gauge: energy.Gauge, *moments: float) -> EnergyMeter:
    clock = ticking(*moments)
    return EnergyMeter(gauge, lambda: next(clock))


def test_a_gpu_with_a_counter() -> None:
    library = Library([1_000_000, 1_600_000, 9_000_000, 9_200_000], [1, 1, 1, 1], [1])
    watched = account(NvmlGauge(library, "gpu"), 0.0, 2.0, 10.0, 12.0)
    for _ in range(2):  # what is drawn between epochs does not count
        with watched.measure():
            pass
    assert watched.summarise() == PowerDraw(800.0, 200.0, pytest.approx(0.8))


def test_a_gpu_without_a_counter_is_taken_by_its_power() -> None:
    watched = account(NvmlGauge(Library(None, [50_000, 150_000], [1]), "gpu"), 0.0, 3.0)
    with watched.measure():
        pass
    assert watched.summarise() == PowerDraw(300.0, 100.0, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("milliwatts", "drawn"), [([50_000, 150_000], PowerDraw(300.0, 100.0, 0.8)), (None, PowerDraw(busy=0.8))]
)
def test_a_gpu_whose_counter_was_set_to_0_has_given_nothing_back(
    milliwatts: list[int] | None, drawn: PowerDraw
) -> None:
    watched = account(NvmlGauge(Library([9_000_000, 200_000], milliwatts, [1]), "gpu"), 0.0, 3.0)
    with watched.measure():
        pass
    assert replace(watched.summarise(), busy=0.8) == drawn


@pytest.mark.parametrize(
    ("pids", "strangers"), [([os.getpid()], 0), ([os.getpid(), 5], 1), ([4], 0), ([4, 5, 5], 1), ([-1], None)]
)
def test_other_processes_on_the_gpu(pids: list[int], strangers: int | None) -> None:
    assert NvmlGauge(Library(None, None, pids), "gpu").strangers() == strangers


@pytest.mark.parametrize(
    ("visible", "opened"), [("", 0), ("2,3", 2), (" 1", 1), ("GPU-12ab,GPU-34cd", "GPU-12ab")]
)
def test_the_gpu_that_cuda_sees_first_is_asked(visible: str, opened: object) -> None:
    library = Library(None, None, [1])
    assert isinstance(open_nvml_gauge(library, visible), NvmlGauge)
    assert library.opened == [opened]


def test_without_a_driver_or_the_package_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_nvml_gauge(Library(None, None, []), ""), SilentGauge)
    monkeypatch.setitem(energy.importlib.sys.modules, "pynvml", None)
    energy._open_nvml_of_process.cache_clear()
    assert not energy.open_gauge("gpu").read().is_measured
    energy._open_nvml_of_process.cache_clear()


# ---- RAPL ------------------------------------------------------------------------------------------


def zone(root: Path, name: str, kind: str, microjoules: int = 0) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "name").write_text(f"{kind}\n")
    (folder / "max_energy_range_uj").write_text("9999999\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_packages_are_summed_and_their_parts_left_out(tmp_path: Path) -> None:
    one = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    two = zone(tmp_path, "intel-rapl:1", "package-1", 9_000_000)
    part = zone(tmp_path, "intel-rapl:0:0", "core")
    psys = zone(tmp_path, "intel-rapl:2", "psys")
    gauge = open_rapl_gauge(tmp_path)
    watched = account(gauge, 0.0, 2.0)
    with watched.measure():
        (one / "energy_uj").write_text("4000000")
        (two / "energy_uj").write_text("2000000")  # past its limit of 10 J: 3 J more
        for other in (part, psys):
            (other / "energy_uj").write_text("5000000")
    assert watched.summarise() == PowerDraw(6.0, 3.0, None)
    assert gauge.strangers() is None


def test_a_counter_that_starts_anew_more_than_once_is_read_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = list[Callable[[], object]]()

    class Reader:
        def __init__(self, function: Callable[[], object], _pause: float) -> None:
            readers.append(function)

        def start(self) -> None: ...

        def stop(self, _wait: float) -> None:
            readers.clear()

    monkeypatch.setattr(energy, "RepeatingThread", Reader)
    counter = zone(tmp_path, "intel-rapl:0", "package-0") / "energy_uj"
    gauge = open_rapl_gauge(tmp_path)
    watched = account(gauge, 0.0, 3.0)
    with watched.measure():
        for microjoules in (6_000_000, 2_000_000):  # 6 J, and 6 more past the limit of 10
            counter.write_text(str(microjoules))
            readers[0]()
        counter.write_text("8000000")
    assert watched.summarise() == PowerDraw(18.0, 6.0, None)
    del gauge, watched
    assert not readers  # as nobody asks any more


def test_what_cannot_be_read_in_one_epoch_is_known_of_none(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0") / "energy_uj"
    watched = account(open_rapl_gauge(tmp_path), *map(float, range(6)))
    for text in ("1000000", "", "3000000"):  # as where its rights are taken away for a while
        with watched.measure():
            counter.write_text(text)
    assert watched.summarise() == PowerDraw()


def test_a_counter_that_may_not_be_read_is_absent_not_zero(tmp_path: Path) -> None:
    assert isinstance(open_rapl_gauge(tmp_path), SilentGauge)
    folder = zone(tmp_path, "intel-rapl:0", "package-0")
    assert isinstance(open_rapl_gauge(tmp_path), RaplGauge)
    (folder / "max_energy_range_uj").unlink()
    assert isinstance(open_rapl_gauge(tmp_path), SilentGauge)
    (folder / "max_energy_range_uj").write_text("9999999")
    (folder / "energy_uj").unlink()
    (folder / "energy_uj").mkdir()  # as unreadable to root as to anybody
    assert isinstance(open_rapl_gauge(tmp_path), SilentGauge)


def test_silence_draws_nothing_that_is_known() -> None:
    watched = account(SilentGauge(), 0.0, 1.0)
    assert watched.summarise() == PowerDraw()
    with watched.measure():
        pass
    assert watched.summarise() == PowerDraw(None, None, None)
    assert SilentGauge().read() == EnergyReading()


def test_what_nobody_tells_is_estimated_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    monkeypatch.setattr(energy, "_open_nvml_of_process", lambda _: SilentGauge())
    seconds = {"cpu": 5.0, "gpu": 7.0}
    monkeypatch.setattr(energy.time, "process_time", lambda: seconds["cpu"])
    monkeypatch.setattr(energy.time, "monotonic", lambda: seconds["gpu"])
    cores, gpus = energy.open_gauge("cpu"), energy.open_gauge("gpu", 2, 300.0)
    watched = [account(gauge, 0.0, 2.0) for gauge in (cores, gpus)]
    with watched[0].measure(), watched[1].measure():
        seconds |= {"cpu": 6.5, "gpu": 9.0}
    assert watched[0].summarise() == PowerDraw(1.5 * 12, 9.0, None, estimated=True)  # CPU seconds x 12 W
    assert watched[1].summarise() == PowerDraw(2 * 600, 600.0, None, estimated=True)  # seconds x 2 GPUs
    assert cores.strangers() is None


def test_a_counter_that_stands_still_is_no_measurement_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 5)
    gauge = energy.open_gauge("cpu", computed=iter((0.0, 1.5)).__next__)
    watched = account(gauge, 0.0, 2.0)
    with watched.measure():
        pass
    assert watched.summarise() == PowerDraw(1.5 * 12, 9.0, None, estimated=True)
    counted, read = iter(range(1, 10**9)), energy._read_number
    monkeypatch.setattr(
        energy, "_read_number", lambda path: next(counted) if path.name == "energy_uj" else read(path)
    )
    assert isinstance(energy.open_gauge("cpu"), RaplGauge)


def test_a_counter_that_was_set_to_0_has_not_gone_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 90_000_000_000)
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    moment = [0.0]
    monkeypatch.setattr(energy.time, "monotonic", lambda: moment[0])
    gauge = open_rapl_gauge(tmp_path)
    for seconds, microjoules, joules in (
        (10.0, 91_000_000_000, 1000.0),
        (20.0, 2_000_000, 1002.0),  # 172 kJ in 10 s would be 17 kW: the machine has slept
        (320.0, 262_143_000_000, 263_143.0),  # none read it for five minutes: it only grew
        (350.0, 671_149, 263_144.0),  # and now it has gone round
    ):
        moment[0] = seconds
        (folder / "energy_uj").write_text(str(microjoules))
        assert gauge.read().joules == pytest.approx(joules, abs=1e-3)


def test_gpus_that_train_together_are_read_together() -> None:
    class Steady:
        def __init__(self, joules: float, busy: float | None, others: int | None) -> None:
            self._reading, self._others = EnergyReading(joules, None, busy), others

        def read(self) -> EnergyReading:
            return self._reading

        def strangers(self) -> int | None:
            return self._others

    pair = energy.JoinedGauge([Steady(3.0, 0.5, 0), Steady(4.0, 1.0, 2)])
    assert pair.read() == EnergyReading(7.0, None, 0.75)
    assert pair.strangers() == 2
    half = energy.JoinedGauge([Steady(3.0, None, 0), Steady(4.0, 1.0, None)])
    assert half.read() == EnergyReading(7.0, None, None)
    assert half.strangers() is None
