"""What others took from recorded epochs, and from real ones."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hardware.contention import ContentionMonitor
from pipeline.hardware.counters import TICK_SECONDS, Reading


def epoch(
    wall: float,
    cpu: float,
    idle: float | None = 0.0,
    delayed: float | None = None,
    stolen: float = 0.0,
    throttled: float = 0.0,
    strangers: int | None = None,
) -> Reading:
    """The counters of an epoch in one line."""
    return Reading(
        wall=wall,
        cpu=cpu,
        idle=idle,
        delayed=delayed,
        stolen=stolen,
        throttled=throttled,
        strangers=strangers,
    )


def observe(*epochs: Reading, cores: int = 1) -> list[tuple[bool, float | None, float]]:
    """Return contended, share and what was lost so far, after each epoch."""
    monitor, observed = ContentionMonitor(cores), []
    for each in epochs:
        monitor.add_epoch(each)
        observed.append((monitor.verdict.contended, monitor.verdict.share, monitor.lost_seconds))
    return observed


# One second of wall; what happened in it -> cores, contended, lost seconds.
CASES = {
    "alone": (epoch(1, 0.99, 0.0, 0.0), 1, False, 0.0),
    "the kernel's own work": (epoch(1, 0.96, 0.0, 0.04), 1, False, 0.04),
    "half the core went to a neighbour": (epoch(1, 0.5, 0.0, 0.5), 1, True, 0.5),
    "own threads queued for a core that was busy": (epoch(1, 1.0, 0.0, 0.8), 1, False, 0.0),
    "own threads queued, then the core stood idle": (epoch(1, 0.6, 0.4, 0.5), 1, False, 0.01),
    "own threads queued, and a neighbour had a third": (epoch(1, 0.66, 0.0, 0.9), 1, True, 0.34),
    "all of it": (epoch(1, 0.3, 0.3, 0.9), 1, True, 0.41),
    "a neighbour used what we left idle": (epoch(1, 0.5, 0.0, 0.0), 1, False, 0.0),
    "a neighbour used what we left idle and a little more": (epoch(1, 0.5, 0.0, 0.2), 1, True, 0.2),
    "waited for a disk": (epoch(1, 0.5, 0.5, 0.0), 1, False, 0.0),
    "stolen, and not counted as run": (epoch(1, 0.7, 0.0, 0.0, 0.3), 1, True, 0.3),
    "stolen, and counted as run": (epoch(1, 1.0, 0.0, 0.0, 0.3), 1, True, 0.0),
    "stolen and a neighbour": (epoch(1, 0.3, 0.0, 0.4, 0.3), 1, True, 0.7),
    "a quota stopped the core": (epoch(1, 0.5, 0.5, 0.0, 0.0, 0.5), 1, True, 0.5),
    "a quota stopped another process of the group": (epoch(1, 0.98, 0.0, 0.0, 0.0, 0.5), 1, False, 0.02),
    "a quota, and threads that queue": (epoch(1, 0.5, 0.5, 0.9, 0.0, 0.2), 1, True, 0.21),
    "idle ticks that are rounded up": (epoch(1, 0.5, 0.01, 0.5), 1, True, 0.5),
    "idle ticks that are rounded down": (epoch(1, 0.5, 0.49, 0.0), 1, False, 0.0),
    "two cores, half of one to a neighbour": (epoch(1, 1.5, 0.0, 0.6), 2, True, 0.5),
    "two cores, one of them idle": (epoch(1, 1.1, 0.9, 0.4), 2, False, 0.02),
    "more CPU seconds than there were": (epoch(1, 1.2, 0.0, 0.4), 1, False, 0.0),
    "bound to no core, two others want both cores": (epoch(1, 0.2, 0.0, 0.8), 1, True, 0.8),
    "bound to no core, the second core was idle": (epoch(1, 0.2, 0.9, 0.8), 1, False, 0.0),
    "bound to no core, all idle but one": (epoch(1, 1.0, 7.0, 0.0), 1, False, 0.0),
    "waiting is not counted": (epoch(1, 0.6, 0.0), 1, True, 0.4),
    "waiting is not counted, the core stood idle": (epoch(1, 0.6, 0.4), 1, False, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_trial_lost_to_others(case: str) -> None:
    span, cores, contended, lost = CASES[case]
    ((is_contended, share, is_lost),) = observe(span, cores=cores)
    assert (is_contended, is_lost) == (contended, pytest.approx(lost))
    in_cpu = 0.3 if case == "stolen, and counted as run" else 0.0
    assert share == pytest.approx(1 - (lost + in_cpu) / cores)


UNKNOWN = {
    "nobody counts idle cores": (epoch(1, 0.6, None, 0.4), 1, False),
    "no time passed": (epoch(0, 0, 0.0, 0.0), 1, False),
    "a GPU alone, its host thread sleeps": (epoch(1, 0.1, None, 0.0, strangers=0), 0, False),
    "a GPU with another process": (epoch(1, 0.1, None, 0.9, strangers=1), 0, True),
    "a GPU that does not tell": (epoch(1, 0.1, None), 0, False),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_where_nobody_counts_nothing_is_taken_off(case: str) -> None:
    span, cores, contended = UNKNOWN[case]
    assert observe(span, cores=cores) == [(contended, None, 0.0)]


SECONDS = st.floats(0, 1e3)
MAYBE = st.none() | SECONDS
EPOCHS = st.lists(st.builds(epoch, SECONDS, SECONDS, MAYBE, MAYBE, SECONDS, SECONDS), min_size=1, max_size=6)


@given(EPOCHS, st.integers(1, 64))
def test_a_cost_is_between_what_was_computed_and_what_passed_whatever_the_kernel_says(
    epochs: list[Reading], cores: int
) -> None:
    lost = 0.0
    for span, (_, share, lost_so_far) in zip(epochs, observe(*epochs, cores=cores), strict=True):
        available, lost, before = span.wall * cores, lost_so_far, lost
        assert 0 <= lost - before <= max(0.0, available - span.cpu) + 1e-9 * (1 + lost)
        assert share is None or -1e-9 <= share <= 1


def test_a_quiet_epoch_of_an_unbound_process_does_not_hide_a_crowded_one() -> None:
    quiet, crowded = epoch(10, 10, 70.0, 0.0), epoch(22, 4.4, 0.0, 17.6)  # one core of eight; then of none
    assert observe(quiet, crowded)[-1][1:] == (pytest.approx(0.2, abs=0.01), pytest.approx(17.6, abs=0.1))


@pytest.mark.parametrize(
    ("span", "cores", "excess"),
    [
        (epoch(1, 1.7, 0.0, 0.0), 1, 0.7),  # two threads of a process that is bound to no core
        (epoch(1, 1.7, None), 1, 0.7),
        (epoch(1, 1.7, 0.0, 0.0), 2, 0.0),
        (epoch(0.001, 0.002, 0.0, 0.0), 1, 0.0),  # the clocks' own time
        (epoch(1, 1.7, None, strangers=0), 0, 0.0),  # what a GPU's host does is free
    ],
)
def test_threads_beyond_the_cores_of_a_trial_are_charged(span: Reading, cores: int, excess: float) -> None:
    monitor = ContentionMonitor(cores)
    monitor.add_epoch(span)
    assert monitor.excess_seconds == pytest.approx(excess)


def test_a_contended_epoch_loses_what_others_took() -> None:
    alone, halved = epoch(1, 1.0, 0.0, 0.0), epoch(2, 1.0, 0.0, 1.0)
    assert observe(alone, halved, alone) == [(False, 1.0, 0.0), (True, 0.5, 1.0), (False, 1.0, 1.0)]


def test_each_short_epoch_pays_what_it_computed() -> None:
    short = epoch(0.004, 0.001, 0.0, 0.003)  # no tick falls into it
    assert [lost for _, _, lost in observe(*[short] * 40)][-1] == pytest.approx(0.12)


def test_short_epochs_are_judged_together_with_those_before() -> None:
    alone, shared = epoch(1 / 32, 1 / 32, 0.0, 0.0), epoch(1 / 32, 0.0, 0.0, 1 / 32)
    observed = observe(shared, alone, alone, shared)
    assert [share for _, share, _ in observed] == [0.0, 0.5, 1.0, 0.5]


def test_a_short_interruption_of_a_short_epoch_is_no_neighbour() -> None:
    quiet, interrupted = epoch(0.002, 0.002, 0.0, 0.0), epoch(0.002, 0.001, 0.0, 0.001)
    assert not any(contended for contended, _, _ in observe(quiet, interrupted, quiet))


def test_own_waits_of_many_epochs_are_excused_for_one_tick_in_all() -> None:
    waits = epoch(0.1, 0.07, 0.03, 0.2)  # an input thread and the training thread queue, then both sleep
    assert observe(*[waits] * 200)[-1][2] == pytest.approx(TICK_SECONDS)


def test_ticks_that_round_up_and_down_in_turns_excuse_no_more() -> None:
    up, down = epoch(0.1, 0.07, 0.034, 0.2), epoch(0.1, 0.07, 0.026, 0.2)
    assert observe(*[up, down] * 100)[-1][2] <= 2.1 * TICK_SECONDS


def test_what_a_neighbour_did_before_is_no_credit_for_own_waits() -> None:
    used_what_we_left, waits = epoch(10, 5, 0.0, 0.0), epoch(1, 0.7, 0.3, 2.0)
    assert observe(used_what_we_left, waits)[-1][2] <= 2.1 * TICK_SECONDS


# ---- real neighbours -------------------------------------------------------------------------------

SCRIPT = """
import hashlib, json, os, sys, threading, time
from pipeline.hardware.contention import ContentionMonitor
from pipeline.hardware.counters import KernelCounters
from pipeline.hardware.energy import SilentGauge

cores, threads, block = [int(core) for core in sys.argv[1].split(",")], int(sys.argv[2]), b"x" * 100_000
os.sched_setaffinity(0, cores)

def read_idle():
    rows = [row.split() for row in open("/proc/stat")]
    rows = [row for row in rows if row[0] in [f"cpu{core}" for core in cores]]
    return sum(int(row[4]) + int(row[5]) for row in rows) / 100

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
monitor = ContentionMonitor(1)
monitor.add_epoch(span)
print(json.dumps({"wall": span.wall, "cpu": span.cpu, "idle": idle, "queued": span.delayed,
                  "taken": monitor.lost_seconds, "excess": monitor.excess_seconds,
                  "contended": monitor.verdict.contended}))
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
    assert span["wall"] - span["taken"] >= 0.95 * span["cpu"]


@pinned
def test_a_process_on_the_same_core_is_a_stranger() -> None:
    core = min(os.sched_getaffinity(0))
    with start(SCRIPT, core, 1) as process, start(SPIN, core) as neighbour:
        schedstat = Path(f"/proc/{neighbour.pid}/schedstat")
        before = int(schedstat.read_text().split()[0])
        span = measure(process)
        used = (int(schedstat.read_text().split()[0]) - before) / 1e9
    assert span["contended"]
    assert 0.95 * span["cpu"] <= span["wall"] - span["taken"] <= span["wall"]
    assert span["taken"] <= count_foreign(span) + TOLERANCE
    assert span["taken"] >= min(used, span["queued"]) - TOLERANCE  # it also ran while we slept


@pinned
def test_where_all_cores_are_taken_an_unbound_trial_pays_what_it_computed() -> None:
    """It held no core, and was charged five times its work because it waited for one."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        pytest.skip("needs two cores")
    words = ",".join(map(str, cores))
    with ExitStack() as neighbours:
        for core in (*cores, *cores):
            neighbours.enter_context(start(SPIN, core))
        span = measure(neighbours.enter_context(start(SCRIPT, words, 1)))
    assert span["contended"]
    assert span["excess"] == 0
    assert span["taken"] >= min(span["queued"], count_foreign(span)) - TOLERANCE
    assert 0.95 * span["cpu"] <= span["wall"] - span["taken"] <= span["wall"]
