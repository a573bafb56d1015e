"""Databases of SQLite that another program has open."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.data.sources import load
from pipeline.errors import BadData
from tests.support import places


def test_a_database_whose_last_rows_lie_beside_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    rows = [(row / 2, "ab"[row % 2]) for row in range(40)]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE t (v REAL, y TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?)", rows[:20])
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.executemany("INSERT INTO t VALUES (?, ?)", rows[20:])
        database.commit()
        with pytest.raises(BadData) as caught:
            load(places.cells(path, label="y", columns=None), tmp_path)
        places.assert_one_line(caught, "t.db-wal", "close that program", "wal_checkpoint")
    assert len(load(places.cells(path, label="y", columns=None), tmp_path).train.labels) == 40
