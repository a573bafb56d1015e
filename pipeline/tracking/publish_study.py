"""The end of a study: models of the frontier kept and registered, pictures and a note on its run."""

from typing import TYPE_CHECKING

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.models import keras_models
from pipeline.reports import study_html, study_markdown, study_plots
from pipeline.search.importance import importances
from pipeline.search.job import prepared_for
from pipeline.search.results import Member
from pipeline.tracking import run_recorder

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.sweep import Search
    from pipeline.tracking.study_recorder import StudyRecord


def finish(task: "Search", record: "StudyRecord", link: str) -> None:
    """Leave behind all that a person looks for afterwards."""
    results = task.results
    keep_models(task, record)
    keys = importances(results)
    files: dict[str, bytes] = {
        "frontier.png": study_plots.frontier(results),
        "hypervolume.png": study_plots.spent(results),
        "frontier.html": study_html.frontier(results).encode(),
    }
    if keys:
        files["importance.png"] = study_plots.importance(results.study, keys)
    record.artifacts(files)
    record.note(study_markdown.note(results, link))


def keep_models(task: "Search", record: "StudyRecord") -> None:
    """Each member's model lies in its trial's run and is a version of the registered model of the study.

    Aliases `cheapest`, `knee` and `best` point at three of them. A trial that gave several members keeps the
    model of the dearest of them, and whoever an alias names. Models that an earlier start of the study
    registered and that left the frontier since are unregistered.
    """
    results = task.results
    wanted = chosen(results)
    client, versions = record.client, dict[str, str]()
    known = _registered(record)
    for member in wanted:
        key = f"{member.tried.number} {member.epoch}"
        versions[key] = known.pop(key, "") or _register(task, record, member, key)
    for version in known.values():
        client.delete_model_version(record.study, version)
    knee = results.knee()
    assert knee is not None
    for alias, member in (
        ("cheapest", results.members()[0]),
        ("knee", knee),
        ("best", results.members()[-1]),
    ):
        key = f"{member.tried.number} {member.epoch}"
        client.set_registered_model_alias(record.study, alias, versions[key])


def chosen(results: "Results") -> list[Member]:
    """The members whose models are kept: the dearest of each trial, the cheapest, the knee."""
    members, knee = results.members(), results.knee()
    last = {member.tried.number: member for member in members}
    return [
        member
        for member in members
        if member is last[member.tried.number] or member is knee or member is members[0]
    ]


def _register(task: "Search", record: "StudyRecord", member: Member, key: str) -> str:
    told, weights = task.model_of(member)
    prepared = prepared_for(told.settings)
    model = keras_models.build(told.settings, prepared, weights)
    assert member.tried.run_id is not None
    run_recorder.log_model(model, prepared, record.study, member.tried.run_id)
    newest = max(int(each.version) for each in _versions(record))
    record.client.set_model_version_tag(record.study, str(newest), "member", key)
    record.client.update_model_version(
        record.study,
        str(newest),
        f"{member.point.accuracy:.2%} validation at {member.point.device_seconds:.4g} device-seconds: "
        f"{member.command}",
    )
    return str(newest)


def _registered(record: "StudyRecord") -> dict[str, str]:
    """Version by member, of an earlier start of this study."""
    return {each.tags["member"]: str(each.version) for each in _versions(record) if each.tags.get("member")}


def _versions(record: "StudyRecord") -> list[ModelVersion]:
    try:
        return list(record.client.search_model_versions(f"name = '{record.study}'"))
    except MlflowException:
        return []
