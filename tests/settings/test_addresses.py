"""Addresses of databases: paths of any letters are found again, and failures name a remedy."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from pipeline.cli import main
from pipeline.errors import BadInput
from pipeline.search import optuna_storage
from pipeline.settings import addresses
from pipeline.settings.stores import first_answer
from pipeline.tracking import mlflow_store


@pytest.mark.parametrize("name", ["plain", "a b", "a%20b", "a?b", "a#b", "ä", "100%"])
def test_a_path_is_found_again_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "m.db"
    address = addresses.make_sqlite_address(path)
    assert addresses.read_sqlite_path(address) == path
    assert make_url(address).database == str(path)
    path.parent.mkdir()
    first_answer.check_database(address)


def test_an_address_in_sqlites_own_form_leaves_no_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(addresses.TRACKING_URI, f"sqlite:///file:{tmp_path / 'm.db'}?uri=true")
    mlflow_store.open_store()
    assert (tmp_path / "m.db").stat().st_size > 0
    assert not (tmp_path / "file:").exists()


@pytest.mark.parametrize("kind", ["sqlite:///{}", "sqlite:///file:{}?uri=true"])
def test_a_folder_is_no_store_and_the_variable_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = kind.format(tmp_path)
    monkeypatch.setenv(addresses.TRACKING_URI, address)
    assert main(["preprocess", "experiment=smoke"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: MLFLOW_TRACKING_URI must name a store that answers, got sqlite")
    assert f"({tmp_path} is a folder; name a file); unset it" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:////x/m.db?timeout=60", "/x/m.db"),
        ("sqlite+pysqlite:////x/a%20b.db", "/x/a b.db"),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://h/db", None),
        ("sqlite", None),
        ("http://h:5000", None),
    ],
)
def test_the_file_of_an_address_is_what_sqlalchemy_opens(address: str, path: str | None) -> None:
    assert addresses.read_sqlite_path(address) == (Path(path) if path else None)


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        ("sqlite:////x/m.db", "/x"),
        ("sqlite:////x/m.db?timeout=60", "/x"),
        ("sqlite:////x/a%3Fb/m.db", "/x/a?b"),
        ("http://h:5000", str(addresses.CHECKOUT)),
    ],
)
def test_studies_lie_beside_a_local_database(
    address: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(addresses.TRACKING_URI, address)
    assert addresses.read_sqlite_path(addresses.make_study_address()) == Path(folder) / "studies.db"


@pytest.mark.parametrize(
    ("address", "error", "line"),
    [
        (
            "sqlite:////x/m.db",
            "Detected out-of-date schema. Take a backup, then run 'mlflow db upgrade <uri>' to",
            "got sqlite:////x/m.db (it is of another version of MLflow); copy it, then run: "
            "mlflow db upgrade sqlite:////x/m.db",
        ),
        (
            "sqlite:////x/m.db",
            "Detected out-of-date database schema (found version ffffffffffff, but expected 1b5f0d9ad7c1). "
            "Take a backup of your database, then run 'mlflow db upgrade <uri>' to",
            "got sqlite:////x/m.db (it is of a newer version of MLflow than the one here); install that one, "
            "or name another database",
        ),
        (
            "sqlite:////x/m.db",
            "Detected out-of-date database schema (found version 451aebb31d03, but expected 1b5f0d9ad7c1). "
            "Take a backup of your database, then run 'mlflow db upgrade <uri>' to",
            "got sqlite:////x/m.db (it is of another version of MLflow); copy it, then run: "
            "mlflow db upgrade sqlite:////x/m.db",
        ),
        (
            "sqlite:////x/m.db",
            "The runtime is too new. Please execute `$ optuna storage upgrade --storage $STORAGE_URL`",
            "got sqlite:////x/m.db (it is of another version of Optuna); copy it, then run: optuna storage "
            "upgrade --storage sqlite:////x/m.db",
        ),
        (
            "sqlite:////x/m.db",
            "The runtime optuna version 5.0.0 is no longer compatible with the table schema (set up by ...",
            "got sqlite:////x/m.db (its tables are of another program, such as MLflow, or of another version "
            "of Optuna); give the studies a database of their own",
        ),
        (
            "sqlite:////x/m.db",
            "Can't locate revision identified by 'v3.2.0.a'",
            "got sqlite:////x/m.db (its tables are of another program, such as Optuna); MLflow needs a "
            "database of its own",
        ),
        (
            "postgres://ann:pw@h/db",
            "Can't load plugin: sqlalchemy.dialects:postgres",
            "got postgres://ann:***@h/db (Can't load plugin: sqlalchemy.dialects:postgres); "
            "write postgresql:// instead of postgres://",
        ),
        (
            "postgresql://ann:p@cret@h/db",
            "no host cret@h\nand more",
            "got postgresql://ann:***@h/db (no host ***@h); do this",
        ),
        ("x", "y" * 400, f"got x ({297 * 'y'}...); do this"),
        ("SQLITE:////x/m.db", "no", "got SQLITE:////x/m.db (no); write sqlite:////x/m.db"),
        ("sqlite:/x/m.db", "no", "got sqlite:/x/m.db (no); write sqlite:////x/m.db"),
        ("/x/a%b.db", "no", "got /x/a%b.db (no); write sqlite:////x/a%25b.db"),
        ("127.0.0.1:5000", "no", "got 127.0.0.1:5000 (no); write http://127.0.0.1:5000"),
        ("c:5", "no", "got c:5 (no); do this"),
        ("./runs", "no", "got ./runs (no); do this"),
    ],
)
def test_a_failure_is_one_line_with_its_remedy(address: str, error: str, line: str) -> None:
    assert addresses.explain_failure(address, ValueError(error), "do this") == line


def test_a_store_that_is_not_there_yet_is_not_made_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(addresses.TRACKING_URI, f"sqlite:///{tmp_path}/new/mlflow.db")
    addresses.check_store()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("http://127.0.0.1:9", "got http://127.0.0.1:9 (127.0.0.1:9: Connection refused)"),
        (
            "https://ann:geheim@localhost:9/x",
            "got https://ann:***@localhost:9/x (localhost:9: ",
        ),
        (
            "http://ann:se/cret@127.0.0.1:9",
            "got http://ann:***@127.0.0.1:9 (Port could not be cast",
        ),
        ("http://127.0.0.1:99999", "got http://127.0.0.1:99999 (Port out of range 0-65535)"),
        ("http:///x", "got http:///x (it names no host)"),
    ],
)
@pytest.mark.parametrize("variable", [addresses.TRACKING_URI, addresses.REGISTRY_URI])
def test_a_server_that_nobody_runs_is_told_at_once(
    variable: str, address: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow would try for minutes."""
    monkeypatch.setenv(addresses.TRACKING_URI, f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv(variable, address)
    with pytest.raises(BadInput) as caught:
        addresses.check_store()
    assert str(caught.value).startswith(f"{variable} must name a store that answers, {line}")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite://?timeout=3",
    ],
)
def test_a_database_in_memory_would_lose_what_is_recorded(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(addresses.TRACKING_URI, address)
    with pytest.raises(BadInput, match=r"^MLFLOW_TRACKING_URI must name a store .* \(it is in memory, so"):
        addresses.check_store()
    with pytest.raises(BadInput, match=r"^search.storage must be an Optuna URL .* \(it is in memory, so"):
        optuna_storage.check_storage(address)


def test_a_folder_whose_name_no_database_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(addresses.TRACKING_URI, "sqlite:////x/a\udcff/m.db")
    with pytest.raises(BadInput, match=r"\(its folder has a name that is no UTF-8; take another folder\)"):
        addresses.check_store()


def test_an_installed_package_writes_into_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(addresses.TRACKING_URI)
    monkeypatch.setattr(addresses, "CHECKOUT", None)
    monkeypatch.chdir(tmp_path)
    assert addresses.read_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    assert addresses.make_study_address() == f"sqlite:///{tmp_path}/studies.db"
    (tmp_path / "conf" / "price").mkdir(parents=True)
    (tmp_path / "conf" / "price" / "mine.yaml").touch()
    assert set(addresses.find_options("price")) == {"mine", "none", "core", "t4", "l4", "a100", "h100"}


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ("other.db", "MLFLOW_TRACKING_URI"),
        (None, "mlflow.db in the checkout"),
        ("mlflow.db", "mlflow.db in the checkout"),  # as MLflow sets the variable once it is told an address
    ],
)
def test_a_store_that_does_not_answer_names_what_was_set(
    named: str | None, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / (named or "mlflow.db")).write_text("no database " * 100)
    monkeypatch.delenv(addresses.TRACKING_URI)
    monkeypatch.setattr(addresses, "CHECKOUT", tmp_path)
    if named:
        monkeypatch.setenv(addresses.TRACKING_URI, f"sqlite:///{tmp_path}/{named}")
    with pytest.raises(BadInput, match=f"^{key} must .*file is not a database") as caught:
        addresses.check_store()
    assert ("unset" in str(caught.value)) is (named == "other.db")


def test_a_home_folder_in_an_address_is_told_and_no_folder_is_called_like_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///~/m.db")
    with pytest.raises(BadInput) as caught:
        addresses.check_store()
    assert str(caught.value) == (
        "MLFLOW_TRACKING_URI must name a store that answers, got sqlite:///~/m.db (in an address ~ is no "
        "home folder); write sqlite:////home/ann/m.db"
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "m.db").touch()  # of an earlier release, which made it
    addresses.require_lasting("sqlite:///~/m.db")
