"""A locked SQLite file: waited for, with one line; a statement that fails otherwise fails at once."""

import resource
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from pipeline.errors import StoreLocked, StoreUnusable
from pipeline.settings import sqlite_waiting


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite_waiting, "DRIVER_SECONDS", 0.1)
    sqlite_waiting.install()
    with closing(sqlite3.connect(tmp_path / "some.db")) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    return tmp_path / "some.db"


def test_a_statement_and_a_commit_wait(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(1.0, lambda: other.execute("COMMIT")).start()
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (1)"))
            # A reader lets statements through, and no commit.
            other.execute("BEGIN")
            other.execute("SELECT * FROM numbers").fetchall()
            threading.Timer(1.0, lambda: other.execute("COMMIT")).start()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT number FROM numbers")).scalars().all() == [1]
        engine.dispose()
    assert capsys.readouterr().err == "some.db is locked by another program; waiting for up to 90 s\n"


def insert(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (1)"))


def test_after_a_while_the_lock_is_told_and_nobody_waits_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a sweep is wound up it writes several times: each would wait for as long."""
    monkeypatch.setattr(sqlite_waiting, "LOCK_SECONDS", 0.5)
    engine = create_engine(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            StoreLocked, match=r"some\.db is still locked by another program after 0 s; end that"
        ):
            insert(engine)
        monkeypatch.setattr(sqlite_waiting, "LOCK_SECONDS", 3600.0)
        with pytest.raises(StoreLocked):
            insert(engine)
        other.execute("COMMIT")
    insert(engine)
    assert str(path) not in sqlite_waiting._locked
    engine.dispose()


def make_read_only(path: Path) -> str:
    return f"sqlite:///file:{path}?mode=ro&uri=true"


def make_full(path: Path) -> str:
    """No page more than the file has."""
    return f"sqlite:///{path}"


def make_text(path: Path) -> str:
    path.write_text("no database " * 100)
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("make", "reason", "remedy"),
    [
        (
            make_read_only,
            "attempt to write a readonly database",
            "writable, then give the same command again",
        ),
        (make_full, "database or disk is full", "make room, then give the same command again"),
        (make_text, "file is not a database", "move it away, or name another one"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    path: Path, make: Callable[[Path], str], reason: str, remedy: str
) -> None:
    engine = create_engine(make(path))
    event.listen(engine, "connect", lambda opened, _: opened.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(StoreUnusable) as caught, engine.begin() as connection:
        connection.execute(text("INSERT INTO numbers VALUES (zeroblob(100000))"))
    assert f": {reason}; " in str(caught.value)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)
    engine.dispose()


def test_a_file_that_was_removed_while_in_use_is_told(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    insert(engine)
    path.unlink()
    with pytest.raises(StoreUnusable, match=r"some\.db was removed while in use; put a copy of it back"):
        insert(engine)
    engine.dispose()


@pytest.fixture
def _limit() -> Iterator[None]:
    """Let no file of this process grow beyond some kilobytes, as `ulimit -f` or a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_limit")
def test_a_file_that_may_not_grow_is_told_at_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = create_engine(f"sqlite:///{path}")
    too_large = text("CREATE TABLE large AS SELECT zeroblob(1000000)")
    with (
        pytest.raises(StoreUnusable, match=r"some\.db: disk I/O error; look after the disk"),
        engine.begin() as it,
    ):
        it.execute(too_large)
    assert capsys.readouterr().err == ""
    engine.dispose()


class FailingFile(sqlite_waiting.WaitingConnection):
    """Raises an error of the disk, as a journal that vanishes while it is read does."""

    failures = 0

    def fail(self) -> None:
        type(self).failures -= 1
        if self.failures >= 0:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise error


@pytest.mark.parametrize("failures", [2, 10_000])
def test_an_error_of_the_disk_passes_soon_or_never(
    failures: int, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sqlite_waiting, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(sqlite_waiting, "DISK_SECONDS", 0.01 if failures > 2 else 3600.0)
    monkeypatch.setattr(FailingFile, "failures", failures)
    with closing(FailingFile(path)) as connection:
        if failures > 2:
            with pytest.raises(StoreUnusable, match=r"some\.db: disk I/O error; look after the disk"):
                sqlite_waiting._retry(connection, connection.fail)
        else:
            sqlite_waiting._retry(connection, connection.fail)
    assert capsys.readouterr().err == ""


def test_any_other_mistake_fails_at_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with pytest.raises(OperationalError, match="no such table"), engine.begin() as connection:
        connection.execute(text("SELECT * FROM letters"))
    engine.dispose()
    assert capsys.readouterr().err == ""
