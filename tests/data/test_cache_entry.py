"""Entries of the cache: complete or absent, whoever is killed or comes at the same time."""

import errno
import fcntl
import json
import os
import signal
import socket
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data import cache_entry as store
from pipeline.data.cache_entry import SPLITS, PreparedContent, load_entry
from pipeline.data.prepared import Scaling, Split
from pipeline.data.preprocess import preprocess
from pipeline.data.report import CleaningReport
from pipeline.errors import BadInput
from tests.support.killed_sweeps import make_context


def words(cache: Path, *more: str) -> list[str]:
    return [f"cache_dir={cache}", *more]


@pytest.mark.parametrize("content", [b"{", b"PK\x03\x04", b"\xff\xfe", b""])
@pytest.mark.parametrize("damage", ["prepared.json", "train_features.npy", "mean.npy"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, damage: str, content: bytes) -> None:
    first = preprocess(compose(words(tmp_path)).settings)
    (first.directory / damage).write_bytes(content)
    again = preprocess(compose(words(tmp_path)).settings)
    assert not again.reused
    assert preprocess(compose(words(tmp_path)).settings).reused


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cache_dir must be a writable folder"):
        preprocess(compose(words(tmp_path / "file" / "below")).settings)


def small() -> PreparedContent:
    split = Split(np.ones((4, 2), np.float32), np.zeros(4, np.int32))
    report = CleaningReport(
        rows_read=12, rows_kept={}, dropped={}, constant_features=2, smallest=1.0, largest=1.0, histogram={}
    )
    scaling = Scaling(np.zeros((), np.float32), np.ones((), np.float32))
    return PreparedContent(
        splits=dict.fromkeys(SPLITS, split),
        classes=("a", "b"),
        scaling=scaling,
        report=report,
        source_sha256="x",
    )


def test_scaling_of_another_shape_is_damage(tmp_path: Path) -> None:
    entry = store.create_entry(tmp_path, "key", lambda _: small())
    np.save(entry.directory / "mean.npy", np.zeros(7, np.float32))
    assert load_entry(tmp_path, "key") is None


def test_a_file_in_the_place_of_an_entry_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in the way")
    store.create_entry(tmp_path, "key", lambda _: small())
    assert load_entry(tmp_path, "key") is not None


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_save_array", full)
    with pytest.raises(BadInput, match="No space left on device"):
        store.create_entry(tmp_path, "key", lambda _: small())
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_host_with_a_similar_name_writes_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / f".writing-{socket.gethostname()}-99999999-7-word"
    dead = tmp_path / f".writing-{socket.gethostname()}-99999999-word"
    other.mkdir()
    dead.mkdir()
    store.create_entry(tmp_path, "key", lambda _: small())
    assert sorted(tmp_path.iterdir()) == sorted([other, tmp_path / "key"])


def test_only_one_at_a_time_puts_an_entry_in_place(tmp_path: Path) -> None:
    """Else one that found the entry damaged could remove what another had just mended."""
    entry = store.create_entry(tmp_path, "key", lambda _: small())
    (entry.directory / "mean.npy").write_bytes(b"{")
    other = threading.Thread(target=store.create_entry, args=(tmp_path, "key", lambda _: small()))
    with store._lock_folder(tmp_path):
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert (entry.directory / "mean.npy").read_bytes() == b"{"
    other.join()
    assert load_entry(tmp_path, "key") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_entry_has_an_absolute_place_that_others_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        entry = preprocess(compose(words(Path("near"))).settings)
    finally:
        os.umask(before)
    assert entry.directory == tmp_path / "near" / entry.key
    assert entry.directory.stat().st_mode & 0o777 == 0o755


def start_writer(cache: Path, seconds: float) -> tuple[ForkServerProcess, Connection]:
    """Start a process that prepares the digits and waits after each file; its pipe tells the files' names."""
    context = make_context()
    pipe, its_end = context.Pipe(duplex=False)
    process = context.Process(target=write_slowly, args=(cache, seconds, its_end))
    process.start()
    its_end.close()
    return process, pipe


def write_slowly(cache: Path, seconds: float, pipe: Connection) -> None:
    save = store._save_array

    def save_and_wait(path: Path, array: np.ndarray) -> None:
        save(path, array)
        pipe.send(path.name)
        time.sleep(seconds)

    pytest.MonkeyPatch().setattr(store, "_save_array", save_and_wait)
    preprocess(compose(words(cache)).settings)
    pipe.send("done")


@pytest.mark.slow
def test_kill_9_in_mid_write_leaves_nothing_half_written(tmp_path: Path) -> None:
    process, pipe = start_writer(tmp_path, 20)
    assert pipe.recv() == "train_features.npy"
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [path.name.startswith(".writing-") for path in tmp_path.iterdir()] == [True]
    again = preprocess(compose(words(tmp_path)).settings)
    assert not again.reused
    assert [path.name for path in tmp_path.iterdir()] == [again.key]


@pytest.mark.slow
def test_two_processes_at_once_both_succeed_with_one_entry(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, 0.03) for _ in range(2)]
    for process, pipe in writers:
        process.join(120)
        assert process.exitcode == 0
        assert "done" in iter(pipe.recv, None)
    assert len(list(tmp_path.iterdir())) == 1
    assert preprocess(compose(words(tmp_path)).settings).reused


def test_reuse_writes_nothing(tmp_path: Path) -> None:
    entry = preprocess(compose(words(tmp_path)).settings)
    before = {path: path.stat().st_mtime_ns for path in entry.directory.iterdir()}
    again = preprocess(compose(words(tmp_path)).settings)
    assert {path: path.stat().st_mtime_ns for path in again.directory.iterdir()} == before
    about = json.loads((entry.directory / "prepared.json").read_text())
    assert about["report"]["rows_kept"] == {"train": 1347, "validation": 180, "test": 270}


def test_a_folder_that_nfs_does_not_lock_is_locked_by_a_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands in for a mount: there flock(2) wants a file that is open for writing."""
    lock, locked = fcntl.flock, list[str]()

    def lock_files_alone(handle: int, how: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if os.path.isdir(path):
            raise OSError(errno.EBADF, "Bad file descriptor")
        locked.append(path)
        lock(handle, how)

    monkeypatch.setattr(store.fcntl, "flock", lock_files_alone)
    with store._lock_folder(tmp_path), (tmp_path / store.LOCK_FILE).open("r+") as other:  # noqa: SIM117
        with pytest.raises(BlockingIOError):
            lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert locked == [str(tmp_path / store.LOCK_FILE)]
