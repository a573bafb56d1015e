"""Whether the owner of a trial, a run or a file is alive, gone, or out of sight."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest

from pipeline.processes import process_owner
from pipeline.processes.process_owner import ProcessOwner, is_free

ME = ProcessOwner.current()
OTHER_BOOT = 32 * "0"


def ended() -> ProcessOwner:
    """A process that was alive when it was described, and is gone."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = ProcessOwner.of(child.pid)
    child.communicate(b"\n")
    assert owner is not None
    return owner


def judged(owner: ProcessOwner) -> str:
    assert not (owner.is_alive() and owner.is_gone())
    return "alive" if owner.is_alive() else "gone" if owner.is_gone() else "out of sight"


def old(owner: ProcessOwner) -> ProcessOwner:
    """As version 0.1.0 wrote it."""
    return replace(owner, boot_id=None, pid_namespace=None, started_after_boot=None)


def test_this_process_is_alive_and_current() -> None:
    assert judged(ME) == judged(old(ME)) == "alive"
    assert ME.is_current()
    assert not replace(ME, pid=os.getppid()).is_current()


def test_a_process_that_has_ended_is_gone() -> None:
    owner = ended()
    assert judged(owner) == judged(old(owner)) == "gone"
    assert ProcessOwner.of(owner.pid) is None


def test_one_that_nobody_has_waited_for_is_gone() -> None:
    """Its parent was killed too, and process 1 of a container often waits for nobody."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = ProcessOwner.of(child.pid)
    assert owner is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert judged(owner) == "gone"
    child.communicate()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda me: replace(old(me), started=me.started + 2), "alive"),  # a clock was set by little
        (lambda me: replace(old(me), started=me.started + 1000), "gone"),  # the id was used again
        (lambda me: replace(old(me), started=None), "alive"),
        (lambda me: replace(old(me), host="another"), "out of sight"),
        (lambda me: replace(me, started=me.started + 1000), "alive"),  # a clock was set by much
        (lambda me: replace(me, started_after_boot=1.0), "gone"),
        (lambda me: replace(me, boot_id=OTHER_BOOT), "out of sight"),  # an earlier boot, or a twin's
        (lambda me: replace(me, boot_id=OTHER_BOOT, pid=99999999), "out of sight"),
        (lambda me: replace(me, boot_id=OTHER_BOOT, host="another"), "out of sight"),
        (lambda me: replace(me, pid_namespace=1), "out of sight"),  # a container, with the same host name
        (lambda me: replace(me, pid_namespace=1, pid=99999999), "out of sight"),
        (lambda me: replace(me, pid_namespace=1, boot_id=OTHER_BOOT), "out of sight"),
        (lambda me: replace(me, host="renamed"), "alive"),
        (lambda me: replace(me, host="renamed", pid=99999999), "gone"),
        (lambda me: replace(me, pid=-1), "gone"),
    ],
)
def test_what_is_said_of(change: Callable[[ProcessOwner], ProcessOwner], expected: str) -> None:
    if ME.boot_id is None or ME.pid_namespace is None:
        pytest.skip("this system names neither its boots nor its PID namespaces")
    assert judged(change(ME)) == expected


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        (lambda me: ProcessOwner.from_dict(me.to_dict()), True),
        (lambda me: replace(me, holder="a"), True),
        (old, True),
        (lambda me: replace(old(me), host="another"), False),
        (lambda me: replace(me, host="renamed"), True),
        (lambda me: replace(me, pid=me.pid + 1), False),
        (lambda me: replace(me, boot_id=OTHER_BOOT), False),
        (lambda me: replace(me, pid_namespace=1), False),
        (lambda me: replace(me, started_after_boot=1.0), False),
        (lambda me: replace(old(me), started=me.started + 1000), False),
    ],
)
def test_one_process_is_known_again(change: Callable[[ProcessOwner], ProcessOwner], is_same: bool) -> None:
    if ME.boot_id is None or ME.pid_namespace is None:
        pytest.skip("this system names neither its boots nor its PID namespaces")
    assert ME.is_same(change(ME)) == change(ME).is_same(ME) == is_same


@pytest.mark.skipif(not psutil.LINUX, reason="/proc is of Linux")
def test_a_process_that_the_system_hides_is_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, where /proc is mounted with hidepid: its trials are its own while its lease lasts."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nowhere")
    monkeypatch.setattr(os, "kill", refuse)
    hidden = replace(ME, pid=99999999)
    assert judged(hidden) == "out of sight"
    assert [is_free(hidden, is_over) for is_over in (False, True)] == [False, True]


def test_what_may_be_taken() -> None:
    """By one rule: who is seen decides by itself, of all others the lease tells."""
    far = replace(ME, host="another", boot_id=OTHER_BOOT)
    assert [is_free(owner, False) for owner in (ME, ended(), far, None)] == [False, True, False, False]
    assert [is_free(owner, True) for owner in (ME, ended(), far, None)] == [False, True, True, True]


def test_a_system_that_names_neither_boot_nor_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_owner, "read_boot_id", lambda: None)
    monkeypatch.setattr(process_owner, "read_pid_namespace", lambda: None)
    here = ProcessOwner.current()
    assert set(here.to_dict()) == {"host", "pid", "started"}
    assert [judged(owner) for owner in (here, ME, replace(here, pid=99999999))] == ["alive", "alive", "gone"]


def test_a_record_survives_json_tags_files_and_pipes() -> None:
    plain = ME.to_dict()
    assert plain["started"] == round(psutil.Process().create_time())
    assert pickle.loads(pickle.dumps(ME)) == ME
    as_text = {key: str(value) for key, value in plain.items()}
    for fields in (plain, json.loads(json.dumps(plain)), as_text):
        again = ProcessOwner.from_dict(fields)
        assert again is not None
        assert again.is_current()
        assert again.to_dict() == plain
    named = ProcessOwner.from_file_name(f"{ME.to_file_name()}.word")
    assert named is not None
    assert named.to_dict() == plain


def test_records_of_0_1_0_are_read() -> None:
    row = {"host": socket.gethostname(), "pid": os.getpid(), "started": round(psutil.Process().create_time())}
    for owner in (ProcessOwner.from_dict(row), ProcessOwner.from_file_name(f"a-host-{os.getpid()}-1f2e3d4c")):
        assert owner is not None
        assert owner.boot_id is None
    assert ProcessOwner.from_dict(row) == ProcessOwner(
        host=row["host"], pid=row["pid"], started=row["started"]
    )
    assert ProcessOwner.from_file_name("a-host-7-1f2e3d4c") == ProcessOwner(host="a-host", pid=7)


@pytest.mark.parametrize("fields", [{}, {"host": "h"}, {"host": "h", "pid": "x"}, {"host": "h", "pid": None}])
def test_what_describes_no_process_is_none(fields: dict[str, object]) -> None:
    assert ProcessOwner.from_dict(fields) is None


@pytest.mark.parametrize("name", ["", "host", "host-7", "host-x-word", "-7-word"])
def test_other_file_names_are_none(name: str) -> None:
    assert ProcessOwner.from_file_name(name) is None


def test_another_pid_namespace_does_not_judge_this_one() -> None:
    """As two containers with one host name see each other."""
    unshare = [
        shutil.which("unshare") or "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ]
    try:
        possible = subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("this system lets nobody make a PID namespace")
    code = (
        "import json, sys; from pipeline.processes.process_owner import ProcessOwner\n"
        "owner = ProcessOwner.from_dict(json.loads(sys.argv[1]))\n"
        "print(owner.is_alive(), owner.is_gone(), ProcessOwner.from_dict(json.loads(sys.argv[2])).is_gone())"
    )
    owners = [json.dumps(owner.to_dict()) for owner in (ME, old(ME))]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", code, *owners], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "True"]  # the last: what 0.1.0 wrote is judged as it was
