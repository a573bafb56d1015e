"""The end of a study: models of the frontier kept and registered, pictures and a note on its run."""

from typing import TYPE_CHECKING

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.models import keras_models
from pipeline.reports import study_html, study_markdown, study_plots
from pipeline.search.confirmation import train_point
from pipeline.search.importance import compute_importances
from pipeline.search.results import FrontierPoint
from pipeline.tracking import model_artifact
from pipeline.trial import load_prepared

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.sweep import Sweep
    from pipeline.tracking.study_recorder import StudyRecorder


def publish_study(task: "Sweep", record: "StudyRecorder", link: str) -> None:
    """Publish all that a person looks for at the end of a study: models, pictures and a note."""
    results = task.results
    register_models(task, record)
    keys = compute_importances(results)
    files: dict[str, bytes] = {
        "frontier.png": study_plots.draw_frontier(results),
        "hypervolume.png": study_plots.draw_progress(results),
        "frontier.html": study_html.render_frontier(results).encode(),
    }
    if keys:
        files["importance.png"] = study_plots.draw_importance(results.study, keys)
    record.log_files(files)
    record.write_note(study_markdown.write_note(results, link))


def register_models(task: "Sweep", record: "StudyRecorder") -> None:
    """Register the models of the frontier as versions of the study's model; each lies in its trial's run.

    Aliases `cheapest`, `knee` and `best` name three of them. A trial that gave several points keeps the
    model of the dearest of them, and those that an alias names. Models that an earlier start of the study
    registered and that left the frontier since are unregistered.
    """
    results = task.results
    members = choose_members(results)
    client, versions = record.client, dict[str, str]()
    registered = _read_registered(record)
    for member in members:
        key = f"{member.trial.number} {member.epoch}"
        versions[key] = registered.pop(key, "") or _register(task, record, member, key)
    for version in registered.values():
        client.delete_model_version(record.study, version)
    knee = results.knee
    assert knee is not None
    for alias, member in (
        ("cheapest", results.frontier[0]),
        ("knee", knee),
        ("best", results.frontier[-1]),
    ):
        key = f"{member.trial.number} {member.epoch}"
        client.set_registered_model_alias(record.study, alias, versions[key])


def choose_members(results: "Results") -> list[FrontierPoint]:
    """Choose the points whose models are kept: the dearest of each trial, the cheapest, the knee."""
    members, knee = results.frontier, results.knee
    last = {member.trial.number: member for member in members}
    return [
        member
        for member in members
        if member is last[member.trial.number] or member is knee or member is members[0]
    ]


def _register(task: "Sweep", record: "StudyRecorder", member: FrontierPoint, key: str) -> str:
    command_line, weights = train_point(task, member)
    prepared = load_prepared(command_line.settings)
    model = keras_models.build_model(command_line.settings, prepared, weights)
    assert member.trial.run_id is not None
    model_artifact.log_model(model, prepared, record.study, member.trial.run_id)
    newest = max(int(version.version) for version in _search_versions(record))
    record.client.set_model_version_tag(record.study, str(newest), "member", key)
    record.client.update_model_version(
        record.study,
        str(newest),
        f"{member.point.accuracy:.2%} validation at {member.point.device_seconds:.4g} device-seconds: "
        f"{member.command}",
    )
    return str(newest)


def _read_registered(record: "StudyRecorder") -> dict[str, str]:
    """Return the versions by point, of an earlier start of this study."""
    return {
        version.tags["member"]: str(version.version)
        for version in _search_versions(record)
        if version.tags.get("member")
    }


def _search_versions(record: "StudyRecorder") -> list[ModelVersion]:
    try:
        return list(record.client.search_model_versions(f"name = '{record.study}'"))
    except MlflowException:
        return []
