"""What a trial has started is ended with it, wherever it has gone, and nothing else is."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pipeline.hardware import process_marks
from pipeline.hardware.process_marks import (
    MARKS,
    OWNER_PREFIX,
    add_mark,
    kill_abandoned,
    kill_marked,
    kill_started,
    mark_started,
)
from pipeline.processes.process_owner import ProcessOwner

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process in a session of its own that has these marks."""
    processes = []

    def start_marked(marks: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, MARKS: marks}
        processes.append(subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True))
        return processes[-1]

    yield start_marked
    for process in processes:
        process.kill()
        process.wait()


def test_what_has_a_mark_is_killed_and_nothing_else(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARKS, "outer-4711")
    inner, outer, other = start(add_mark("inner-4711")), start("outer-4711"), start("inner-47111")
    assert kill_marked("inner-4711")
    assert inner.wait(60) == -9
    assert not kill_marked("inner-4711")
    assert (outer.poll(), other.poll()) == (None, None)
    assert kill_marked("outer-4711")


def test_what_a_process_that_is_gone_has_started_is_killed_by_another(start: Start) -> None:
    """A killed worker or slot can do nothing; what a living one has started goes on."""
    gone = start("")
    owner = ProcessOwner.of(gone.pid)
    assert owner
    gone.kill()
    gone.wait()
    marks = f"outer-4711 {OWNER_PREFIX}{owner.to_file_name()}"
    abandoned, ours = start(marks), start(process_marks._make_own_mark(os.getpid()))
    assert kill_abandoned()
    assert abandoned.wait(60) == -9
    assert ours.poll() is None


def test_what_this_process_has_started_is_killed_save_a_helper_that_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(MARKS, "")
    mark_started()
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    helper = subprocess.Popen(["sh", "-c", "read line # resource_tracker"], stdin=subprocess.PIPE)
    assert kill_started()
    assert child.wait(60) == -9
    assert helper.poll() is None
    helper.communicate()


def test_one_that_has_just_been_started_has_its_marks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux lets go of the parent before the words of the new program can be read."""
    started = Starting(program="/bin/sleep", blank_looks=3)
    tracker = Starting(program="/bin/sh", blank_looks=2, words=["python", "-c", "resource_tracker"])
    thread = Starting(program="", blank_looks=10**9)
    monkeypatch.setattr(process_marks, "_list_below", lambda: [thread, tracker, started])
    monkeypatch.setattr(process_marks, "_adopting", {os.getpid()})
    assert kill_marked("inner-4711")
    assert (started.killed, tracker.killed, thread.killed) == (True, False, False)


@dataclass
class Starting:
    """A process that has neither words nor environment the first times that they are looked at."""

    program: str
    blank_looks: int
    words: list[str] = field(default_factory=lambda: ["sleep", "600"])
    killed: bool = False

    def exe(self) -> str:
        return self.program

    def cmdline(self) -> list[str]:
        self.blank_looks -= 1
        return self.words if self.blank_looks < 0 else []

    def environ(self) -> dict[str, str]:
        return {MARKS: "inner-4711"} if self.blank_looks < 0 else {}

    def kill(self) -> None:
        self.killed = True


def test_a_command_that_ends_kills_what_it_has_marked() -> None:
    words = (
        "import subprocess; from pipeline.hardware.process_marks import marking_started\n"
        "with marking_started():\n"
        "    subprocess.Popen(['sleep', '600'], start_new_session=True)"
    )
    # A child that lived on would hold the pipe open, and this process would wait for it.
    assert subprocess.run([sys.executable, "-c", words], stdout=subprocess.PIPE, timeout=120).returncode == 0


ADOPTING = """
import os, subprocess, time
import psutil
from pipeline.hardware.process_marks import adopt_orphans, kill_started
psutil.process_iter = psutil.pids = None
adopt_orphans()
words = "setsid env -i sleep 600 >/dev/null & echo $!"
pids = [int(subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE).stdout)]
if (forked := os.fork()) == 0:
    time.sleep(600)
pids.append(forked)
assert kill_started()
deadline = time.monotonic() + 60
while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
    kill_started()  # as after the next trial
print([pid for pid in pids if psutil.pid_exists(pid)])
"""
"""An orphan in a session of its own without an environment, and one that was forked off."""


def test_a_worker_ends_what_its_trial_has_started_without_a_look_at_all_processes_of_the_machine() -> None:
    done = subprocess.run([sys.executable, "-c", ADOPTING], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")
