"""What answers is found out within seconds; what listens and stays silent is told with its limit."""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.search import optuna_storage
from pipeline.settings import addresses
from pipeline.settings.stores import first_answer
from pipeline.tracking import mlflow_store


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the place of a server that takes each connection and says nothing."""
    monkeypatch.setattr(first_answer, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def check_server(place: str, monkeypatch: pytest.MonkeyPatch, scheme: str = "http") -> None:
    monkeypatch.setenv(addresses.TRACKING_URI, f"{scheme}://{place}")
    addresses.check_store()


def check_runs(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_server(place, monkeypatch, "postgresql")


def check_safe_server(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_server(place, monkeypatch, "https")


def check_studies(place: str, _: pytest.MonkeyPatch) -> None:
    optuna_storage.check_storage(f"postgresql://{place}/db")


def list_studies(place: str, _: pytest.MonkeyPatch) -> None:
    optuna_storage.list_studies(f"postgresql://{place}/db")


@pytest.mark.parametrize("ask", [check_server, check_safe_server, check_runs, check_studies, list_studies])
def test_a_server_that_listens_and_says_nothing_is_told_after_seconds(
    ask: Callable[[str, pytest.MonkeyPatch], None], mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drivers wait for two minutes, MLflow for three times its limit."""
    with pytest.raises(BadInput, match=rf"\({mute} has not answered within 0[.]05 s\); (unset|leave) it"):
        ask(mute, monkeypatch)


def test_the_limit_of_a_person_counts(mute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.07")
    with pytest.raises(BadInput, match=r"within 0[.]07 s"):
        check_server(mute, monkeypatch)
    with pytest.raises(BadInput, match=r"within 0[.]08 s"):
        optuna_storage.check_storage(f"postgresql://{mute}/db?connect_timeout=0.08")


def test_whatever_a_server_says_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            for _ in range(2):  # the first one asks whether anybody listens
                server.accept()[0].close()

        thread = threading.Thread(target=refuse)
        thread.start()
        check_server(f"127.0.0.1:{server.getsockname()[1]}", monkeypatch)
        thread.join()


def test_a_server_behind_a_proxy_is_left_to_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    first_answer.check_server("http://a-server-behind-it")


@pytest.mark.parametrize("others", ["studies", "experiments", "users"])
def test_a_database_of_another_program_is_refused_before_tables_are_made_in_it(
    others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"CREATE TABLE alembic_version (a); CREATE TABLE {others} (a);")
    before, address = path.read_bytes(), f"sqlite:///{path}"
    monkeypatch.setenv(addresses.TRACKING_URI, address)
    if others != "experiments":
        for open_runs in (addresses.check_store, mlflow_store.open_store):
            with pytest.raises(BadInput, match=r"^MLFLOW_TRACKING_URI must .* \(its tables are of another"):
                open_runs()
    if others != "studies":
        with pytest.raises(BadInput, match=r"^search.storage must .* \(its tables are of another"):
            optuna_storage.check_storage(address)
        with pytest.raises(BadInput, match=r"^search.storage must .* \(its tables are of another"):
            optuna_storage.list_studies(address)
    assert path.read_bytes() == before
