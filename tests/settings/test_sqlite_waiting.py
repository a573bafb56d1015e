"""A locked SQLite file: waited for, with one line; a statement that fails otherwise fails at once."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

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


def test_after_a_while_the_lock_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_waiting, "LOCK_SECONDS", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        engine = create_engine(f"sqlite:///{path}")
        with pytest.raises(OperationalError, match="database is locked"), engine.begin() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (1)"))
        engine.dispose()


def test_any_other_mistake_fails_at_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with pytest.raises(OperationalError, match="no such table"), engine.begin() as connection:
        connection.execute(text("SELECT * FROM letters"))
    engine.dispose()
    assert capsys.readouterr().err == ""
