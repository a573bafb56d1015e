"""Database servers that are away for a while, because they are started anew, are waited for.

Only those that have answered this process: the first time, a wrong address is told at once.
"""

import sys
import time
from functools import cache
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

AWAY_SECONDS, RETRY_SECONDS = 90.0, 0.5

_answered: set[tuple[object, ...]] = set()
"""Servers, users and databases that have answered this process, and were not waited for in vain since."""
WHERE = ("host", "port", "user", "dbname", "database", "db")
"""What drivers call the place of a server, who asks, and for which database."""


@cache
def install() -> None:
    """Let all connections to database servers that this process opens from now on wait."""

    @event.listens_for(Engine, "do_connect")
    def wait(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        return None if dialect.name == "sqlite" else connect(dialect, arguments, options)


def connect(dialect: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Return a new connection to a server, as soon as it answers again.

    Raises:
        Exception: of the driver: at once where the server has never answered, else after all the time.
    """
    where, began, is_told = tuple(map(options.get, WHERE)), time.monotonic(), False
    while True:
        try:
            connection = dialect.connect(*arguments, **options)
        except Exception:
            if where not in _answered or time.monotonic() - began > AWAY_SECONDS:
                _answered.discard(where)
                raise
            if not is_told:
                place = f"{options.get('host')}:{options.get('port')}"
                print(f"{place} does not answer; waiting for up to {AWAY_SECONDS:.0f} s", file=sys.stderr)
                is_told = True
        else:
            _answered.add(where)
            return connection
        time.sleep(RETRY_SECONDS)
