"""Where a study is recorded: one experiment of one MLflow store, under a name that no other storage uses."""

from pathlib import Path

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadInput
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.study_identity import NAMED
from pipeline.search.study_store import StudyStore
from pipeline.tracking import mlflow_store, study_place
from pipeline.tracking.runs.owner_tags import make_owner_tags


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> StudyStore:
    return StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", request.node.name)


def end_trial(store: StudyStore, run_id: str) -> None:
    number = store.begin(ProposedTrial({}, {}, {}), 10)
    assert number is not None
    store.finish(number, {"state": "failed", "curve": [], "run_id": run_id})


def test_a_study_stays_in_its_experiment_when_that_is_renamed_or_deleted(
    client: mlflow.MlflowClient, store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    words = compose(["tracking.experiment=a place"])
    place = study_place.choose_place(client, store, words)
    study_place.write_place(client, store, place)
    client.rename_experiment(place, "a renamed place")
    client.delete_experiment(place)
    assert study_place.choose_place(client, store, compose([])) == place
    assert client.get_experiment(place).lifecycle_stage == "active"
    assert capsys.readouterr().err == (
        "the experiment a renamed place of the study was deleted; it is restored\n"
    )
    assert study_place.choose_place(client, store, words) == place
    assert "so tracking.experiment=a place is not used" in capsys.readouterr().err


PLACES = [{"experiment_id": "987654", "created": 1}, {"experiment_id": "0", "created": 1}]


@pytest.mark.parametrize("place", PLACES)
def test_another_tracking_store_is_told(
    place: dict[str, object], client: mlflow.MlflowClient, store: StudyStore
) -> None:
    store.write_attr(study_place.PLACE, place)
    with pytest.raises(BadInput, match="is recorded in another MLflow store than MLFLOW_TRACKING_URI names"):
        study_place.choose_place(client, store, compose([]))


def test_studies_of_0_1_0_are_found_by_the_runs_of_their_trials(
    client: mlflow.MlflowClient, store: StudyStore
) -> None:
    experiment = mlflow_store.find_or_create_experiment(client, "of 0.1.0")
    run_id = client.create_run(experiment, tags={"study": store.name}).info.run_id
    end_trial(store, run_id)
    end_trial(store, "0" * 32)  # of a run that was removed for good
    assert study_place.choose_place(client, store, compose([])) == experiment


def test_a_study_of_0_1_0_without_a_run_here_is_told(client: mlflow.MlflowClient, store: StudyStore) -> None:
    end_trial(store, "0" * 32)
    with pytest.raises(BadInput, match="another MLflow store"):
        study_place.choose_place(client, store, compose([]))


def test_the_name_of_a_study_of_another_storage_is_taken(
    client: mlflow.MlflowClient, store: StudyStore
) -> None:
    experiment = mlflow_store.find_or_create_experiment(client, "fulcrum")
    tags = {"study": store.name, "study_id": "theirs", **make_owner_tags()}
    run_id = client.create_run(experiment, tags=tags).info.run_id
    with pytest.raises(BadInput, match=f"is taken in the experiment fulcrum .*{run_id}"):
        study_place.choose_place(client, store, compose([]))
    client.delete_run(run_id)
    assert study_place.choose_place(client, store, compose([])) == experiment


def test_a_copy_is_recorded_beside_its_study_under_a_name_that_is_free(
    client: mlflow.MlflowClient, store: StudyStore
) -> None:
    experiment = mlflow_store.find_or_create_experiment(client, "of copies")
    study_place.write_place(client, store, experiment)
    store.write_attr(NAMED, "the original")
    tags = {"study": store.name, "study_id": "theirs", **make_owner_tags()}
    run_id = client.create_run(experiment, tags=tags).info.run_id
    with pytest.raises(BadInput, match=f"is taken in the experiment of copies .*{run_id}"):
        study_place.choose_place(client, store, compose([]))
    client.delete_run(run_id)
    assert study_place.choose_place(client, store, compose([])) == experiment


def test_a_persons_own_run_with_such_a_tag_takes_no_name(
    client: mlflow.MlflowClient, store: StudyStore
) -> None:
    experiment = mlflow_store.find_or_create_experiment(client, "fulcrum")
    client.create_run(experiment, tags={"study": store.name})
    assert study_place.choose_place(client, store, compose([])) == experiment
