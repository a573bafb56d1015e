"""A local store that was moved or copied is told before anything trains; its old place is left alone."""

import subprocess
from pathlib import Path

import mlflow
import pytest

from pipeline.errors import BadInput
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.stores.artifact_place import check_artifacts


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store with an experiment that has an artifact."""
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    use(folder, monkeypatch)
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "mine")
    run_id = mlflow_runs.create_run(client, experiment, "r", {})
    mlflow_runs.log_files(client, run_id, {"a.txt": b"a"})
    return folder


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = str(folder / "mlflow.db").replace("%", "%25")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite+pysqlite:///{database}")


def find(name: str) -> str:
    return mlflow_store.find_or_create_experiment(mlflow_store.open_store(), name)


def test_a_store_that_was_moved_is_told_with_the_way_out(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = store.rename(tmp_path / "moved")
    use(moved, monkeypatch)
    with pytest.raises(BadInput) as caught:
        find("mine")
    old, new = store / "mlartifacts/mine", moved / "mlartifacts/mine"
    remedy = f"mkdir -p '{old.parent}' && ln -s {new} '{old}'"
    assert str(caught.value) == (
        f"the experiment mine must have its artifacts where mlflow.db says, got {old}, which is not there "
        f"(mlflow.db was moved); {remedy}, or record elsewhere with tracking.experiment=NAME"
    )
    assert not store.exists()
    assert find("another")
    subprocess.run(remedy, shell=True, check=True)
    assert find("mine")


@pytest.mark.usefixtures("store")
def test_a_place_that_nobody_can_make_is_told(tmp_path: Path) -> None:
    """As of a database that was made in a container, or by another user."""
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "mlartifacts")
    mlflow.MlflowClient().create_experiment("nowhere", artifact_location=place)
    with pytest.raises(BadInput, match=r"which is not there \(nobody can make it\); make that folder, or "):
        find("nowhere")


@pytest.mark.usefixtures("store")
def test_a_place_that_is_yet_to_be_made_is_as_good(tmp_path: Path) -> None:
    location = (tmp_path / "elsewhere" / "mine").as_uri()
    mlflow.MlflowClient().create_experiment("new", artifact_location=location)
    assert find("new") == find("new")


NOBODYS = Path("/proc/sys/kernel")
"""A folder that nobody may write to, root included."""


@pytest.mark.skipif(not NOBODYS.is_dir(), reason="such a folder is Linux'")
@pytest.mark.usefixtures("store")
def test_a_folder_of_another_user_is_told_before_anything_trains() -> None:
    mlflow.MlflowClient().create_experiment("theirs", artifact_location=str(NOBODYS))
    with pytest.raises(BadInput) as caught:
        find("theirs")
    assert str(caught.value) == (
        f"the experiment theirs must have its artifacts where mlflow.db says, got {NOBODYS}, where you may "
        "not write; ask whose it is to let you (chmod -R g+w), or record elsewhere with "
        "tracking.experiment=NAME"
    )


@pytest.mark.skipif(not NOBODYS.is_dir(), reason="such a folder is Linux'")
def test_an_experiment_that_is_refused_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    client = mlflow_store.open_store()
    (tmp_path / "mlartifacts").symlink_to(NOBODYS)
    with pytest.raises(BadInput, match=r"nobody can make it"):
        mlflow_store.find_or_create_experiment(client, "new")
    assert client.get_experiment_by_name("new") is None


def test_a_folder_that_a_server_names_is_checked_as_well(tmp_path: Path) -> None:
    """Without proxied artifacts its clients write there themselves."""
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"where its store says, got .* \(nobody can make it\)"):
        check_artifacts("http://127.0.0.1:1", "mine", str(tmp_path / "file" / "mine"))
    check_artifacts("http://127.0.0.1:1", "mine", "mlflow-artifacts:/1")
