"""Whether a database or a server answers at all, found out within seconds where drivers try for minutes.

Each is asked once. One that has answered may be started anew later, and is waited for then.
"""

import os
import socket
import ssl
from collections.abc import Callable, Collection
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Thread
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

T = TypeVar("T")

REACH_SECONDS, ANSWER_SECONDS = 2.0, 10.0
"""How long a host may take to be found and to be connected to, and how long to its first answer."""
REQUEST_SECONDS = "MLFLOW_HTTP_REQUEST_TIMEOUT"
"""MLflow's variable of how long a request may take: where a person has set it, it counts."""
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
SERVERS = {"http": 80, "https": 443}
PLACES = ("host", "hostaddr", "service", "unix_socket")
"""Queries of an address by which a driver finds its server in a way of its own."""


def require_own_tables(names: Collection[str], own: str) -> None:
    """Raise where the tables of a database, by their names, are those of another program.

    `own`: a table of the program that is about to open it. MLflow and Optuna make all of theirs before they
    find that the version in the database is of neither.

    Raises:
        ValueError: the version is of another program.
    """
    if "alembic_version" in names and own not in names:
        raise ValueError("its tables are of another program; MLflow and Optuna need a database each")


@cache
def check_database(address: str) -> None:
    """Raise what SQLAlchemy raises where a database does not answer: at once, where MLflow tries for minutes.

    Raises:
        ValueError: it is another program's, as Optuna's.
        Exception: whatever SQLAlchemy or the driver raises.
    """
    from sqlalchemy import create_engine, inspect

    from pipeline.settings import sqlite_waiting

    sqlite_waiting.install()
    check_reachable(address)
    engine = create_engine(address)
    try:
        require_own_tables(inspect(engine).get_table_names(), "experiments")
    finally:
        engine.dispose()


@cache
def check_reachable(address: str) -> None:
    """Raise where a database server does not answer; a file is let through.

    Raises:
        OSError: the host is not known, or nobody answers there; the text says where.
        Exception: whatever SQLAlchemy or the driver raises.
    """
    from sqlalchemy import create_engine, make_url, select

    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        return
    port = url.port or PORTS.get(url.get_backend_name())
    is_placed = bool(set(PLACES) & url.query.keys())
    if url.host and not url.host.startswith("/") and port is not None and not is_placed:
        _require_listener(url.host, port)

    def ask() -> None:
        engine = create_engine(address)
        try:
            with engine.connect() as connection:
                connection.execute(select(1))
        finally:
            engine.dispose()

    server = url.host or "the database"
    limit = str(url.query.get("connect_timeout", ""))
    answer_in_time(f"{server}:{port}" if port else server, _read_seconds(limit), ask)


@cache
def check_server(address: str) -> None:
    """Raise where an MLflow server does not answer; one behind a proxy is let through.

    Raises:
        OSError: the host is not known, or nobody answers there; the text says where.
        ValueError: it is no address.
    """
    url = urlsplit(address)
    if not url.hostname:
        raise ValueError("it names no host")
    if url.scheme in getproxies() and not proxy_bypass(url.hostname):
        return
    port = url.port or SERVERS[url.scheme]
    _require_listener(url.hostname, port)
    answer_server(address, lambda: _ask_for_health(url, port))


def answer_server(address: str, ask: Callable[[], T]) -> T:
    """Return what `ask` returns of an MLflow server, within the seconds of a first answer.

    Raises:
        TimeoutError: it takes longer.
        Exception: whatever `ask` raises.
    """
    url = urlsplit(address)
    server = f"{url.hostname}:{url.port or SERVERS[url.scheme]}"
    return answer_in_time(server, _read_seconds(os.environ.get(REQUEST_SECONDS, "")), ask)


def answer_in_time(server: str, seconds: float, ask: Callable[[], T]) -> T:
    """Return what `ask` returns, in a thread: neither resolvers nor drivers keep to a limit of their own.

    Raises:
        TimeoutError: it takes longer than so many seconds; the text names the server.
        Exception: whatever `ask` raises.
    """
    answers, failures = list[T](), list[Exception]()

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            failures.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError(f"{server} has not answered within {seconds:g} s")
    return answers[0]


def _require_listener(host: str, port: int) -> None:
    """Raise where nobody listens there.

    Raises:
        OSError: the host is not known, or refuses; the text says where.
    """
    server = f"{host}:{port}"

    def connect() -> None:
        try:
            socket.create_connection((host, port), REACH_SECONDS).close()
        except OSError as error:
            raise ConnectionError(f"{server}: {error.strerror or error}") from None

    answer_in_time(server, REACH_SECONDS + 0.5, connect)  # a resolver has no limit


def _ask_for_health(url: SplitResult, port: int) -> None:
    """Wait for an answer, whatever it is, and say no secret; MLflow tells better what else is wrong."""
    host = url.hostname or ""
    connection = HTTPConnection(host, port)
    if url.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(host, port, context=context)
    try:
        connection.request("GET", f"{url.path.rstrip('/')}/health")
        connection.getresponse()
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()


def _read_seconds(text: str) -> float:
    """Return a limit that a person has set, in seconds; that of ours where there is none."""
    try:
        seconds = float(text)
    except ValueError:
        return ANSWER_SECONDS
    return seconds if seconds > 0 else ANSWER_SECONDS
