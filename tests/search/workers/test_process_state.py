"""What one trial changes in a process is found before the next one begins."""

import _thread
import io
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.hardware.process_marks import MARKS, mark_started
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.search.workers.process_state import ProcessState, Retiring, watch_process
from pipeline.trial import user_code
from tests.support import tiny


def test_what_has_changed_is_named_until_it_is_put_back() -> None:
    state = ProcessState()
    assert state.find_changes() == []
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN), os.umask(0o777), np.seterr(all="raise")
    logging.disable(50)
    sys.path.insert(0, "/x")
    try:
        found = state.find_changes()
    finally:
        sys.path.remove("/x")
        logging.disable(0)
        signal.signal(signal.SIGTERM, before[0])
        os.umask(before[1])
        np.seterr(**before[2])
    assert found == ["sys.path", "logging.disable", "the handler of SIGTERM", "the umask", "numpy.seterr"]
    assert state.find_changes() == []


def test_a_stream_that_was_closed_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    state, kept = ProcessState(), os.dup(2)
    sys.stdout.close()
    os.close(2)
    try:
        found = state.find_changes()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert found == ["standard stream 1", "standard stream 2"]


def test_a_patched_function_and_a_lost_module_are_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    state = ProcessState()
    monkeypatch.setattr(random, "choices", lambda: 0.5)
    monkeypatch.setattr(np, "asarray", None)
    monkeypatch.delitem(sys.modules, "pipeline.errors")
    monkeypatch.setitem(sys.modules, "a_module_of_mine", random)
    found = state.find_changes()
    monkeypatch.undo()
    assert "numpy.asarray" in found
    assert found[-1] == "the module pipeline.errors"
    assert "a_module_of_mine" not in str(found)


def test_importing_code_of_the_user_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = ProcessState()
    user_code.import_function("tests.support.my_loops:changing")
    assert "" in sys.path
    assert before.find_changes() == []


def test_a_thread_that_python_has_not_started_is_no_change() -> None:
    """So are those in which a slot hears of the frontier."""
    state, is_known, goes_on = ProcessState(), threading.Event(), threading.Event()

    def work() -> None:
        threading.current_thread()
        is_known.set()
        goes_on.wait()

    _thread.start_new_thread(work, ())
    is_known.wait()
    assert set(threading.enumerate()) - state._threads
    assert not state.has_new_threads()
    goes_on.set()


def test_a_thread_that_goes_on_is_told() -> None:
    state, goes_on = ProcessState(), threading.Event()
    assert not state.has_new_threads()
    thread = threading.Thread(target=goes_on.wait)
    thread.start()
    assert state.has_new_threads()
    goes_on.set()
    thread.join()
    assert not state.has_new_threads()


def test_what_a_job_has_left_running_is_ended_and_its_process_runs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(MARKS, "")
    mark_started()
    left = list[subprocess.Popen[bytes]]()

    def run() -> Iterator[TrialOutcome]:
        left.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
        yield end

    job, end = Job(number=1, settings=tiny.BASE, checkpoint=None), TrialOutcome(status="complete")
    assert list(watch_process(job, run())) == [Retiring(), end]
    assert left[0].wait(5) == -signal.SIGKILL
    assert list(watch_process(job, iter([end]))) == [end]
