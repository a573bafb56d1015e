"""Output that nobody reads, or that has no room: the work goes on, and no traceback shows."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.errors import StoreLocked
from pipeline.output import GuardedOutput, guard_output
from pipeline.tracking import mlflow_store
from tests.conftest import CHECKOUT


class Broken(io.StringIO):
    """A stream that fails from its first write on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("number", "lost"), [(errno.EPIPE, False), (errno.ENOSPC, True), (errno.EIO, True)])
def test_a_stream_that_fails_is_silent_from_then_on(number: int, lost: bool) -> None:
    output = GuardedOutput(Broken(number))
    assert output.write("first") == 5
    output.write("second")
    output.flush()
    assert output.is_lost is lost


def test_streams_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with guard_output():
        print("shown")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "shown\n"


def in_a_shell(words: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m pipeline {words}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--help | head -n 0", 0, ""),
        ("--help > /dev/full", 1, "error: what was to be shown could not be written: "),
        ("--help >&-", 0, ""),
        ("trian 2> /dev/full", 2, ""),
        ("trian 2>&-", 2, ""),
    ],
)
def test_a_closed_pipe_or_a_full_disk_shows_no_traceback(words: str, code: int, said: str) -> None:
    if "/dev/full" in words and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = in_a_shell(words)
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == bool(said)


@pytest.mark.slow
def test_a_sweep_whose_reader_has_gone_goes_on_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in `sweep ... | head -n 0`: its first line is lost, and its run ends as ever."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    words = "search=smoke search.trials=1 search.confirm=0 train.epochs=1 device=cpu search.workers=0"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        assert cli.main(["sweep", *words.split()]) == 0
    assert capsys.readouterr().err == ""
    client = mlflow_store.open_store()
    (experiment,) = (each for each in client.search_experiments() if each.name == "fulcrum")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags.get("stage") for run in runs} >= {"sweep", "trial"}


def test_what_a_shell_has_closed_is_open_in_further_processes_too() -> None:
    """A worker whose output is None could not even begin."""
    starting = """
import subprocess, sys
from pipeline.output import guard_output
with guard_output():
    inner = "import sys; sys.exit(None in (sys.stdin, sys.stdout))"
    sys.exit(subprocess.run([sys.executable, "-c", inner]).returncode)
"""
    shell = 'exec "$0" -c "$1" <&- >&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable, starting], cwd=CHECKOUT, check=False)
    assert done.returncode == 0


def test_letters_that_a_terminal_lacks_are_written_in_another_way() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    output = GuardedOutput(stream)
    output.write("5 \u00b5s \u00b13% \u00d7\u00f72 \u2026 \u00e9\n")
    output.flush()
    assert stream.buffer.getvalue() == b"5 us +/-3% x/2 ... \\xe9\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"LANG": "C"}, "+/-\u00e9"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "+/-\u00e9"),  # as Python itself sets it
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, "+/-\u00e9"),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, "\u00b1\u00e9"),
        ({"LANG": "C.UTF-8"}, "\u00b1\u00e9"),
        ({}, "\u00b1\u00e9"),
    ],
)
def test_the_language_c_gets_plain_signs_and_names_as_they_are(
    names: dict[str, str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    output = GuardedOutput(stream)
    output.write("\u00b1\u00e9")
    output.write_exactly("\u00b1")
    output.flush()
    assert stream.buffer.getvalue().decode() == f"{shown}\u00b1"  # type: ignore[attr-defined]


def test_an_error_of_the_program_shows_its_traceback_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("at postgresql://ann:geheim@host/db")

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["run"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("ZeroDivisionError: at postgresql://ann:***@host/db\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StoreLocked("studies.db is still locked"), "error: studies.db is still locked\n"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.keras"),
            "error: model.keras: No space left on device; make room or the disk writable, then give the same "
            "command again: what was recorded is kept\n",
        ),
        (
            OSError(errno.EACCES, os.strerror(errno.EACCES), "mlartifacts"),
            "error: mlartifacts: Permission denied; make room or the disk writable, then give the same "
            "command again: what was recorded is kept\n",
        ),
    ],
)
def test_a_store_or_disk_that_takes_no_more_is_told_in_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a library has made an error of its own of it."""

    def fail(*_: Any) -> None:
        try:
            raise error
        except StoreLocked as locked:
            raise RuntimeError("An exception is raised during the commit.") from locked

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["run"]) == 1
    assert capsys.readouterr().err == line
