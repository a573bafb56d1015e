"""A small sweep over accuracy, cost and the size of the network, whole: study, MLflow, registry, pictures."""

import json
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from pipeline.cli import main
from pipeline.search import trial_rows
from pipeline.search.results import Results
from pipeline.search.study_store import StudyStore
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store, read_study

WORDS = (
    "search=smoke",
    "device=cpu",
    "train.epochs=2",
    "model.hidden=8,64,512",
    "search.sampler=random",
    "search.trials=3",
    "search.confirm=1",
    "search.study=three",
)
OBJECTIVES = "search.objectives=[accuracy,cost,parameters]"


@pytest.fixture
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    monkeypatch.setenv("COLUMNS", "140")


@pytest.mark.slow
@pytest.mark.usefixtures("_place")
def test_a_sweep_over_three_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *WORDS, OBJECTIVES]) == 0
    printed = capsys.readouterr().out
    assert "parameters" in printed
    results = trial_rows.read_results(StudyStore(addresses.make_study_address(), "three"), "digits")
    sizes = {trial.params["model.hidden"]: trial.curve[-1].further for trial in results.trials}
    assert all(size == (64 * hidden + hidden + 10 * hidden + 10,) for hidden, size in sizes.items())  # type: ignore[operator]
    assert all(member.confirmation for member in results.frontier)
    _check_records(mlflow_store.open_store(), results)
    assert main(["frontier", "--json", "--max", "parameters=1000"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["objectives"] == ["accuracy", "cost", "parameters"]
    assert {member["parameters"] for member in told["frontier"]} <= {610}
    assert main(["sweep", *WORDS]) == 2
    assert "was begun with objectives ['accuracy', 'cost', 'parameters']" in capsys.readouterr().err


PRIVATE = "privacy=dp_sgd privacy.epsilon=8 privacy.delta=1e-4 train.epochs=12 train.patience=1"


@pytest.mark.slow
@pytest.mark.usefixtures("_place")
def test_the_kept_model_of_a_point_that_ran_out_of_patience_is_that_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The noise of an epsilon is solved for all epochs; of fewer, it would be another training."""
    search = (
        "search=smoke search.study=patient search.trials=1 search.confirm=1 search.space=[] search.when={}"
    )
    words = f"{search} {PRIVATE} device=cpu model.hidden=16,32 optimizer=sgd optimizer.learning_rate=0.5"
    assert main(["sweep", *words.split()]) == 0
    results = trial_rows.read_results(StudyStore(addresses.make_study_address(), "patient"), "digits")
    (member,) = results.frontier
    assert 1 < member.epoch < 12
    client = mlflow_store.open_store()
    spent = [metric.value for metric in client.get_metric_history(str(member.trial.run_id), "epsilon")]
    about = mlflow.models.get_model_info("models:/patient@best").metadata["privacy"]
    assert about["epsilon"] == pytest.approx(spent[member.epoch - 1])
    assert about["epsilon"] < 7  # 8 are what twelve epochs spend
    capsys.readouterr()
    assert main(["evaluate", "trained=models:/patient@best"]) == 0
    assert f"{100 * member.point.accuracy:.2f}% validation" in capsys.readouterr().out
    (read,) = read_study.read_results(client, "fulcrum", "patient").frontier
    assert read.confirmation is not None
    assert member.confirmation is not None
    assert read.confirmation.accuracies == member.confirmation.accuracies


def _check_records(client: MlflowClient, results: Results) -> None:
    read = read_study.read_results(client, "fulcrum", "three")
    assert read.objective_names == results.objective_names
    assert [member.key for member in read.frontier] == [member.key for member in results.frontier]
    aliases = client.get_registered_model("three").aliases
    least = results.find_least(results.further[0])
    assert least is not None
    version = client.get_model_version("three", str(aliases["least_parameters"]))
    assert version.tags["member"] == f"{least.trial.number} {least.epoch}"
    assert float(version.tags["parameters"]) == least.point.further[0]
    experiment = client.get_experiment_by_name("fulcrum")
    assert experiment is not None
    (study_run,) = [
        run for run in client.search_runs([experiment.experiment_id]) if "objectives" in run.data.tags
    ]
    files = {file.path for file in client.list_artifacts(study_run.info.run_id)}
    assert {"frontier.png", "frontier_pairs.png", "frontier.html"} <= files
    assert "frontier_pairs.png" in study_run.data.tags["mlflow.note.content"]
