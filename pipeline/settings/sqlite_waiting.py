"""SQLite files that another program has locked for a while are waited for; others are told in one line.

A backup, a database browser or a process that rolls back what a killed one left keeps a file for seconds.
SQLite waits by itself, but not where such a rollback is under way, and without a word. So each statement
and each commit is tried again; both leave the transaction as it was where they find the file locked.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import event
from sqlalchemy.engine import Engine

from pipeline.errors import StoreLocked, StoreUnusable

LOCK_SECONDS, RETRY_SECONDS = 90.0, 0.1
DRIVER_SECONDS = 3.0
"""How long SQLite waits by itself; after that a line is printed and the statement is tried again."""
DISK_SECONDS = 1.0
"""How long an error of the disk may be that of a journal which another process rolls back meanwhile."""
FIRST_BYTE = 0xFF
"""Of an error code of SQLite: the rest says more about the reason."""
PASSING_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
AGAIN = "then give the same command again: what was recorded is kept"
PUT_BACK = "put a copy of it back, or start anew with search.study=NAME"
REMEDIES = {
    sqlite3.SQLITE_READONLY: f"make the file and its folder writable, {AGAIN}",
    sqlite3.SQLITE_PERM: f"make the file and its folder writable, {AGAIN}",
    sqlite3.SQLITE_FULL: f"make room, {AGAIN}",
    sqlite3.SQLITE_IOERR: f"look after the disk, {AGAIN}",
    sqlite3.SQLITE_CANTOPEN: f"see that the file and its folder are there and can be read, {AGAIN}",
    sqlite3.SQLITE_NOTADB: "move it away, or name another one",
    sqlite3.SQLITE_CORRUPT: "put a copy of it back, or name another one",
}
"""What to do where a file cannot be used, by SQLite's error code."""

_locked: set[str] = set()
"""Files that were waited for in vain: while all is wound up, nobody waits for them again."""


class _WaitingCursor(sqlite3.Cursor):
    connection: "WaitingConnection"

    def execute(self, *arguments: Any) -> "_WaitingCursor":
        _retry(self.connection, lambda: super(_WaitingCursor, self).execute(*arguments))
        return self

    def executemany(self, *arguments: Any) -> "_WaitingCursor":
        _retry(self.connection, lambda: super(_WaitingCursor, self).executemany(*arguments))
        return self


class WaitingConnection(sqlite3.Connection):
    """A connection that tries statements and commits again where the file is locked."""

    def __init__(self, database: Any, *arguments: Any, **options: Any) -> None:
        """Open a file as `sqlite3.connect` does.

        Raises:
            StoreUnusable: it is a folder or a device.
        """
        _require_file(str(database))
        super().__init__(database, *arguments, **options)
        self.path = str(database)

    def cursor(self, factory: Any = _WaitingCursor) -> Any:
        """Return a cursor that waits."""
        return super().cursor(factory)

    def execute(self, *arguments: Any) -> Any:
        """Run a statement with a cursor of its own, which waits."""
        return self.cursor().execute(*arguments)

    def commit(self) -> None:
        """Commit, as soon as nobody else has the file locked."""
        _retry(self, super().commit)


def _retry(connection: WaitingConnection, attempt: Callable[[], object]) -> None:
    """Attempt until the file is free.

    Raises:
        StoreLocked: it was locked for all the time.
        StoreUnusable: the file or the disk cannot be used.
    """
    began = time.monotonic()
    while True:
        try:
            attempt()
            _locked.discard(connection.path)
            return
        except sqlite3.DatabaseError as error:
            whole = getattr(error, "sqlite_errorcode", 0)
            code = whole & FIRST_BYTE
            seconds = time.monotonic() - began
            if whole == sqlite3.SQLITE_IOERR_WRITE or not _is_passing(connection, code, seconds):
                if whole == sqlite3.SQLITE_READONLY_DBMOVED:
                    raise StoreUnusable(f"{connection.path} was removed while in use; {PUT_BACK}") from error
                if code in REMEDIES:
                    raise StoreUnusable(f"{connection.path}: {error}; {REMEDIES[code]}") from error
                raise
            if seconds > LOCK_SECONDS or connection.path in _locked:
                _locked.add(connection.path)
                raise StoreLocked(
                    f"{connection.path} is still locked by another program after {LOCK_SECONDS:.0f} s; "
                    f"end that one, {AGAIN}"
                ) from error
        if code in PASSING_CODES:
            _announce(connection.path)
        time.sleep(RETRY_SECONDS)


def _is_passing(connection: sqlite3.Connection, code: int, seconds: float) -> bool:
    """Return whether the reason is another program; a journal that is rolled back may vanish while read."""
    is_rolled_back = code == sqlite3.SQLITE_IOERR and not connection.in_transaction and seconds < DISK_SECONDS
    return code in PASSING_CODES or is_rolled_back


def _require_file(database: str) -> None:
    """Raise where a path is no file: SQLite reports an error of the disk then, as it does of a journal.

    Raises:
        StoreUnusable: it is a folder or a device.
    """
    path = unquote(urlsplit(database).path) if database.startswith("file:") else database
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no file but a device"
        raise StoreUnusable(f"{path} is {kind}; name a file")


@cache
def _announce(path: str) -> None:
    """Say once that a file is waited for."""
    name = Path(path).name
    print(f"{name} is locked by another program; waiting for up to {LOCK_SECONDS:.0f} s", file=sys.stderr)


@cache
def install() -> None:
    """Let all connections to SQLite that this process opens from now on wait."""

    @event.listens_for(Engine, "do_connect")
    def wait(dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        if dialect.driver == "pysqlite":
            options.setdefault("timeout", DRIVER_SECONDS)
            options.setdefault("factory", WaitingConnection)
