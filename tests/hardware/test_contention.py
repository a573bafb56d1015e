"""Verdicts on recorded readings; what the kernel's files say."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hardware import contention
from pipeline.hardware.contention import (
    ContentionMonitor,
    ContentionVerdict,
    KernelCounters,
    Reading,
    compute_core_share,
    judge_span,
)
from pipeline.hardware.energy import SilentGauge


def seconds(
    wall: float,
    cpu: float,
    delayed: float | None = None,
    stolen: float | None = None,
    pressure: float | None = None,
    strangers: int | None = None,
) -> Reading:
    """A reading in one line."""
    return Reading(wall=wall, cpu=cpu, delayed=delayed, stolen=stolen, pressure=pressure, strangers=strangers)


class Replay:
    """Readings before and after each of some epochs."""

    def __init__(self, *spans: Reading) -> None:
        zero = seconds(0.0, 0.0, 0.0, 0.0, 0.0, spans[0].strangers)
        self._readings = [reading for span in spans for reading in (zero, span)]

    def read(self) -> Reading:
        return self._readings.pop(0)


def witnessed(*spans: Reading, cores: int = 1) -> list[tuple[bool, float]]:
    """Verdict and lost share after each epoch."""
    witness = ContentionMonitor(Replay(*spans), cores)
    told = []
    for _ in spans:
        with witness.observe_epoch():
            pass
        told.append((witness.verdict.contended, round(witness.lost_share, 3)))
    return told


# One second of wall; what happened in it -> contended, share.
CASES = {
    "alone": (seconds(1, 0.99, 0.0, 0.0, 0.0), 1, False, 1.0),
    "alone, the kernel interrupts": (seconds(1, 0.98, 0.02, 0.0, 0.02), 1, False, 0.98),
    "half the core went to a neighbour": (seconds(1, 0.5, 0.5, 0.0, 0.5), 1, True, 0.5),
    "waited for a disk, not for a core": (seconds(1, 0.5, 0.0, 0.0, 0.9), 1, False, 1.0),
    "others waited, we did not": (seconds(1, 0.99, 0.0, 0.0, 1.0), 1, False, 1.0),
    "own threads queued for a core that was ours": (seconds(1, 1.0, 0.8, 0.0, 0.9), 1, False, 1.0),
    "stolen, and not counted as run": (seconds(1, 0.7, 0.0, 0.31, 0.0), 1, True, 0.7),
    "stolen, and counted as run": (seconds(1, 1.0, 0.0, 0.31, 0.0), 1, True, 0.7),
    "one tick of steal is rounding": (seconds(0.02, 0.02, 0.0, 0.01, 0.0), 1, False, 1.0),
    "two threads, the second mostly idle": (seconds(1, 1.2, 0.0, 0.0, 0.0), 2, False, 1.0),
    "two threads on one core": (seconds(1, 1.0, 1.0, 0.0, 0.9), 2, True, 0.5),
    "waiting is not counted: low share": (seconds(1, 0.6), 1, True, 0.6),
    "waiting is not counted: full share": (seconds(1, 0.98), 1, False, 0.98),
    "waiting is not counted, but nobody queued": (seconds(1, 0.6, None, 0.0, 0.0), 1, False, 0.6),
    "waiting is not counted, and many queued": (seconds(1, 0.6, None, 0.0, 0.9), 1, True, 0.6),
    "waiting is not counted, several threads": (seconds(1, 0.6), 2, False, None),
    "too short to tell": (seconds(0.019, 0.001, 0.018, 0.0, 0.018), 1, False, None),
    "a GPU alone, its host thread sleeps": (seconds(1, 0.1, 0.0, 0.0, 0.0, 0), 0, False, None),
    "a GPU with another process": (seconds(1, 0.1, 0.0, 0.0, 0.0, 1), 0, True, None),
    "a GPU that does not tell": (seconds(1, 0.1), 0, False, None),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_on_a_span(case: str) -> None:
    span, cores, contended, share = CASES[case]
    verdict = judge_span(span, cores)
    assert verdict.contended is contended
    assert verdict.share == (None if share is None else pytest.approx(share))


SECONDS = st.floats(0, 1e3)
MAYBE = st.none() | SECONDS


@given(
    st.builds(seconds, SECONDS, SECONDS, MAYBE, MAYBE, MAYBE, st.none() | st.integers(0, 9)),
    st.integers(1, 64),
)
def test_a_share_is_a_share_whatever_the_kernel_says(span: Reading, cores: int) -> None:
    share = compute_core_share(span, cores)
    assert share is None or 0 <= share <= 1


def test_a_span_is_what_was_counted_between_two_readings() -> None:
    before = seconds(10.0, 4.0, 1.0, None, 0.25, 2)
    after = seconds(12.0, 5.0, 0.5, 3.0, 0.5, 0)  # a thread ended and took its wait along
    assert after.since(before) == seconds(2.0, 1.0, 0.0, None, 0.25, 2)
    assert seconds(1, 1, 1, None, 1) + seconds(1, 2, 3, 4, 5, 6) == seconds(2, 3, 4, None, 6, 6)


def test_a_contended_epoch_loses_what_others_took() -> None:
    alone, halved = seconds(1, 0.99, 0.0, 0.0, 0.0), seconds(2, 1.0, 1.0, 0.0, 1.0)
    assert witnessed(alone, halved, alone) == [(False, 0.0), (True, 0.5), (False, 0.0)]


def test_short_epochs_are_judged_together() -> None:
    alone, halved = seconds(0.01, 0.01, 0.0, 0.0, 0.0), seconds(0.01, 0.005, 0.005, 0.0, 0.005)
    spans = [halved, halved, halved, alone, alone, alone]
    told = witnessed(*spans)
    assert [contended for contended, _ in told] == [False, True, True, True, False, False]
    assert [lost for _, lost in told] == [0.0, 0.5, 0.5, 0.0, 0.0, 0.0]  # each by its own reading


def test_a_run_of_short_quiet_epochs_raises_no_alarm() -> None:
    hiccup = seconds(0.001, 0.0005, 0.0005, 0.0, 0.0)
    quiet = [seconds(0.001, 0.001, 0.0, 0.0, 0.0)] * 30
    assert not any(contended for contended, _ in witnessed(*quiet, hiccup, *quiet))


def test_a_gpu_is_disturbed_by_other_processes_alone_and_nothing_is_taken_off() -> None:
    told = witnessed(seconds(1, 0.1, 0.9, 0.0, 0.9, 0), seconds(1, 0.1, 0.9, 0.0, 0.9, 2), cores=0)
    assert told == [(False, 0.0), (True, 0.0)]


# ---- the kernel's files ----------------------------------------------------------------------------


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc of a process with two threads that may use cores 0 and 2."""
    for thread, wait in ((7, 1_500_000_000), (8, 500_000_000)):
        folder = tmp_path / f"self/task/{thread}"
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"99 {wait} 3\n")
    (tmp_path / "stat").write_text(
        "cpu 1 1 1 1 1 1 1 900 0 0\ncpu0 1 1 1 1 1 1 1 100 0 0\ncpu1 1 1 1 1 1 1 1 500 0 0\n"
        "cpu2 1 1 1 1 1 1 1 300 0 0\nintr 5 6\n"
    )
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/cpu").write_text("some avg10=0.00 total=2500000\nfull avg10=0.00 total=7\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _name: 100)
    return tmp_path


def test_counters_are_read_in_seconds(proc: Path) -> None:
    reading = KernelCounters(SilentGauge(), 1, proc).read()
    assert (reading.delayed, reading.stolen, reading.pressure) == (
        2.0,
        2.0,
        2.5,
    )
    assert reading.strangers is None
    assert contention.read_stolen_seconds(proc, 2) == 4.0


def test_a_thread_that_ends_while_it_is_read_is_left_out(proc: Path) -> None:
    (proc / "self/task/8/schedstat").unlink()
    (proc / "self/task/8/schedstat").mkdir()
    assert contention.read_delayed_seconds(proc) == 1.5


def test_a_machine_without_counters_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stat").write_text("cpu what\n")
    reading = KernelCounters(SilentGauge(), 1, tmp_path).read()
    assert (reading.delayed, reading.stolen, reading.pressure) == (
        None,
        None,
        None,
    )
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert contention.read_stolen_seconds(tmp_path, 1) is None


def test_this_machine_counts_time_forward() -> None:
    readings = KernelCounters(SilentGauge(), 1)
    before = readings.read()
    sum(range(200_000))
    span = readings.read().since(before)
    assert span.wall > 0
    assert span.cpu > 0
    assert isinstance(judge_span(span, 1), ContentionVerdict)


# ---- short repeats ------------------------------------------------------------------------------------


def test_a_step_costs_the_difference_of_two_lengths() -> None:
    laps = [(10, 0.5 + 10 * 0.01)] * 5 + [(20, 0.5 + 20 * 0.01)] * 5
    assert contention.estimate_step_seconds(laps) == pytest.approx(0.01)


def test_too_few_clean_laps_say_nothing() -> None:
    few = [(10, 0.1)] * contention.MIN_CLEAN_LAPS + [(20, 0.2)] * (contention.MIN_CLEAN_LAPS - 1)
    assert contention.estimate_step_seconds(few) is None
    assert contention.estimate_step_seconds(few[:5]) is None
    assert contention.estimate_step_seconds([(10, 0.2)] * 5 + [(20, 0.1)] * 5) is None
