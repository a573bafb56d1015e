"""What the kernel's files say of a process, its cores and its quota."""

import os
from pathlib import Path

import pytest

from pipeline.hardware import counters
from pipeline.hardware.counters import KernelCounters, Reading
from pipeline.hardware.energy import SilentGauge


def test_a_span_is_what_was_counted_between_two_readings() -> None:
    before = Reading(wall=10.0, cpu=4.0, delayed=1.0, stolen=0.25, throttled=1.0, strangers=2)
    after = Reading(wall=12.0, cpu=5.0, idle=3.0, delayed=0.5, stolen=0.5, throttled=1.5, strangers=0)
    span = Reading(wall=2.0, cpu=1.0, delayed=0.0, stolen=0.25, throttled=0.5, strangers=2)
    assert after.since(before) == span


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc of a process with two threads that may use cores 0 and 2."""
    for thread, wait in ((7, 1_500_000_000), (8, 500_000_000)):
        folder = tmp_path / f"self/task/{thread}"
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"99 {wait} 3\n")
    (tmp_path / "stat").write_text(
        "cpu 1 1 1 1 1 1 1 900 0 0\ncpu0 1 1 1 90 9 1 1 100 0 0\ncpu1 1 1 1 1 1 1 1 500 0 0\n"
        "cpu2 1 1 1 100 1 1 2 300 0 0\nintr 5 6\n"
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2}, raising=False)
    return tmp_path


def test_counters_are_read_in_seconds(proc: Path) -> None:
    reading = KernelCounters(SilentGauge(), 2, proc, proc / "no groups").read()
    assert (reading.delayed, reading.idle, reading.stolen) == (2.0, 2.0, 4.0)
    assert reading.threads == {7, 8}
    assert (reading.strangers, reading.throttled) == (None, 0.0)


@pytest.mark.parametrize("cores", [0, 3], ids=["a GPU", "fewer cores than asked for"])
def test_of_a_process_that_does_not_have_its_cores_nothing_is_known(proc: Path, cores: int) -> None:
    assert counters.read_idle_seconds(proc, cores) is None


def test_a_process_that_is_bound_to_none_could_use_any_idle_core(proc: Path) -> None:
    assert counters.read_idle_seconds(proc, 1) == (2.0, 0.0)


def test_a_core_that_the_system_does_not_list_is_unknown(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 9}, raising=False)
    assert counters.read_idle_seconds(proc, 2) is None


def test_a_thread_that_ends_while_it_is_read_is_left_out(proc: Path) -> None:
    (proc / "self/task/8/schedstat").unlink()
    (proc / "self/task/8/schedstat").mkdir()
    assert counters.read_delays(proc) == {7: 1.5}


def test_how_long_threads_waited_is_unknown_once_one_of_them_has_ended(proc: Path) -> None:
    readings = KernelCounters(SilentGauge(), 2, proc)
    before = readings.read()
    assert readings.read().since(before).delayed == 0.0
    (proc / "self/task/8/schedstat").unlink()
    assert readings.read().since(before).delayed is None


@pytest.mark.parametrize("stat", [None, "", "cpu what\n", "cpu 1 1\ncpu0 1 2 3\n"])
def test_a_machine_without_counters_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stat: str | None
) -> None:
    if stat is not None:
        (tmp_path / "stat").write_text(stat)
    for bound in (True, False):
        reading = KernelCounters(SilentGauge(), 1, tmp_path, tmp_path).read()
        assert (reading.delayed, reading.idle, reading.throttled) == (None, None, 0.0)
        if bound:
            monkeypatch.delattr(os, "sched_getaffinity", raising=False)


def test_this_machine_counts_time_forward() -> None:
    readings = KernelCounters(SilentGauge(), 1)
    before = readings.read()
    sum(range(200_000))
    span = readings.read().since(before)
    assert span.wall > 0
    assert span.cpu > 0
