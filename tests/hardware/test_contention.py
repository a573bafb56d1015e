"""Verdicts on recorded readings; what the kernel's files say."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    compute_lost_seconds,
    judge_span,
)
from pipeline.hardware.energy import SilentGauge


def seconds(
    wall: float,
    cpu: float,
    busy: float | None = None,
    delayed: float | None = None,
    stolen: float = 0.0,
    strangers: int | None = None,
) -> Reading:
    """A reading in one line."""
    return Reading(wall=wall, cpu=cpu, busy=busy, delayed=delayed, stolen=stolen, strangers=strangers)


class Replay:
    """Readings before and after each of some epochs, one right after the other."""

    def __init__(self, *spans: Reading) -> None:
        now = seconds(0.0, 0.0, 0.0, 0.0, 0.0, spans[0].strangers)
        self._readings = [now]
        for span in spans:
            self._readings.append(now)
            now = seconds(
                now.wall + span.wall,
                now.cpu + span.cpu,
                None if span.busy is None else now.busy + span.busy,
                None if span.delayed is None else now.delayed + span.delayed,
                now.stolen + span.stolen,
                span.strangers,
            )
            self._readings.append(now)

    def read(self) -> Reading:
        return self._readings.pop(0)


def observe(*spans: Reading, cores: int = 1) -> list[tuple[bool, float]]:
    """Return verdict and lost seconds after each epoch."""
    monitor = ContentionMonitor(Replay(*spans), cores)
    observed = []
    for _ in spans:
        with monitor.observe_epoch():
            pass
        observed.append((monitor.verdict.contended, round(monitor.lost_seconds, 3)))
    return observed


# One second of wall; what happened in it -> cores, contended, share.
CASES = {
    "alone": (seconds(1, 0.99, 0.99, 0.0), 1, False, 1.0),
    "the kernel's own work": (seconds(1, 0.96, 1.0, 0.04), 1, False, 0.96),
    "half the core went to a neighbour": (seconds(1, 0.5, 1.0, 0.5), 1, True, 0.5),
    "own threads queued for a core that was busy": (seconds(1, 1.0, 1.0, 0.8), 1, False, 1.0),
    "own threads queued, then the core stood idle": (seconds(1, 0.6, 0.6, 0.5), 1, False, 1.0),
    "own threads queued, and a neighbour had a third": (seconds(1, 0.66, 0.99, 0.9), 1, True, 0.67),
    "a neighbour used what we left idle": (seconds(1, 0.5, 1.0, 0.0), 1, False, 1.0),
    "a neighbour used what we left idle and a little more": (seconds(1, 0.5, 1.0, 0.2), 1, True, 0.8),
    "waited for a disk": (seconds(1, 0.5, 0.5, 0.0), 1, False, 1.0),
    "stolen, and not counted as run": (seconds(1, 0.7, 1.0, 0.0, 0.3), 1, True, 0.7),
    "stolen, and counted as run": (seconds(1, 1.0, 1.0, 0.0, 0.3), 1, True, 0.7),
    "stolen and a neighbour": (seconds(1, 0.3, 1.0, 0.4, 0.3), 1, True, 0.3),
    "ticks that are rounded up": (seconds(0.1, 0.1, 0.12, 0.02), 1, False, 0.8),
    "ticks that are rounded down": (seconds(1, 0.99, 0.97, 0.0), 1, False, 1.0),
    "two cores, one half of one to a neighbour": (seconds(1, 1.5, 2.0, 0.6), 2, True, 0.75),
    "two cores, one of them idle": (seconds(1, 1.1, 1.1, 0.4), 2, False, 1.0),
    "waiting is not counted": (seconds(1, 0.6, 1.0), 1, True, 0.6),
    "bound to no core": (seconds(1, 0.6, None, 0.4), 1, False, None),
    "too short to tell": (seconds(0.04, 0.0, 0.04, 0.04), 1, False, None),
    "a GPU alone, its host thread sleeps": (seconds(1, 0.1, None, 0.0, 0.0, 0), 0, False, None),
    "a GPU with another process": (seconds(1, 0.1, None, 0.0, 0.0, 1), 0, True, None),
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
    st.builds(seconds, SECONDS, SECONDS, MAYBE, MAYBE, SECONDS, st.none() | st.integers(0, 9)),
    st.integers(1, 64),
)
def test_a_share_is_a_share_whatever_the_kernel_says(span: Reading, cores: int) -> None:
    share = compute_core_share(span, cores)
    assert share is None or 0 <= share <= 1
    assert 0 <= compute_lost_seconds(span, cores) <= span.wall * cores


def test_a_span_is_what_was_counted_between_two_readings() -> None:
    before = seconds(10.0, 4.0, None, 1.0, 0.25, 2)
    after = seconds(12.0, 5.0, 3.0, 0.5, 0.5, 0)  # a thread ended and took its wait along
    assert after.since(before) == seconds(2.0, 1.0, None, 0.0, 0.25, 2)


ALONE, HALVED = seconds(1, 1.0, 1.0, 0.0), seconds(2, 1.0, 2.0, 1.0)


def test_a_contended_epoch_loses_what_others_took() -> None:
    assert observe(ALONE, HALVED, ALONE) == [(False, 0.0), (True, 1.0), (False, 0.0)]


def test_short_epochs_are_judged_together_with_what_was_before() -> None:
    alone, shared = seconds(1 / 32, 1 / 32, 1 / 32, 0.0), seconds(1 / 32, 0.0, 1 / 32, 1 / 32)
    observed = observe(shared, shared, shared, alone, alone, alone)
    assert [contended for contended, _ in observed] == [False, True, True, True, False, False]
    assert [lost for _, lost in observed] == [0.031] * 3 + [0.0] * 3  # each by its own counters


def test_a_short_first_epoch_is_judged_together_with_warming_up() -> None:
    readings = Replay(seconds(1, 0.5, 1.0, 0.5), seconds(1 / 32, 1 / 64, 1 / 32, 1 / 64))
    monitor = ContentionMonitor(readings, 1)
    readings.read(), readings.read()
    with monitor.observe_epoch():
        pass
    assert (monitor.verdict.contended, monitor.lost_seconds) == (True, 1 / 64)


LOSSES = {
    "a neighbour": (seconds(1, 0.5, 1.0, 0.5), 0.5),
    "ticks say less than the wait": (seconds(1, 0.5, 0.99, 0.5), 0.5),
    "ticks say more than the wait": (seconds(1, 0.5, 1.02, 0.5), 0.5),
    "a short one in which no tick fell": (seconds(1 / 64, 1 / 128, 0.0, 1 / 128), 1 / 128),
    "own threads queued too": (seconds(1, 0.75, 1.0, 0.9), 0.25),
    "own threads queued too, then the core stood idle": (seconds(1, 0.5, 0.75, 0.9), 0.27),
    "waited for a disk too": (seconds(1, 0.25, 1.0, 0.25), 0.25),
    "stolen, and counted as run": (seconds(1, 1.0, 1.0, 0.0, 0.25), 0.25),
    "two cores": (seconds(1, 1.5, 2.0, 0.5), 0.5),
    "bound to no core": (seconds(1, 0.5, None, 0.5), 0.0),
}


@pytest.mark.parametrize("case", LOSSES)
def test_what_a_contended_span_lost(case: str) -> None:
    span, lost = LOSSES[case]
    assert compute_lost_seconds(span, 2 if case == "two cores" else 1) == pytest.approx(lost)


def test_ticks_that_round_up_in_short_quiet_epochs_raise_no_alarm() -> None:
    up, down = seconds(0.006, 0.006, 0.01, 0.002), seconds(0.006, 0.006, 0.0, 0.002)
    assert not any(contended for contended, _ in observe(*[up, down] * 50))


def test_a_gpu_is_disturbed_by_other_processes_alone_and_nothing_is_taken_off() -> None:
    alone, shared = seconds(1, 0.1, None, 0.9, 0.0, 0), seconds(1, 0.1, None, 0.9, 0.0, 2)
    assert observe(alone, shared, cores=0) == [(False, 0.0), (True, 0.0)]


LAPS = {
    "kept its core busy, though own threads queued": (seconds(0.003, 0.003, 0.0, 0.002), True),
    "never waited": (seconds(0.003, 0.001, 0.0, 0.0), True),
    "lost a slice": (seconds(0.006, 0.003, 0.01, 0.003), False),
    "waiting is not counted, and it was not always on its core": (seconds(0.006, 0.003, 0.01), False),
}


@pytest.mark.parametrize("case", LAPS)
def test_a_lap_is_clean_if_nobody_can_have_disturbed_it(case: str) -> None:
    span, clean = LAPS[case]
    assert ContentionMonitor(Replay(span), 1).run_and_judge(lambda: None) is clean


# ---- real neighbours -------------------------------------------------------------------------------

SCRIPT = """
import hashlib, json, os, sys, threading, time
from pipeline.hardware.contention import KernelCounters, judge_span
from pipeline.hardware.energy import SilentGauge

core, threads, block = int(sys.argv[1]), int(sys.argv[2]), b"x" * 100_000
os.sched_setaffinity(0, {core})

def read_idle():
    row = next(row for row in open("/proc/stat") if row.startswith(f"cpu{core} ")).split()
    return (int(row[4]) + int(row[5])) / 100

def hash_for(seconds):  # without Python's lock, so threads compete for the core
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.sha256(block)

def work():
    hash_for(0.5)
    done.release()
    over.wait()  # the kernel forgets how long a thread waited when it ends

print("ready", flush=True)
sys.stdin.readline()
readings, done, over = KernelCounters(SilentGauge(), 1), threading.Semaphore(0), threading.Event()
before, idle = readings.read(), read_idle()
for _ in range(threads):
    threading.Thread(target=work).start()
for _ in range(threads):
    done.acquire()
time.sleep(0.3)
span, idle = readings.read().since(before), read_idle() - idle
over.set()
verdict = judge_span(span, 1)
print(json.dumps({"wall": span.wall, "cpu": span.cpu, "idle": idle, "queued": span.delayed,
                  "taken": span.wall * (1 - verdict.share), "contended": verdict.contended}))
"""
SPIN = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print("ready", flush=True)
while True:
    pass
"""

pinned = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or not Path("/proc/stat").exists(), reason="needs Linux"
)


@contextmanager
def start(code: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Start a Python process that has said it is ready; it is killed at the end."""
    pipe, command = subprocess.PIPE, [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def measure(process: "subprocess.Popen[str]") -> dict[str, float]:
    """Return what `SCRIPT` says of its own span, in seconds."""
    return json.loads(process.communicate("\n")[0])


def count_foreign(span: dict[str, float]) -> float:
    """Return what others can have had of the core: it was neither idle nor ours."""
    return max(0.0, span["wall"] - span["idle"] - span["cpu"])


TOLERANCE = 0.06
"""Seconds by which ticks and the moments of two readings may differ."""


@pinned
def test_a_busy_second_thread_of_ones_own_is_no_stranger() -> None:
    core = min(os.sched_getaffinity(0))
    with start(SCRIPT, core, 2) as process:
        span = measure(process)
    assert span["queued"] > 3 * TOLERANCE  # they did compete
    assert span["taken"] <= count_foreign(span) + TOLERANCE  # however busy this machine is


@pinned
def test_a_process_on_the_same_core_is_a_stranger() -> None:
    core = min(os.sched_getaffinity(0))
    with start(SCRIPT, core, 1) as process, start(SPIN, core) as neighbour:
        schedstat = Path(f"/proc/{neighbour.pid}/schedstat")
        before = int(schedstat.read_text().split()[0])
        span = measure(process)
        used = (int(schedstat.read_text().split()[0]) - before) / 1e9
    assert span["contended"]
    assert span["taken"] <= count_foreign(span) + TOLERANCE
    assert span["taken"] >= min(used, span["queued"]) - TOLERANCE  # it also ran while we slept


# ---- the kernel's files ----------------------------------------------------------------------------


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc of a process with two threads that may use cores 0 and 2."""
    for thread, wait in ((7, 1_500_000_000), (8, 500_000_000)):
        folder = tmp_path / f"self/task/{thread}"
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"99 {wait} 3\n")
    (tmp_path / "stat").write_text(
        "cpu 1 1 1 1 1 1 1 900 0 0\ncpu0 1 1 1 9 9 1 1 100 0 0\ncpu1 1 1 1 1 1 1 1 500 0 0\n"
        "cpu2 1 1 1 9 9 1 2 300 0 0\nintr 5 6\n"
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2}, raising=False)
    return tmp_path


def test_counters_are_read_in_seconds(proc: Path) -> None:
    reading = KernelCounters(SilentGauge(), 2, proc).read()
    assert (reading.delayed, reading.busy, reading.stolen) == (2.0, pytest.approx(4.11), 4.0)
    assert reading.threads == {7, 8}
    assert reading.strangers is None


def test_of_a_process_that_is_not_bound_to_its_cores_nothing_is_known(proc: Path) -> None:
    assert contention.read_busy_seconds(proc, 1) is None
    assert contention.read_busy_seconds(proc, 3) is None


def test_a_thread_that_ends_while_it_is_read_is_left_out(proc: Path) -> None:
    (proc / "self/task/8/schedstat").unlink()
    (proc / "self/task/8/schedstat").mkdir()
    assert contention.read_delays(proc) == {7: 1.5}


def test_how_long_threads_waited_is_unknown_once_one_of_them_has_ended(proc: Path) -> None:
    readings = KernelCounters(SilentGauge(), 2, proc)
    before = readings.read()
    assert readings.read().since(before).delayed == 0.0
    (proc / "self/task/8/schedstat").unlink()
    assert readings.read().since(before).delayed is None


def test_a_machine_without_counters_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = KernelCounters(SilentGauge(), 1, tmp_path).read()
    assert (reading.delayed, reading.busy) == (None, None)
    (tmp_path / "stat").write_text("cpu what\n")
    assert contention.read_busy_seconds(tmp_path, 1) is None
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert contention.read_busy_seconds(tmp_path, 1) is None


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
