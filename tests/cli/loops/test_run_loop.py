"""Run and sweep over a training loop of the user's own, through the commands."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import mlflow
import pytest

from pipeline.cli import main
from pipeline.search.confirmation import PointTraining
from pipeline.search.workers import user_job
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.search.workers.job_kinds import run_job
from pipeline.tracking.registry import point_models, study_models, study_versions
from pipeline.tracking.serving.point_facts import PointFacts
from pipeline.tracking.study_place import STUDY_ID
from pipeline.tracking.study_recorder import StudyRecorder
from pipeline.trial import user_code
from pipeline.trial.reports import OURS
from tests.conftest import CHECKOUT
from tests.support import my_loops
from tests.support.studies import study as make_study
from tests.trial.test_user_loop import CALL, settings_of

Run = Callable[..., subprocess.CompletedProcess[str]]


def loop(name: str) -> tuple[str, ...]:
    return "trial=function", f"trial.call={CALL}:{name}", "device.pin=false"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    return mlflow.MlflowClient(uri)


def runs_of(client: mlflow.MlflowClient, condition: str = "") -> list[Any]:
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, condition, order_by=["attributes.start_time ASC"]))


def test_a_run_is_recorded_with_its_keys_its_numbers_its_model_and_a_card(
    fulcrum: Run, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    done = fulcrum("run", *loop("modelling"), "foreign=false")
    assert done.returncode == 0, done.stderr
    assert "50.00%, 25.00% test" in done.stdout
    (run,) = runs_of(store)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == 0.5
    assert run.data.metrics["test_accuracy"] == 0.25
    assert run.data.metrics["cpu_seconds"] > 0
    of_the_loop = {"accuracy", "test_accuracy", "test_rows"}
    assert [name for name in {*run.data.metrics} - of_the_loop if not OURS.fullmatch(name)] == []
    assert run.data.params["foreign"] == "False"
    assert "model.hidden" not in run.data.params  # it says nothing of this run
    assert run.data.tags["code.sha256"] == user_code.hash_code(
        settings_of("modelling", "foreign=false").trial
    )  # type: ignore[arg-type]
    assert "foreign=false" in run.data.tags["command"]
    (logged,) = store.search_logged_models([run.info.experiment_id])
    assert mlflow.pyfunc.load_model(logged.model_uri).predict([[3.0]]).tolist() == [1]
    card = read_card(store.download_artifacts(run.info.run_id, "model_card.md", str(tmp_path)))
    assert card == read_card(f"{mlflow.artifacts.download_artifacts(logged.model_uri)}/model_card.md")
    for text in (
        "- Of class sklearn.tree.\\_classes.DecisionTreeClassifier, kept by mlflow.sklearn.",
        "| foreign | False |",
        "| test\\_accuracy | 0.25 | 0.1419 to 0.4019, of 40 rows |",
        "J of training",
        f"SHA-256 `{run.data.tags['code.sha256']}`",
        run.data.tags["command"],
        "| scikit-learn |",
    ):
        assert text in card, text
    # The model of a point of a study has the same card, with what the study says of it.
    settings = settings_of("modelling", "foreign=false")
    point = PointTraining(settings, tmp_path / "checkpoint.npz", under_shift=False)
    about = PointFacts("run --it", "99 % of three seeds", is_confirmed=True)
    point_models.log_loop_point(point, "study", run.info.run_id, "3 1", about)
    (version,) = store.search_model_versions("name = 'study'")
    card = read_card(f"{mlflow.artifacts.download_artifacts(version.source)}/model_card.md")
    assert "- 99 % of three seeds" in card
    assert "run --it" in card
    assert "J of training" in card


@pytest.mark.parametrize("accuracy", [0.5, 0.75])
def test_a_model_that_came_out_otherwise_than_its_point_says_so(
    accuracy: float, store: mlflow.MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loop that draws by no seed has another model each time: the point's figures are not those of it."""
    settings, member = settings_of("modelling", "foreign=false"), make_study().frontier[0]
    member = replace(member, point=replace(member.point, accuracy=accuracy))
    run = store.create_run(store.create_experiment(f"trained again, {accuracy}"))
    record = cast(StudyRecorder, SimpleNamespace(client=store, study="again", runs=run.data))
    record.runs.tags[STUDY_ID] = "1"
    about = PointFacts("run --it", "75 % of one seed", is_confirmed=False, accuracy=accuracy)
    point = PointTraining(settings, tmp_path / "checkpoint.npz", under_shift=False)
    version = point_models.log_loop_point(point, "again", run.info.run_id, member.name, about)
    assert version
    study_models._tell_of_another(record, version, member)
    study_versions.describe_version(record, version, member)
    made = store.get_model_version("again", version)
    card = read_card(f"{mlflow.artifacts.download_artifacts(made.source)}/model_card.md")
    text = "; its model, trained again, has 50.00%"
    assert (text in made.description) == (text in card) == (accuracy != 0.5)
    assert made.tags.keys() <= study_versions.OUR_TAGS
    name = f"trial {member.trial.number}, epoch {member.epoch}"
    line = f"{name}: the loop reached 75.00%{text}; draw all that is random by settings.seed\n"
    assert capsys.readouterr().err == ("" if accuracy == 0.5 else line)
    store.delete_registered_model("again")


def read_card(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def test_a_model_of_no_framework_is_told_and_the_run_is_well(
    fulcrum: Run, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    done = fulcrum("run", *loop("modelling"), "foreign=true")
    assert done.returncode == 0
    assert "no model is kept: model must be of PyTorch" in done.stderr
    assert "got tests.support.my_loops.Model" in done.stderr
    (run,) = runs_of(store)
    card = read_card(store.download_artifacts(run.info.run_id, "model_card.md", str(tmp_path)))
    assert r"class tests.support.my\_loops.Model, which was not kept" in card


def test_a_loop_that_closes_the_output_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: mlflow.MlflowClient
) -> None:
    monkeypatch.setattr(sys, "stdout", open(os.devnull, "w"))  # noqa: SIM115
    capfd.readouterr()  # of MLflow, which may just have made its tables
    assert main(("run", *loop("closing"))) == 1
    assert capfd.readouterr().err == (
        "error: what was to be shown could not be written: I/O operation on closed file.\n"
    )
    assert runs_of(store)[0].info.status == "FINISHED"


def test_a_loop_that_raises_is_one_line_and_its_run_has_the_traceback(
    fulcrum: Run, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    done = fulcrum("run", *loop("raising"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: trial.call={CALL}:raising raised ValueError")
    assert len(done.stderr.splitlines()) == 1
    (run,) = runs_of(store)
    assert run.info.status == "FAILED"
    text = Path(store.download_artifacts(run.info.run_id, "output.txt", str(tmp_path))).read_text()
    assert "Traceback" in text


@pytest.mark.parametrize("command", ["diagnose", "preprocess", "train", "evaluate", "profile"])
def test_commands_that_look_into_a_network_say_so(command: str, fulcrum: Run) -> None:
    done = fulcrum(command, *loop("train"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {command} needs trial=network")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("model.hidden=8",), "model.hidden must be left out with trial=function"),
        (("train.batch_size=8",), "train.batch_size must be left out"),
        (("experiment=article",), "experiment must be left out"),
        (("data.path=x",), "data.path must be left out"),
        (("search.max_parameters=3",), "search.max_parameters must be left out"),
        (("search.objective=accuracy_under_shift",), "search.objective must be left out"),
        (("trial.values={a:1}",), "trial has no setting values"),
        (("search.trails=3",), "search has no setting trails, got 3; did you mean search.trials"),
        (("widht=3,4",), "widht is not a setting of Options"),
        (("width=1.5,3",), "width must be a whole number, got 1.5"),
        (("width=interval(1,8)", "rate=tag(log,interval(0,1))"), "rate must begin above 0"),
        (("width=interval(1.0,8.0)",), "width must be a whole number"),
        ((), "search.space must vary one key at least, got none; type one, for example epochs=5,10,20"),
    ],
)
def test_a_mistake_in_the_words_of_a_sweep_is_one_line(
    words: tuple[str, ...], text: str, fulcrum: Run
) -> None:
    done = fulcrum("sweep", *loop("train"), "search.workers=0", *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: {text}")
    assert len(done.stderr.splitlines()) == 1


def test_a_sweep_searches_keys_of_the_users_and_tells_of_changed_code(
    fulcrum: Run, store: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*loop("train"), "search.workers=0", "search.trials=4", "search.confirm=1", "search.study=s")
    words = (*words, "search.budget=1h")
    space = ("rate=tag(log,interval(0.1,0.5))", "optimizer=sgd,adam", "width=8")
    done = fulcrum("sweep", *words, *space)
    assert done.returncode == 0, done.stderr
    trials = runs_of(store, "tags.trial != '' AND tags.stage = 'trial'")
    assert len(trials) == 4
    assert {"rate", "optimizer", "width", "train.epochs"} <= trials[0].data.params.keys()
    assert "f1" in trials[0].data.metrics
    assert "validation" in done.stdout
    assert "% test" not in done.stdout  # the loop reports none
    assert fulcrum("frontier", "--study", "s", "--at-least", "0.3").returncode == 0
    command = trials[0].data.tags["command"].split()[4:]
    again = fulcrum("run", *command)
    assert again.returncode == 0, again.stderr
    assert f"{trials[0].data.metrics['accuracy']:.2%}" in again.stdout
    monkeypatch.setattr(user_code, "hash_module", lambda _: 64 * "0")
    monkeypatch.setattr("pipeline.trial.user_keys._described", {})
    changed = fulcrum("sweep", *words, *space)
    assert changed.returncode == 2
    assert "search.study=s was begun with code" in changed.stderr
    assert "put the code back" in changed.stderr


LATE_MODULES = ("tensorflow", "scipy.stats", "scipy.optimize", "scipy.linalg", "matplotlib")
LATE = f"""
import sys

def train(settings):
    late = {LATE_MODULES}
    yield {{"accuracy": 0.75, **{{name: 1.0 for name in late if name in sys.modules}}}}
"""


def test_before_the_first_trial_of_a_sweep_nothing_is_imported_for_later_ones(
    fulcrum_process: Run, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    words = ("trial=function", "trial.call=late:train", "start=1,2", "search.trials=1", "search.workers=0")
    done = fulcrum_process("sweep", *words, "search.confirm=0", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    (trial,) = runs_of(store, "tags.stage = 'trial'")
    assert trial.data.metrics["accuracy"] == 0.75
    assert not set(trial.data.metrics) & {*LATE_MODULES}


COMMAND = "import sys; from pipeline.__main__ import run; sys.exit(run())"
"""What the installed command does: the working folder is not on its import path."""


@pytest.mark.usefixtures("store")
def test_modules_of_the_working_folder_are_not_taken_for_those_of_this_program(tmp_path: Path) -> None:
    for name in ("pipeline", "queue", "socket"):  # the last two are needed by a process that starts workers
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('it was imported')")
    (tmp_path / "mine.py").write_text("def train(settings):\n    yield settings.share\n")
    (tmp_path / "theirs.py").write_text("import pipeline\n")
    words = ("sweep", "trial=function", "share=0.25,0.5", "search.trials=2", "search.confirm=0")

    def sweep(module: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-c", COMMAND, *words, f"trial.call={module}:train", "device.pin=false"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )

    done = sweep("mine")
    assert done.returncode == 0, done.stderr
    assert "2 trials (2 complete)" in done.stdout
    refused = sweep("theirs")
    assert refused.returncode == 2
    text = f"{tmp_path / 'pipeline.py'} has the name of this program's own package; rename it"
    assert text in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_epochs_and_seeds_of_a_loop_are_searched_where_they_are_typed(fulcrum: Run) -> None:
    words = (*loop("saving"), "search.workers=0", "search.study=e", "epochs=1,3", "seed=1,2", "--dry-run")
    done = fulcrum("sweep", *words)
    assert done.returncode == 0, done.stderr
    assert "search: train.epochs=1,3  train.seed=1,2" in done.stdout


def test_a_run_of_the_loops_own_is_nested_in_that_of_the_command(
    fulcrum: Run, store: mlflow.MlflowClient
) -> None:
    done = fulcrum("run", *loop("tracking"))
    my_loops.GO_ON.set()
    assert done.returncode == 0
    assert "the loop has left left-over running: the command ends with it" in done.stderr
    outer, inner, forgotten = runs_of(store)
    assert {run.info.status for run in (outer, inner, forgotten)} == {"FINISHED"}
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert (inner.data.metrics["own"], outer.data.metrics["accuracy"]) == (1, 0.5)
    assert outcome_of("tracking").status == "complete"  # a worker has no run for them to be nested in
    assert mlflow.active_run() is None
    assert {run.info.status for run in runs_of(store)} == {"FINISHED"}


def outcome_of(name: str, *words: str, **more: Any) -> TrialOutcome:
    job = Job(number=0, settings=settings_of(name, *words), **more)
    *_, last = run_job(job, tuple)
    assert isinstance(last, TrialOutcome)
    return last


def test_a_job_whose_code_was_changed_is_refused() -> None:
    outcome = outcome_of("train", source=64 * "f")
    assert outcome.status == "refused"
    assert outcome.reason.startswith("the code was changed while the search ran: it had ffffffffffff")


def test_a_job_that_raises_has_failed_and_pays_for_its_epochs() -> None:
    outcome = outcome_of("raising")
    assert (outcome.status, len(outcome.points)) == ("failed", 1)
    assert outcome.paid_seconds > outcome.points[0].device_seconds
    assert "Traceback" in outcome.output


def test_a_further_objective_is_what_the_loop_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome_of("train", "epochs=2", further=("latency_ms",)).status == "failed"
    monkeypatch.setattr(user_job, "TEST", "f1")  # nothing of it is hidden but the test split
    assert outcome_of("train", "epochs=2").metrics == {}
