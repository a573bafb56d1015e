"""Memory, disks and cores of machines that have little of them."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli.doctor import room
from pipeline.hardware import cpu_cores, cpu_quota, memory
from pipeline.hardware.cpu_quota import CpuQuota
from pipeline.hardware.memory import Memory
from pipeline.settings.settings import Settings
from tests.support.tiny import BASE


def test_too_little_memory_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "read_memory", lambda: Memory(8 * 1024**3, 1024**3 // 2))
    state, text, _ = room.look_at_memory()
    assert (state, text) == ("fails", "0.5 of 8.0 GiB available")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a user whose record and temporary files lie below `tmp_path`, as the cache will."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/record/mlflow.db")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return replace(BASE, cache_dir=str(tmp_path / "not yet" / "there"))


def set_free(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(gigabytes * room.GIB)))


def homeless(_: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, os.strerror(28))


def test_the_room_where_files_go(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_free(monkeypatch, 70)
    assert room.look_at_disk(settings) == ("ok", f"70.0 GiB free in {tmp_path}", "")
    monkeypatch.setattr(room, "find_network_system", lambda _path: "nfs4")
    state, text, remedy = room.look_at_disk(settings)
    assert (state, text) == ("note", f"70.0 GiB free in {tmp_path}; the record is on nfs4")
    assert "docs/cluster/postgresql.md" in remedy
    set_free(monkeypatch, 0.5)
    state, text, remedy = room.look_at_disk(settings)
    assert state == "note"
    assert "make room" in remedy
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    state, text, remedy = room.look_at_disk(settings)
    assert state == "fails"
    assert text.startswith(
        f"the record cannot be written in {tmp_path} (No space left on device), temporary files"
    )
    assert "TMPDIR" in remedy
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "gettempdir", full)
        patched.setenv("TMPDIR", "/nowhere/else")
        room.name_temporary_folder()
    assert "temporary files cannot be written in /" in room.look_at_disk(settings)[1]
    monkeypatch.setattr(Path, "expanduser", homeless)
    state, text, remedy = room.look_at_disk(replace(settings, cache_dir="~/cache"))
    assert state == "fails"
    assert text.startswith("cache_dir: a path must begin in a folder that is there, got ~/cache")


@pytest.mark.parametrize(
    ("cores", "share", "quota", "state", "text"),
    [
        ((3,), 0.99, None, "ok", "N, a trial gets its own (core 3 was free), others left 99% of it in 0.5 s"),
        (
            (3,),
            0.4,
            None,
            "note",
            "N, a trial gets its own (core 3 was free), others left 40% of it in 0.5 s",
        ),
        ((3,), None, None, "note", "N, a trial gets its own (core 3 was free), nobody counts what others"),
        ((), 0.5, None, "note", "N, none for a trial alone: others hold them all, end them"),
        ((0,), 1.0, 0.5, "ok", "1 core by a quota of 0.5, a trial gets its own (core 0 was free), others"),
    ],
)
def test_the_cores(
    cores: tuple[int, ...],
    share: float | None,
    quota: float | None,
    state: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find() -> CpuQuota | None:
        return CpuQuota(quota, Path("cpu.stat")) if quota else None

    monkeypatch.setattr(cpu_cores, "find_quota", find)
    monkeypatch.setattr(cpu_quota, "find_quota", find)
    monkeypatch.setattr(cpu_cores, "claim_cores", lambda _count: cores)
    monkeypatch.setattr(room, "_measure_share", lambda: share)
    count = cpu_cores.count_usable_cores()
    found, told, remedy = room.look_at_cores()
    assert found == state
    assert told.startswith(text.replace("N", f"{count} core{'s' * (count > 1)}"))
    assert bool(remedy) == (state != "ok")
