"""A file that is written whole or not at all, and what a killed process leaves of it."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from pipeline import files
from pipeline.cli.sweep.opening import explain_network_file
from pipeline.errors import BadInput
from pipeline.files import (
    DRAFT_LEASE_SECONDS,
    DRAFT_PREFIX,
    any_home,
    check_temporary_folder,
    expand_home,
    find_network_system,
    get_shared_folder,
    make_draft_path,
    own_temporary_folder,
    remove_abandoned_drafts,
    write_whole,
)
from pipeline.processes.process_owner import ProcessOwner

ME = ProcessOwner.current()
ENDED = replace(ME, pid=99999999)
ELSEWHERE = replace(ME, host="another", boot_id=32 * "0")


def test_a_file_is_replaced_in_one_step_and_nothing_stays_aside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, lambda file: file.write(b"one"))
    write_whole(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_amid_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "inside", lambda file: file.write(b""))


def test_a_user_who_has_no_folder_is_told_in_one_line() -> None:
    assert expand_home("~/x") == Path.home() / "x"
    with pytest.raises(BadInput, match="got ~no-such-user/x of a user without one; write it in full"):
        expand_home("~no-such-user/x")


def test_a_user_without_a_home_has_one_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with any_home():
        assert os.path.expanduser("~") == str(Path.home())
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", dict[int, object]().__getitem__)
    with any_home():
        assert str(Path.home()) == tempfile.gettempdir()
    assert "HOME" not in os.environ


# ---- left over by a kill ----------------------------------------------------------------------------------


def test_drafts_that_nobody_holds_are_removed_and_no_others(tmp_path: Path) -> None:
    old = os.stat(tmp_path).st_mtime - DRAFT_LEASE_SECONDS - 60
    elsewhere = tmp_path / f"{DRAFT_PREFIX}{ELSEWHERE.to_file_name()}.recent"
    kept = [make_draft_path(tmp_path), elsewhere, tmp_path / "another"]
    left = [tmp_path / f"{DRAFT_PREFIX}{owner.to_file_name()}.old" for owner in (ENDED, ELSEWHERE)]
    for path in [*kept, *left]:
        path.write_text("half")
    os.utime(left[1], (old, old))
    folder = tmp_path / f"{DRAFT_PREFIX}{ENDED.to_file_name()}.folder"
    folder.mkdir()
    remove_abandoned_drafts(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


LEFT_OVER = """
import os, signal, sys, tempfile
from pipeline.files import own_temporary_folder
with own_temporary_folder():
    open(os.path.join(tempfile.mkdtemp(), "socket"), "w")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_temporary_files_of_a_killed_process_go_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    foreign = tmp_path / f"fulcrum-{os.getuid()}"  # where the locks of cores lie
    foreign.mkdir()
    os.utime(foreign, (1, 1))
    subprocess.run([sys.executable, "-c", LEFT_OVER], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with own_temporary_folder():
        (own,) = set(tmp_path.iterdir()) - {foreign}
        assert Path(tempfile.mkdtemp()).parent == own
        assert get_shared_folder() == tmp_path
    assert list(tmp_path.iterdir()) == [foreign]
    assert tempfile.gettempdir() == str(tmp_path)


def test_temporary_files_of_a_process_killed_meanwhile_go_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with own_temporary_folder():
        subprocess.run([sys.executable, "-c", LEFT_OVER], check=False)
        assert len(list(tmp_path.iterdir())) == 2
        (tmp_path / "fulcrum-tmp-a").mkdir()  # its process was killed as it removed it: the name went first
        (tmp_path / f"{DRAFT_PREFIX}{ENDED.to_file_name()}.x").mkdir()  # or as it made it
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["pymp-socket", "matplotlib-x1"])
def test_files_of_a_library_go_after_it_has_removed_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints a traceback at exit where its folder is gone already."""
    later: list[tuple[str, int]] = []
    monkeypatch.setattr(
        files, "Finalize", lambda _obj, _call, args, exitpriority: later.append((args[0], exitpriority))
    )
    with own_temporary_folder():
        folder = Path(tempfile.gettempdir())
        (folder / name).mkdir()
    assert later == [(str(folder), -200)]
    assert folder.is_dir()
    shutil.rmtree(folder)


def test_where_no_temporary_file_can_be_written_that_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    check_temporary_folder()
    monkeypatch.setattr(tempfile, "gettempdir", find_none)
    monkeypatch.setenv("TMPDIR", "/scratch/7")
    with pytest.raises(
        BadInput, match=r"^TMPDIR must be a folder that .*, got /scratch/7; set TMPDIR=\.\.\.$"
    ):
        check_temporary_folder()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/studies.db", "nfs4"),
        ("/home/local/studies.db", ""),
        ("/homes/studies.db", ""),
        ("/data/sub/studies.db", "lustre"),
        ("/studies.db", ""),
    ],
)
def test_a_network_file_system_is_told_from_a_local_one(
    path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"/": "overlay", "/home": "nfs4", "/home/local": "ext4", "/data": "lustre"}
    mounts = [SimpleNamespace(mountpoint=place, fstype=fstype) for place, fstype in places.items()]
    monkeypatch.setattr(files.psutil, "disk_partitions", lambda **_: mounts)
    assert find_network_system(Path(path)) == kind
    told = explain_network_file(f"sqlite:///{path}")
    assert told.startswith(f"{path} is on a network file system ({kind})") if kind else told == ""
