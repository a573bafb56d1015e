"""A slot, without a cluster around it: data and states come in as bytes, events and states go out."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.data.cache_entry import read_entry_files
from pipeline.data.preprocess import describe_data_settings
from pipeline.errors import BadModel, CacheUnusable
from pipeline.hardware.process_marks import MARKS, OWNER_PREFIX
from pipeline.measures import Epoch
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.workers import job_kinds
from pipeline.search.workers.cluster import slot as slots
from pipeline.search.workers.cluster.slot import (
    Answer,
    Epochs,
    NodeUnfit,
    Outbox,
    SentData,
    Slot,
    StateFile,
    gather_epochs,
)
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import Crash
from pipeline.search.workers.process_state import Retiring
from pipeline.settings.settings import Settings
from pipeline.trial.network import load_prepared
from tests.support.tiny import BASE


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slot]:
    """One that has reported; Ray does no more here than return what was put."""
    context = SimpleNamespace(get_node_id=lambda: "node")
    ray = SimpleNamespace(get=lambda reference: reference, get_runtime_context=lambda: context)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv(MARKS, "")
    made = Slot(replace(BASE.device, pin=False))  # this process is bound to no core
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a driver, whose data lie where no node looks."""
    return compose(
        ["train.epochs=2", "model.hidden=4", "device=cpu", f"cache_dir={tmp_path / 'driver' / 'prepared'}"]
    ).settings


def send(settings: Settings, too_large: bool = False) -> SentData:
    entry = load_prepared(settings)
    return SentData(
        key=entry.key,
        settings_text=describe_data_settings(settings),
        cache_dir=settings.cache_dir,
        files=None if too_large else [read_entry_files(entry)],
    )


def test_a_slot_says_what_it_is_and_sees_no_gpu_that_it_has_not_asked_for(slot: Slot) -> None:
    gone = subprocess.Popen(["sleep", "60"])
    owner = ProcessOwner.of(gone.pid)
    assert owner
    gone.kill()
    gone.wait()
    marks = {MARKS: f"{OWNER_PREFIX}{owner.to_file_name()}"}
    left = subprocess.Popen(["sleep", "60"], env=os.environ | marks, start_new_session=True)
    report = slot.report()
    assert left.wait(5) == -signal.SIGKILL  # that of a slot which was killed
    assert report.device is not None
    assert (report.node, report.device.kind, report.problem) == ("node", "cpu", "")
    assert report.versions == slots.read_versions()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_job_trains_on_the_data_and_from_the_state_that_were_sent(
    slot: Slot, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = send(settings)
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "node" / "prepared"))
    slot.report()
    job = Job(number=3, settings=settings, checkpoint=tmp_path / "driver" / "states" / "ab12.npz")
    *events, outcome = list(slot.run(job, data, []))
    assert (tmp_path / "node" / "prepared" / data.key / "prepared.json").exists()
    assert isinstance(outcome, TrialOutcome)
    assert outcome.status == "complete"
    *_, state = [event for event in events if isinstance(event, StateFile)]
    assert state.name.startswith("ab12-")
    assert list_epochs(events) == [1, 2]
    assert not (tmp_path / "driver" / "states").exists()

    longer = replace(job, settings=replace(settings, train=replace(settings.train, epochs=3)))
    *events, outcome = list(slot.run(longer, data, [state]))
    assert list_epochs(events) == [3]
    assert len(outcome.curve.epochs) == 3  # type: ignore[union-attr]
    assert outcome.paid_seconds < outcome.curve.last.device_seconds  # type: ignore[union-attr]


def list_epochs(events: Iterable[object]) -> list[int]:
    """Return the numbers of the epochs that were sent, alone or together."""
    messages = [event for event in events if isinstance(event, Progress | Epochs)]
    sent = (each.progress if isinstance(each, Epochs) else (each,) for each in messages)
    return [progress.epoch.number for together in sent for progress in together]


def test_short_epochs_are_sent_together_and_long_ones_at_once() -> None:
    now = 0.0

    def train(seconds: float, count: int) -> Iterator[Progress | TrialOutcome]:
        nonlocal now
        for number in range(1, count + 1):
            now += seconds
            state = Epoch(
                number=number,
                device_seconds=number * seconds,
                train_loss=1.0,
                validation_loss=1.0,
                validation_accuracy=0.5,
            )
            yield Progress(state, number * seconds)
        yield TrialOutcome(status="complete")

    for seconds, messages in ((1.0, 8), (0.11, 5), (0.001, 2)):
        *told, outcome = list(gather_epochs(train(seconds, 8), lambda: now))
        assert list_epochs(told) == list(range(1, 9))
        assert len(told) == messages
        assert isinstance(outcome, TrialOutcome)


def test_data_that_are_too_large_to_be_sent_must_be_on_the_node(
    slot: Slot, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, job = send(settings, too_large=True), Job(number=0, settings=settings)
    monkeypatch.delenv("FULCRUM_CACHE")
    slot.report()
    shared = list(slot.run(job, data, []))
    assert shared[-1].status == "complete"  # type: ignore[union-attr]
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "node" / "prepared"))
    slot.report()  # another node
    _, unfit = slot.run(job, data, [])
    assert isinstance(unfit, NodeUnfit)
    assert "let cache_dir be a folder that all nodes share" in unfit.reason
    assert slot.call(len, ["abc"], {}, data, []).value == unfit


def test_a_full_disk_is_the_nodes_fault_and_another_error_is_not(
    slot: Slot, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_job(*_: object) -> Iterator[Any]:
        yield "an epoch"
        raise error if isinstance(error, CacheUnusable) else OSError(error, os.strerror(error))

    monkeypatch.setattr(job_kinds, "run_job", run_job)
    slot.report()
    for error in (errno.ENOSPC, errno.EROFS):
        *_, unfit = slot.run(Job(number=0, settings=settings), None, [])
        assert unfit == NodeUnfit(f"cannot write ({os.strerror(error)}); make room on its disk")
    error = CacheUnusable("cache_dir must be a writable folder with room")
    *_, unfit = slot.run(Job(number=0, settings=settings), None, [])
    assert unfit == NodeUnfit(f"cannot write ({error})")
    error = errno.ENOENT
    *_, crash = slot.run(Job(number=0, settings=settings), None, [])
    assert isinstance(crash, Crash)


def test_a_call_returns_what_a_user_did_wrong(slot: Slot) -> None:
    def refuse(_: object) -> None:
        raise BadModel("seven")

    slot.report()
    assert slot.call(len, ["abc"], {}, None, []) == Answer(3)
    assert str(slot.call(refuse, [1], {}, None, []).value) == "seven"
    with pytest.raises(ZeroDivisionError):
        slot.call(divmod, [1, 0], {}, None, [])


def test_a_slot_tells_that_its_process_was_changed(
    slot: Slot, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = TrialOutcome(status="complete")

    def run_job(*_: object) -> Iterator[TrialOutcome]:
        monkeypatch.setattr(sys, "path", ["/x", *sys.path])
        yield ended

    monkeypatch.setattr(job_kinds, "run_job", run_job)
    slot.report()
    assert list(slot.run(Job(number=0, settings=settings), None, []))[-2:] == [Retiring(), ended]
    assert slot.call(sys.path.insert, [0, "/y"], {}, None, []).is_changed
    left = list[subprocess.Popen[bytes]]()
    start = lambda words: left.append(subprocess.Popen(words))  # noqa: E731
    assert slot.call(start, [["sleep", "60"]], {}, None, []).is_changed
    assert left[0].wait(5) == -signal.SIGKILL


def test_states_are_sent_at_a_pace_and_the_last_one_always(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(slots.time, "monotonic", lambda: clock.now)
    outbox = Outbox(Path("ab12.npz"), [StateFile("ab12-0.npz", b"before")])
    assert list(outbox.list_new(is_last=False)) == [], "what was sent along is not sent back"
    file = outbox.path.with_name("ab12-1.npz")  # type: ignore[union-attr]

    def save_and_send(content: bytes, is_last: bool = False) -> list[Any]:
        file.write_bytes(content)
        os.utime(file, ns=(0, int(clock.now * 1e9)))
        sent = []
        for state in outbox.list_new(is_last):
            clock.now += 3.0  # the sending takes so long
            sent.append(state.content)
        return sent

    assert save_and_send(b"one") == [b"one"]
    clock.now += 3.0 / slots.SENDING_SHARE - 1
    assert save_and_send(b"two") == []
    clock.now += 2
    assert save_and_send(b"three") == [b"three"]
    clock.now += 1
    assert save_and_send(b"four", is_last=True) == [b"four"]
    assert not file.exists()
