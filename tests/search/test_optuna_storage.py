"""A storage that another process writes, or that a killed one has left behind, is waited for."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from pipeline.errors import BadInput, BadSetting
from pipeline.search import optuna_storage, trial_rows
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_store import StudyStore
from pipeline.settings import sqlite_waiting
from pipeline.settings.stores import first_answer

KILLED_IN_A_WRITE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end
connection.execute("BEGIN")
connection.executemany(
    "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, '1')",
    [(f"{number:0500}",) for number in range(500)],
)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", "s")
    return tmp_path / "studies.db"


def test_a_locked_file_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than SQLite waits by itself."""
    monkeypatch.setattr(sqlite_waiting, "DRIVER_SECONDS", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(0.5, lambda: connection.execute("COMMIT"))
        release.start()
        before = time.monotonic()
        assert optuna_storage.list_studies(f"sqlite:///{path}") == ["s"]
        assert time.monotonic() - before > 0.4
        release.join()


def test_what_a_kill_left_half_written_is_rolled_back_by_whoever_comes(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_IN_A_WRITE, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("studies.db-journal").stat().st_size > 0
    url = f"sqlite:///{path}"
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: StudyStore(url, "s"), range(4)))
    assert [store.read_attrs() for store in stores] == [{"about": {}}] * 4
    assert not path.with_name("studies.db-journal").exists() or os.path.getsize(f"{path}-journal") == 0


def test_many_that_create_one_storage_at_once_all_open_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: StudyStore(url, "s"), range(4)))
    assert {store.name for store in stores} == {"s"}
    assert optuna_storage.list_studies(url) == ["s"]


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("CREATE", {}, Exception("table studies already exists")),
        OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked")),
        IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed: alembic_version.version_num")),
        IntegrityError("CREATE", {}, Exception("duplicate key value violates pg_type_typname_nsp_index")),
    ],
)
def test_what_passes_is_tried_again(path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, errors = optuna_storage._connect, [error, error]

    def fail_twice(url: str, create: bool) -> object:
        if errors:
            raise RuntimeError("An exception is raised during the commit.") from errors.pop()
        return connect(url, create)

    monkeypatch.setattr(optuna_storage, "_connect", fail_twice)
    assert optuna_storage.list_studies(f"sqlite:///{path}") == ["s"]
    assert errors == []


def test_what_does_not_pass_is_told_at_once(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(BadInput, match=r"search\.storage must be an Optuna URL that answers"):
        optuna_storage.list_studies(f"sqlite:///{tmp_path / 'no' / 'such' / 'studies.db'}")
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(BadInput, match="file is not a database"):
        optuna_storage.list_studies(f"sqlite:///{tmp_path / 'text.db'}")
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:////dev/null", "/dev/null is no file but a device; name a file"),
        ("sqlite:///file:/dev/zero?uri=true", "/dev/zero is no file but a device; name a file"),
        ("sqlite:////tmp", "/tmp is a folder; name a file"),
        ("sqlite:////proc/no.db", "[Errno 2] No such file or directory: '/proc/"),
        ("nosuch://ann@host/db", "Can't load plugin: sqlalchemy.dialects:nosuch"),
        ("postgresql://ann@127.0.0.1:1/db", "127.0.0.1:1: Connection refused"),
        ("mysql+pymysql://ann@127.0.0.1:1/db", "127.0.0.1:1: Connection refused"),
    ],
)
def test_a_storage_that_can_never_work_is_not_waited_for(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: float) -> None:
        raise AssertionError("it is waited for")

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(BadInput) as caught:
        optuna_storage.check_storage(address)
    text = str(caught.value)
    assert text.startswith("search.storage must be an Optuna URL that answers, got ")
    assert f" ({reason}" in text
    assert text.endswith("; leave it out to use studies.db beside mlflow.db")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError("timed out"), "192.0.2.1:5432: timed out"),
        (socket.gaierror(-2, "Name or service not known"), "192.0.2.1:5432: Name or service not known"),
        (None, "192.0.2.1:5432 has not answered within 0.5 s"),
    ],
)
def test_a_host_that_does_not_answer_is_told_after_seconds(
    error: OSError | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No packet comes back, or no name: a driver would try for minutes."""
    ended = threading.Event()

    def connect(*_: object) -> None:
        if error is not None:
            raise error
        ended.wait()
        raise TimeoutError

    monkeypatch.setattr(first_answer, "REACH_SECONDS", 0.0)
    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(BadInput) as caught:
        optuna_storage.check_storage("postgresql://ann@192.0.2.1/db")
    assert f"({told}); leave" in str(caught.value)
    ended.set()


def test_a_file_that_may_only_be_read_is_read_and_not_searched(path: Path) -> None:
    read_only = f"sqlite:///file:{path}?mode=ro&uri=true"
    assert optuna_storage.list_studies(read_only) == ["s"]
    with pytest.raises(BadInput, match="attempt to write a readonly database; make the file and its folder"):
        optuna_storage.check_storage(read_only)
    optuna_storage.check_storage(f"sqlite:///{path}")


@pytest.mark.parametrize("error", ["unable to open database file", "disk I/O error"])
def test_a_default_storage_that_is_of_no_use_has_a_remedy_of_its_own(
    error: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{path}"
    monkeypatch.setattr(optuna_storage, "make_study_address", lambda: address)
    text = str(optuna_storage.explain_unusable(address, OSError(error)))
    assert text.endswith(
        f"({error}); mend that, or name another storage with search.storage=sqlite:////FOLDER/studies.db"
    )


def test_words_of_a_server_that_lets_nobody_in_are_not_taken_for_a_lock() -> None:
    refused = OperationalError(None, None, Exception('FATAL: role "busy" does not exist, "x" already exists'))
    assert not optuna_storage._is_passing(refused)


# ---- other people's studies -------------------------------------------------------------------------------

FOREIGN: dict[str, tuple[list[str], int]] = {
    "rows without an outcome": (["maximize", "minimize"], 2),
    "other directions": (["minimize", "minimize"], 0),
    "a single objective": (["maximize"], 2),
}


def make_foreign(url: str, directions: list[str], trials: int) -> None:
    study = optuna.create_study(storage=url, study_name="theirs", directions=directions)
    values = (0.5, 1.0)[: len(directions)]
    study.optimize(lambda trial: tuple(trial.suggest_float("x", 0, 1) * value for value in values), trials)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_study_of_another_program_is_refused_and_untouched(kind: str, path: Path) -> None:
    url, (directions, trials) = f"sqlite:///{path}", FOREIGN[kind]
    make_foreign(url, directions, trials)
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
        assert optuna_storage.list_studies(url) == ["s"]
        for refuse in (
            lambda: StudyStore(url, "theirs", {"space": []}),
            lambda: optuna_storage.check_storage(url, "theirs"),  # before TensorFlow is imported
        ):
            with pytest.raises(BadSetting, match=r"search\.study=theirs is no study of ours in search\.stor"):
                refuse()
        optuna_storage.check_storage(url, "s")
        assert list(connection.iterdump()) == before


ATTRIBUTES: list[dict[str, object]] = [
    {},  # begun, and empty still
    {"team": "theirs"},
    {"about": "theirs"},
    {"about": {"space": []}, "data": "theirs"},
    {"about": {"space": []}, "identity": 5},
    {"about": {"space": []}, "identity": "../theirs"},
]


@pytest.mark.parametrize("attrs", ATTRIBUTES)
def test_a_study_with_attributes_of_another_program_or_none_is_none_of_ours(
    attrs: dict[str, object], path: Path
) -> None:
    url = f"sqlite:///{path}"
    study = optuna.create_study(storage=url, study_name="theirs", directions=["maximize", "minimize"])
    for key, value in attrs.items():
        study.set_user_attr(key, value)
    assert optuna_storage.list_studies(url) == ["s"]
    with pytest.raises(BadSetting, match=r"search\.study=theirs is no study of ours in search\.storage"):
        StudyStore(url, "theirs", {"space": []})
    assert study.user_attrs == attrs


@pytest.mark.parametrize("attrs", [{"owner": "ann"}, {"outcome": 0.5}, {"outcome": {"score": 1}}])
def test_trials_that_bear_our_words_for_something_else_are_none_of_ours(
    attrs: dict[str, object], path: Path
) -> None:
    url = f"sqlite:///{path}"
    study = optuna.create_study(storage=url, study_name="theirs", directions=["maximize", "minimize"])
    study.add_trial(optuna.trial.create_trial(values=(0.5, 1.0), user_attrs=attrs))
    assert optuna_storage.list_studies(url) == ["s"]


def test_a_study_of_somebody_else_is_not_taken_for_tasks(path: Path) -> None:
    """Its name is that under which release 0.1.0 kept the tasks of a study."""
    url = f"sqlite:///{path}"
    optuna.create_study(storage=url, study_name="new (afterwards)", direction="minimize")
    store = StudyStore(url, "new", {"space": []})
    store.task_queue().queue(ProposedTrial({}, {}, {}), {}, once="confirm 1")
    assert store.task_queue().claim() is not None
    assert optuna.load_study(storage=url, study_name="new (afterwards)").trials == []


def test_trials_that_another_program_puts_into_our_study_are_left_alone(path: Path) -> None:
    url = f"sqlite:///{path}"
    store = StudyStore(url, "s", {"space": []})
    study = optuna.load_study(storage=url, study_name="s")
    study.enqueue_trial({"x": 0.5})
    study.add_trial(optuna.trial.create_trial(values=(0.5, 1.0)))
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    assert store.trials() == store.find_orphans(10) == []
    assert store.claim() is None
    assert trial_rows.read_results(store, "digits").trials == ()
