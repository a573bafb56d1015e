"""The models of a study's frontier: kept in the runs of its trials, registered as versions under its name."""

import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow.exceptions import MlflowException

from pipeline import signals
from pipeline.errors import FulcrumError, read_first_line
from pipeline.reports import study_markdown
from pipeline.search.confirmation import plan_point, train_point
from pipeline.search.ends.standstill import MODELS
from pipeline.search.study_trial import FrontierPoint, write_until
from pipeline.settings.training import UserLoop
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.metrics.cost import list_spent
from pipeline.tracking.registry import names, study_versions
from pipeline.tracking.registry.names import MEMBER
from pipeline.tracking.registry.point_models import log_loop_point, log_point
from pipeline.tracking.runs.command_record import COMMAND
from pipeline.tracking.serving.point_facts import PointFacts
from pipeline.trial import user_loop

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.sweep import Sweep
    from pipeline.tracking.study_recorder import StudyRecorder


def register_models(task: "Sweep", record: "StudyRecorder") -> None:
    """Register the models of the frontier as versions of the study's model; each lies in its trial's run.

    Aliases `cheapest`, `knee` (where the frontier bends) and `best` name some of them, and `least_NAME` the
    one with the least of each further objective; each version says what the test split says of it. A trial
    that gave several points keeps the model of the dearest of them, and those that an alias names. Models
    that an earlier start of the study registered and that left the frontier since are unregistered.
    """
    if reason := names.explain_taken(record.client, record.study):
        print(f"no model of the frontier is kept: {reason}", file=sys.stderr)
        return
    results = task.results
    versions = dict[tuple[int, int], str]()
    registered = study_versions.read_registered(record)
    members = choose_members(results)
    present = {key for key, version in registered.items() if study_versions.has_model(record, version)}
    keys = {member.key: _find_key(record, member, present) for member in members}
    if new := [key for key in keys.values() if key is None]:
        task.observer.begin_phase(MODELS, len(new))
    for member in members:
        key = keys[member.key]
        version: str | None = registered.pop(key) if key else None
        if version is None:
            with _unless_deleted(record):
                version = _register(task, record, member)
                task.observer.advance_phase()
        if version is not None:
            with _unless_deleted(record, version):
                study_versions.describe_version(record, version, member)
                versions[member.key] = version
    aliases = choose_aliases(results)
    for alias, named in aliases.items():
        version = versions.get(named.key) if named else None
        with _unless_deleted(record, version):
            study_versions.set_alias(record, alias, version)
    for key, version in registered.items():  # last: what is served by an alias is there at every moment
        with _unless_deleted(record, version):
            study_versions.unregister(record, version, _write_commands(record, results, *key), aliases.keys())


def _find_key(
    record: "StudyRecorder", member: FrontierPoint, present: Container[tuple[str, str]]
) -> tuple[str, str] | None:
    """Find the key of a point's version: in its trial's run, or where that was deleted in the study's."""
    keys = [(str(run_id), member.name) for run_id in (member.trial.run_id, record.run_id)]
    return next((key for key in keys if key in present), None)


@contextmanager
def _unless_deleted(record: "StudyRecorder", version: str | None = None) -> Iterator[None]:
    """Leave out what a person deletes or renames at this very moment, and say so.

    Any other failure is raised. `version`: what is written into, where it is known; an error may tell of
    its end by other words than an absence: a row that went while a tag was added is a broken key.
    """
    try:
        yield
    except MlflowException as error:
        restored = mlflow_store.restore_deleted(record.client, record.experiment_id)
        is_absent = error.error_code == "RESOURCE_DOES_NOT_EXIST"
        if not (restored or is_absent or study_versions.is_gone(record, version)):
            raise
        line = read_first_line(error).rstrip(".")
        print(
            f"{line}: deleted meanwhile; it is made again once the study has a further trial", file=sys.stderr
        )


def choose_aliases(results: "Results") -> dict[str, FrontierPoint | None]:
    """Choose the point that each alias names, by the mean over all seeds; None where there is none."""
    least = {f"least_{kind.name}": results.find_least(kind) for kind in results.further}
    return {"cheapest": results.cheapest, "knee": results.knee, "best": results.best, **least}


def choose_members(results: "Results") -> list[FrontierPoint]:
    """Choose the points whose models are kept: the dearest of each trial, and those that an alias names."""
    members = results.frontier
    last = {member.trial.number: member.key for member in members}
    keys = {member.key for member in choose_aliases(results).values() if member} | set(last.values())
    return [member for member in members if member.key in keys]


def _write_commands(record: "StudyRecorder", results: "Results", run_id: str, name: str) -> list[str]:
    """Write the command lines that train to the point of a name (`TRIAL EPOCH`), by its trial and by its run.

    A study that was put back from a copy has no such trial any more, or another one of this number.
    """
    number, _, epoch = name.partition(" ")
    if not epoch.isdecimal():
        return []
    commands = [trial.write_command(int(epoch)) for trial in results.trials if str(trial.number) == number]
    with suppress(MlflowException):  # it was removed for good
        command = record.client.get_run(run_id).data.tags.get(COMMAND, "")
        commands += [command, write_until(command, int(epoch))]
    return commands


def _find_run(record: "StudyRecorder", member: FrontierPoint) -> str | None:
    """Find the run for the model of a point: the trial's, or where that is deleted or foreign the study's."""
    trial = member.trial
    is_own = trial.run_id is not None and trial.run_id not in record.runs.foreign
    if is_own and not mlflow_runs.is_deleted(record.client, str(trial.run_id)):
        return trial.run_id
    if not mlflow_runs.is_deleted(record.client, record.run_id):
        return record.run_id
    _tell_of_deleted(trial.number, "nothing has its model until the next start")
    return None


def _tell_of_deleted(trial: int, place: str) -> None:
    print(f"the MLflow run of trial {trial} was deleted: {place}", file=sys.stderr)


def _register(task: "Sweep", record: "StudyRecorder", member: FrontierPoint) -> str | None:
    """Train the point again, register its model and return the version; None where that was not possible."""
    run_id = _find_run(record, member)
    if run_id is None:
        return None
    name, is_new = member.name, not names.is_taken(record.client, record.study)
    _delete_left_over(record, run_id, name)
    try:
        version = _log_member(task, record, member, run_id)
        is_foreign = member.trial.run_id in record.runs.foreign
        if version is not None and run_id == record.run_id and not is_foreign:
            _tell_of_deleted(member.trial.number, "the study's run has its model")
        return version
    except BaseException as error:
        with signals.hold_back():
            if not isinstance(error, Exception):  # a signal: its worker may be at it
                task.close()
            _remove_half(record, run_id, name, is_new)
        if not isinstance(error, FulcrumError):
            raise
        print(
            f"trial {member.trial.number}, epoch {member.epoch}: no model is kept: {error}", file=sys.stderr
        )
        return None


def _log_member(task: "Sweep", record: "StudyRecorder", member: FrontierPoint, run_id: str) -> str | None:
    point = plan_point(task, member)
    note, is_confirmed = study_markdown.describe_point(member), member.confirmation is not None
    about = PointFacts(member.command, note, is_confirmed, accuracy=member.point.accuracy)
    if isinstance(point.settings.trial, UserLoop):
        if not user_loop.can_report_model(point.settings):
            return None
        version = task.dispatcher.call(log_loop_point, point, record.study, run_id, member.name, about)
        _tell_of_another(record, version, member)
        return version
    trained = task.dispatcher.call(train_point, point)
    about = replace(about, spent=list_spent(trained.last, record.cost_metric, point.settings.price))
    return task.dispatcher.call_here(log_point, point, trained, record.study, run_id, member.name, about)


def _tell_of_another(record: "StudyRecorder", version: str | None, member: FrontierPoint) -> None:
    """Say where the model of a loop is not that of its point: it was trained again and came out otherwise."""
    tags = record.client.get_model_version(record.study, version).tags if version else {}
    if text := study_versions.describe_trained_again(tags):
        print(
            f"trial {member.trial.number}, epoch {member.epoch}: the loop reached "
            f"{member.measure.format(member.point.accuracy)}{text}; draw all that is random by settings.seed",
            file=sys.stderr,
        )


def _remove_half(record: "StudyRecorder", run_id: str, name: str, is_new: bool) -> None:
    """Remove what was begun of a model, unless its version is there, which comes last and is whole.

    `is_new`: the registered model was not there before; without a version it goes, too.
    """
    with suppress(MlflowException):  # the store may be what has failed; the next start looks again
        if (run_id, name) in study_versions.read_registered(record):
            return
        _delete_left_over(record, run_id, name)
        if (
            is_new
            and names.is_taken(record.client, record.study)
            and not study_versions.search_versions(record)
        ):
            record.client.delete_registered_model(record.study)


def _delete_left_over(record: "StudyRecorder", run_id: str, name: str) -> None:
    """Delete the models of a point that a killed start has logged into the run and not registered."""
    client, of_run = record.client, f"source_run_id = {mlflow_runs.quote(run_id)}"
    for model in client.search_logged_models([record.experiment_id], of_run):
        if model.tags.get(MEMBER) == name:
            client.delete_logged_model(model.model_id)
