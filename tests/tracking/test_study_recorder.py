"""The record of a study: its run ends as what happened."""

from contextlib import nullcontext, suppress
from dataclasses import replace

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import RecordDeleted, Stopped
from pipeline.processes.process_owner import ProcessOwner
from pipeline.search.results import Results
from pipeline.search.workers.job import TrialOutcome
from pipeline.settings.command_line import CommandLine
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.registry import study_models
from pipeline.tracking.runs import orphans
from pipeline.tracking.study_recorder import StudyRecorder, record_study
from pipeline.tracking.study_runs import StudyKey
from pipeline.tracking.trial_recorder import TrialStart
from tests.support.studies import tried


def key(client: mlflow.MlflowClient, name: str, identity: str = "1") -> StudyKey:
    return StudyKey(name, identity, mlflow_store.find_or_create_experiment(client, "studies"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (ZeroDivisionError(), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (Stopped(), "KILLED"),
    ],
)
def test_the_run_of_a_study_ends_as_the_block_does(error: BaseException | None, status: str) -> None:
    client = mlflow_store.open_store()
    name = f"ends {status} {type(error).__name__}"
    with (
        suppress(ZeroDivisionError, KeyboardInterrupt, Stopped),
        record_study(client, compose([]), key(client, name), "cpu", lambda _: nullcontext()) as recorder,
    ):
        assert client.get_run(recorder.run_id).info.status == "RUNNING"
        if error:
            raise error
    assert client.get_run(recorder.run_id).info.status == status


# ---- what a person does in the UI -------------------------------------------------------------------------

DONE = TrialOutcome(status="failed", reason="it was to fail")
UNIT = ("us", 1e-6)


def open_trial(recorder: StudyRecorder, attempt: str, number: int, command_line: CommandLine) -> str:
    (run_id,) = recorder.trials.open_trials(
        [TrialStart(attempt=attempt, number=number, command_line=command_line)], "a CPU"
    )
    return run_id


def test_a_deleted_run_is_left_out_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    client = mlflow_store.open_store()
    recorder = StudyRecorder(client, compose([]), key(client, "deleted"), "cpu")
    trial = open_trial(recorder, "deleted 0", 0, compose([]))
    client.delete_run(trial)
    client.delete_run(recorder.run_id)
    recorder.trials.end_trials([(trial, DONE)], UNIT)
    recorder.log_files({"a.txt": b"1"})
    recorder.write_note("note")
    recorder.close("FINISHED")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "the MLflow run of a trial",
        "the MLflow run of the study",
    ]


@pytest.mark.parametrize("when", ["before a trial", "in a trial"])
def test_an_experiment_that_is_deleted_meanwhile_comes_back_with_its_runs(
    when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, f"deleted {when}")
    recorder = StudyRecorder(client, compose([]), StudyKey("deleted", "1", experiment), "cpu")
    if when == "before a trial":
        client.delete_experiment(experiment)
    trial = open_trial(recorder, "deleted 0", 0, compose([]))
    if when == "in a trial":
        client.delete_experiment(experiment)
    recorder.trials.end_trials([(trial, DONE)], UNIT)
    recorder.close("FINISHED")
    assert (
        capsys.readouterr().err == f"the experiment deleted {when} was deleted while in use; it is restored\n"
    )
    runs = {run.info.run_id: run.info.status for run in client.search_runs([experiment])}
    assert runs == {trial: "FAILED", recorder.run_id: "FINISHED"}


def test_nothing_is_kept_of_a_trial_that_has_ended() -> None:
    """With the settings of each that failed, a parent grew by some kilobytes a trial."""
    client = mlflow_store.open_store()
    recorder = StudyRecorder(client, compose([]), key(client, "many"), "cpu")
    network = compose(["data=mnist", "model=cnn"])
    trials = [open_trial(recorder, f"many {number}", number, network) for number in range(3)]
    assert len(recorder.trials._command_lines) == 3  # to name the engine that is measured
    for trial in trials:
        recorder.trials.end_trials([(trial, DONE)], UNIT)
    assert (recorder.trials._command_lines, recorder._tags) == ({}, {})
    text = client.get_run(trials[0]).data.tags["mlflow.note.content"]
    assert text.startswith("data=mnist model=cnn\n\n`python -m pipeline run ")  # charts show two lines of it


def test_an_experiment_that_is_renamed_meanwhile_goes_on() -> None:
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "old name")
    recorder = StudyRecorder(client, compose([]), StudyKey("renamed", "1", experiment), "cpu")
    client.rename_experiment(experiment, "new name")
    trial = open_trial(recorder, "renamed 0", 0, compose([]))
    recorder.trials.end_trials([(trial, DONE)], UNIT)
    assert client.get_run(trial).info.status == "FAILED"
    assert client.get_experiment_by_name("old name") is None


def test_after_its_run_was_deleted_a_study_has_a_new_one_with_all_its_trials() -> None:
    client = mlflow_store.open_store()
    first = StudyRecorder(client, compose([]), key(client, "again"), "cpu")
    trial = open_trial(first, "again 0", 0, compose([]))
    client.delete_run(first.run_id)
    second = StudyRecorder(client, compose([]), key(client, "again"), "cpu")
    assert second.run_id != first.run_id
    assert client.get_run(trial).data.tags["mlflow.parentRunId"] == second.run_id


def test_a_persons_own_run_that_bears_the_name_of_a_study_is_left_alone() -> None:
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "fulcrum")
    theirs = client.create_run(experiment, run_name="theirs", tags={"study": "tagged"}).info.run_id
    assert StudyRecorder(client, compose([]), key(client, "tagged"), "cpu").run_id != theirs
    assert set(client.get_run(theirs).data.tags) == {"study", "mlflow.runName"}


@pytest.mark.parametrize("tags", [{}, {"mlflow.project.entryPoint": "sweep"}])
def test_taking_up_a_study_discards_the_run_of_mlflow_run_and_no_persons_own(
    tags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = mlflow_store.open_store(), f"taken up {len(tags)}"
    first = StudyRecorder(client, compose([]), key(client, name), "cpu")
    other = client.create_run(first.experiment_id, run_name="by hand", tags=tags).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", other)
    assert StudyRecorder(client, compose([]), key(client, name), "cpu").run_id == first.run_id
    client.set_terminated(other)
    orphans.end_orphans(client)
    assert client.get_run(other).info.lifecycle_stage == ("deleted" if tags else "active")


def test_a_study_keeps_the_name_that_a_person_gave_its_run() -> None:
    client = mlflow_store.open_store()
    first = StudyRecorder(client, compose([]), key(client, "named"), "cpu")
    client.update_run(first.run_id, name="mine")
    second = StudyRecorder(client, compose([]), key(client, "named"), "cpu")
    assert second.run_id == first.run_id
    assert client.get_run(first.run_id).info.run_name == "mine"


def test_a_study_of_another_identity_is_another_and_its_trials_stay() -> None:
    client = mlflow_store.open_store()
    theirs = StudyRecorder(client, compose([]), key(client, "twice", "1"), "cpu")
    trial = open_trial(theirs, "twice 0", 0, compose([]))
    ours = StudyRecorder(client, compose([]), key(client, "twice", "2"), "cpu")
    ours.trials.delete_attempt("twice 0", None)
    assert ours.run_id != theirs.run_id
    assert client.get_run(trial).info.lifecycle_stage == "active"


def test_of_two_runs_of_one_name_only_that_of_the_process_is_taken() -> None:
    """As where studies.db was put back from a backup: a trial of the number was recorded before."""
    client, me = mlflow_store.open_store(), ProcessOwner.current()
    before = StudyRecorder(client, compose([]), key(client, "of two"), "cpu")
    finished = open_trial(before, "1", 1, compose([]))
    mlflow_runs.set_tags(client, finished, {"pid": str(me.pid + 1)})
    before.trials.end_trials([(finished, DONE)], UNIT)
    now = StudyRecorder(client, compose([]), key(client, "of two"), "cpu")
    run_ids = [open_trial(now, "1", 1, compose([])) for _ in range(2)]
    assert now.trials.fail_attempt("1", me, "it died") in run_ids
    assert client.get_run(finished).data.tags["reason"] == DONE.reason
    assert now.trials.delete_attempt("1", me)
    states = {run_id: client.get_run(run_id).info.lifecycle_stage for run_id in [*run_ids, finished]}
    assert states == {**dict.fromkeys(run_ids, "deleted"), finished: "active"}
    assert not now.trials.delete_attempt("1", replace(me, pid=me.pid + 2))


def test_a_copy_of_a_study_leaves_the_runs_of_its_trials_as_they_are() -> None:
    client = mlflow_store.open_store()
    theirs = StudyRecorder(client, compose([]), key(client, "copied"), "cpu")
    trial = open_trial(theirs, "0", 0, compose([]))
    before = client.get_run(trial).data.tags
    ours = StudyRecorder(client, compose([]), key(client, "a copy", "2"), "cpu")
    own = open_trial(ours, "1", 1, compose([]))
    trials = [tried(0, (0.9, 1.0), run_id=trial), tried(1, (0.8, 0.5), run_id=own)]
    results = Results(study="a copy", data="digits", trials=tuple(trials))
    ours.update_frontier(results, UNIT)
    assert ours.runs.foreign == {trial}
    assert client.get_run(trial).data.tags == before
    assert client.get_run(own).data.tags["frontier"] == "true"
    assert study_models._find_run(ours, results.frontier[-1]) == ours.run_id
    assert study_models._find_run(ours, results.frontier[0]) == own


def test_an_experiment_that_was_removed_for_good_meanwhile_is_told_in_one_line() -> None:
    """By `mlflow gc`."""
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "to be removed")
    recorder = StudyRecorder(client, compose([]), StudyKey("removed", "1", experiment), "cpu")
    trial = open_trial(recorder, "0", 0, compose([]))
    client.delete_experiment(experiment)
    client._tracking_client.store._hard_delete_experiment(experiment)
    told = f"the experiment {experiment} was removed from the MLflow store"
    with pytest.raises(RecordDeleted, match=told):
        open_trial(recorder, "1", 1, compose([]))
    with pytest.raises(RecordDeleted, match=told):
        recorder.trials.end_trials([(trial, DONE)], UNIT)
    recorder.close("FAILED")


def test_runs_of_trials_that_the_study_has_no_more_are_told_and_leave_the_charts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`studies.db` of yesterday was put back."""
    client, study = mlflow_store.open_store(), "put back"
    before = StudyRecorder(client, compose([]), key(client, study), "cpu")
    run_ids = [open_trial(before, str(number), number, compose([])) for number in range(2)]
    before.trials.end_trials([(run_id, DONE) for run_id in run_ids], UNIT)
    all_of_it = [tried(0, (0.8, 0.5), run_id=run_ids[0]), tried(1, (0.9, 1.0), run_id=run_ids[1])]
    before.update_frontier(Results(study=study, data="digits", trials=tuple(all_of_it)), UNIT)
    assert client.get_run(run_ids[1]).data.tags["frontier"] == "true"
    for _ in range(2):
        now = StudyRecorder(client, compose([]), key(client, study), "cpu")
        now.update_frontier(Results(study=study, data="digits", trials=tuple(all_of_it[:1])), UNIT)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"study {study} does not have 1 trial any more that MLflow has, as where search.stor"
    )
    kept, lost = (client.get_run(run_id).data.tags for run_id in run_ids)
    assert (kept["frontier"], lost["frontier"], "-" in lost["plot_order"]) == ("true", "false", False)
    again = StudyRecorder(client, compose([]), key(client, study), "cpu")  # that of today is back
    again.update_frontier(Results(study=study, data="digits", trials=tuple(all_of_it)), UNIT)
    assert client.get_run(run_ids[1]).data.tags["frontier"] == "true"
