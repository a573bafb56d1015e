"""Rows that are handed to the driver of a database as they are.

SQLAlchemy looks at every value of every row before, which is a third of the price of an insertion; a trial is
some two hundred rows of MLflow's tables.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that set the same columns, two or more, to what a driver takes: texts, numbers, None."""
    if not rows:
        return
    statement, names = _write_statement(table, tuple(rows[0]), connection.dialect)
    in_order = itemgetter(*names) if names else dict  # by their places, or by their names
    connection.exec_driver_sql(statement, [in_order(row) for row in rows])


@lru_cache(64)
def _write_statement(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Write the statement of a database; with the columns in its order where it has no names for them."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(columns), for_executemany=True)
    return str(compiled), tuple(compiled.positiontup or ()) if compiled.positional else ()
