"""The clock of a loop waits for every framework that is loaded, and stands where nothing is to be counted."""

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.hardware.device import ClaimedDevice
from pipeline.trial import loop_clock
from pipeline.trial.loop_clock import LoopClock, not_counted, wait_for_frameworks

CPU = ClaimedDevice("cpu", "x", 1, "/CPU:0")


def fake(name: str, **values: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(values)
    return module


def test_each_framework_that_is_loaded_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, synchronize=lambda: waits.append("torch")
    )
    array = SimpleNamespace(is_deleted=lambda: False, block_until_ready=lambda: waits.append("jax"))
    deleted = SimpleNamespace(is_deleted=lambda: True)
    runtime = SimpleNamespace(getDeviceCount=lambda: 1, deviceSynchronize=lambda: waits.append("cupy"))
    monkeypatch.setitem(sys.modules, "torch", fake("torch", cuda=cuda))
    jax = fake("jax", effects_barrier=lambda: None, live_arrays=lambda: [array, deleted])
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setitem(sys.modules, "cupy", fake("cupy", cuda=SimpleNamespace(runtime=runtime)))
    wait_for_frameworks()
    assert waits == ["torch", "jax", "cupy"]


def test_a_framework_without_a_device_or_half_imported_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", fake("torch", cuda=idle))
    monkeypatch.setitem(sys.modules, "jax", fake("jax"))
    monkeypatch.setitem(sys.modules, "cupy", fake("cupy"))
    wait_for_frameworks()


def test_what_a_framework_imports_at_its_first_step_is_imported_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(loop_clock, "import_module", imported.append)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    loop_clock.prepare_frameworks()
    assert imported == []
    monkeypatch.setitem(sys.modules, "torch", fake("torch"))
    loop_clock.prepare_frameworks()
    assert imported == ["torch._dynamo"]


class Ticks:
    """A clock that goes on by one with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    made = Ticks()
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    monkeypatch.setattr(time, "process_time", lambda: made.now)
    return made


def test_only_what_lies_outside_of_not_counted_costs(ticks: Ticks) -> None:
    clock = LoopClock(CPU)
    with clock.time_epoch():
        ticks.spend(1)
        with not_counted():
            ticks.spend(10)
            with not_counted():
                ticks.spend(20)
            ticks.spend(40)
        ticks.spend(2)
    assert clock.watch.seconds.train == pytest.approx(3)
    assert clock.seconds_left_out == pytest.approx(70)


def test_a_block_may_reach_over_a_yield_and_an_exception_ends_it(ticks: Ticks) -> None:
    clock = LoopClock(CPU)
    block = not_counted()
    with clock.time_epoch():
        ticks.spend(1)
        block.__enter__()
        ticks.spend(10)
    ticks.spend(100)
    with clock.time_epoch():
        ticks.spend(10)
        block.__exit__(None, None, None)
        ticks.spend(2)
        with pytest.raises(KeyError), not_counted():
            raise KeyError
        ticks.spend(4)
    assert clock.watch.seconds.train == pytest.approx(7)


def test_outside_of_a_trial_it_does_nothing() -> None:
    with not_counted():
        pass
