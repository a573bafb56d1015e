"""What a person deletes in the MLflow UI is left out and told in one line; commands go on, models stay."""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run, ViewType
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.orm import Session

from pipeline.cli import main
from pipeline.measures import Epoch
from pipeline.search.results import Results
from pipeline.search.study_store import StudyStore
from pipeline.search.trial_rows import read_results
from pipeline.search.workers.job import TrialOutcome
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store
from pipeline.tracking.registry import study_models, study_versions
from pipeline.tracking.run_recorder import RunRecorder
from pipeline.tracking.trial_recorder import TrialRecorder

STUDY = ("search=smoke", "search.study=s", "train.epochs=2", "pruning=none", "search.confirm=0", "device=cpu")
STUDY += ("search.workers=0",)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


def command(*words: str) -> tuple[int, list[str]]:
    """Exit code and lines of the error output."""
    err = StringIO()
    with redirect_stdout(StringIO()), redirect_stderr(err):
        code = main(words)
    return code, err.getvalue().splitlines()


def sweep(trials: int) -> tuple[int, list[str]]:
    return command("sweep", *STUDY, f"search.trials={trials}")


def read() -> Results:
    return read_results(StudyStore(addresses.make_study_address(), "s"), "digits")


def runs_of(client: mlflow.MlflowClient, stage: str) -> list[Run]:
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.stage = '{stage}'"))


def assert_models_answer(client: mlflow.MlflowClient, results: Results) -> None:
    """Each point that has a model has one version, and its artifact can be loaded."""
    versions = list(client.search_model_versions("name = 's'"))
    members = {version.tags["member"].split()[0] for version in versions}
    assert members == {str(member.trial.number) for member in results.frontier}
    assert mlflow.keras.load_model("models:/s@best").count_params() > 0
    assert all(client.get_run(version.run_id).info.lifecycle_stage == "active" for version in versions)


@pytest.mark.slow
def test_runs_deleted_between_two_starts_are_left_out_and_their_models_lie_elsewhere(
    client: mlflow.MlflowClient,
) -> None:
    assert sweep(3)[0] == 0
    member = read().frontier[-1].trial
    (study,) = runs_of(client, "sweep")
    client.delete_run(str(member.run_id))
    client.delete_run(study.info.run_id)
    client.delete_registered_model("s")
    assert command("frontier", "--study", "s")[0] == 0
    code, lines = sweep(4)
    assert code == 0, lines
    deleted = f"the MLflow run of trial {member.number} was deleted: the study's run has its model"
    is_member = member.number in {each.trial.number for each in read().frontier}
    assert lines == ([deleted] if is_member else [])
    assert len(read().trials) == 4
    assert_models_answer(client, read())
    assert command("frontier", "--study", "s")[0] == 0


@pytest.mark.slow
def test_a_study_whose_experiment_was_deleted_or_renamed_goes_on_in_it(client: mlflow.MlflowClient) -> None:
    assert sweep(2)[0] == 0
    experiment = client.get_experiment_by_name("fulcrum")
    client.rename_experiment(experiment.experiment_id, "mine")
    assert sweep(3) == (0, [])
    client.delete_experiment(experiment.experiment_id)
    assert command("frontier", "--study", "s")[0] == 0
    assert sweep(4) == (0, ["the experiment mine of the study was deleted; it is restored"])
    assert len(runs_of(client, "trial")) == 4
    assert {run.info.experiment_id for run in runs_of(client, "trial")} == {experiment.experiment_id}


@pytest.mark.slow
def test_what_is_deleted_while_a_sweep_runs_is_told_in_one_line_each(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_trials, ended = TrialRecorder.end_trials, list[str]()

    def delete_and_end(self: TrialRecorder, trials: list[tuple[str, TrialOutcome]], *unit: object) -> None:
        ((run_id, _),) = trials
        ended.append(run_id)
        if len(ended) == 1:
            client.delete_run(run_id)
        if len(ended) == 2:
            client.delete_run(self.study_run)
        if len(ended) == 3:
            client.delete_experiment(self.runs.experiment_id)
        end_trials(self, trials, *unit)  # type: ignore[arg-type]

    monkeypatch.setattr(TrialRecorder, "end_trials", delete_and_end)
    code, lines = sweep(4)
    assert code == 0, lines
    assert f"the MLflow run of a trial ({ended[0]}) was deleted: it gets no more" in lines
    assert "the experiment fulcrum was deleted while in use; it is restored" in lines
    assert not [line for line in lines if "Traceback" in line]
    assert len(read().trials) == 4
    runs = client.search_runs([client.get_experiment_by_name("fulcrum").experiment_id], "", ViewType.ALL)
    assert {run.info.status for run in runs} == {"FINISHED"}  # also of those that were deleted
    assert sweep(5)[0] == 0
    assert len(runs_of(client, "sweep")) == 1
    assert_models_answer(client, read())


@pytest.mark.slow
def test_what_is_deleted_while_models_are_registered_is_told_and_comes_with_the_next_trial(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_point, about = study_models.log_point, study_versions.describe_version

    def delete_experiment_and_log(*arguments: object) -> str | None:
        client.delete_experiment(client.get_experiment_by_name("fulcrum").experiment_id)
        return log_point(*arguments)  # type: ignore[arg-type]

    def delete_model_and_describe(*arguments: object) -> None:
        if client.search_registered_models():
            client.delete_registered_model("s")
        about(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(study_models, "log_point", delete_experiment_and_log)
    code, lines = sweep(1)
    assert (code, len(lines)) == (0, 2), lines
    assert lines[0] == "the experiment fulcrum was deleted while in use; it is restored"
    assert lines[1].endswith(": deleted meanwhile; it is made again once the study has a further trial")
    monkeypatch.setattr(study_models, "log_point", log_point)
    monkeypatch.setattr(study_versions, "describe_version", delete_model_and_describe)
    code, lines = sweep(2)
    assert code == 0, lines
    assert [line for line in lines if "not found: deleted meanwhile" in line] == lines != []
    monkeypatch.setattr(study_versions, "describe_version", about)
    for model in client.search_logged_models([client.get_experiment_by_name("fulcrum").experiment_id]):
        client.delete_logged_model(model.model_id)
    assert sweep(3) == (0, [])
    assert_models_answer(client, read())


@pytest.mark.slow
@pytest.mark.parametrize("what", ["model", "version", "name"])
def test_what_goes_between_two_writes_into_a_version_ends_no_sweep(
    what: str, client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has found the version when it goes, so it tells of a broken key."""
    remove: dict[str, Callable[[str], object]] = {
        "model": lambda _: client.delete_registered_model("s"),
        "version": lambda version: client.delete_model_version("s", version),
        "name": lambda _: client.rename_registered_model("s", "mine"),
    }
    find, writer, removed = SqlAlchemyStore._get_sql_model_version, list[bool](), list[str]()

    def find_and_remove(
        store: SqlAlchemyStore, session: Session, name: str, version: str, eager: bool = False
    ) -> object:
        found = find(store, session, name, version, eager)
        if writer and not removed:
            removed.append(version)
            remove[what](version)
        return found

    def write(*arguments: object) -> None:
        writer.append(True)
        about(*arguments)  # type: ignore[arg-type]

    about = mlflow.MlflowClient.set_model_version_tag
    monkeypatch.setattr(SqlAlchemyStore, "_get_sql_model_version", find_and_remove)
    monkeypatch.setattr(mlflow.MlflowClient, "set_model_version_tag", write)
    code, lines = sweep(1)
    assert removed
    assert (code, len(lines)) == (0, 1), lines
    assert lines[0].endswith(": deleted meanwhile; it is made again once the study has a further trial")
    assert sweep(2)[0] == 0
    assert_models_answer(client, read())


def test_a_run_that_is_deleted_while_it_trains_ends_in_one_line(
    client: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = RunRecorder.record_epoch

    def delete_and_record(self: RunRecorder, epoch: Epoch) -> None:
        client.delete_run(self.run_id)
        record(self, epoch)

    monkeypatch.setattr(RunRecorder, "record_epoch", delete_and_record)
    code, lines = command("run", "train.epochs=1", "device=cpu")
    assert (code, len(lines)) == (1, 1)
    assert "was deleted while it was written, so run ended; restore it in the UI, or give the" in lines[0]
