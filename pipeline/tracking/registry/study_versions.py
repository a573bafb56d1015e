"""The versions of a study's model: which of them are the study's, what each says, and what aliases name."""

import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.reports import study_markdown
from pipeline.search.study_trial import FrontierPoint
from pipeline.settings.searching.measures import ACCURACY_MEASURE
from pipeline.settings.searching.objectives import FURTHER
from pipeline.tracking import mlflow_runs
from pipeline.tracking.registry import names
from pipeline.tracking.registry.names import MEMBER, REACHED
from pipeline.tracking.study_place import STUDY_ID, read_study_id

if TYPE_CHECKING:
    from pipeline.tracking.study_recorder import StudyRecorder

LOGGED = "models:/"
"""Begins the source of a version whose model has an id of its own."""
NO_STAGES = (None, "", "None")
"""What MLflow calls a version that nobody has moved to a stage."""
_FIGURES = {"validation_accuracy", "device_seconds", "seeds", "test_accuracy", *FURTHER}
OUR_TAGS = {MEMBER, REACHED, STUDY_ID} | _FIGURES


def read_registered(record: "StudyRecorder") -> dict[tuple[str, str], str]:
    """Return the versions of an earlier start of this study by run and point: of each the newest.

    Only both tell a point: where the study was put back from a copy, another trial has the number again.
    """
    return {
        (str(version.run_id), version.tags[MEMBER]): str(version.version) for version in _list_ours(record)
    }


def _list_ours(record: "StudyRecorder") -> list[ModelVersion]:
    """List the versions that this study has made of points, the newest last."""
    return [
        version
        for version in sorted(search_versions(record), key=lambda version: int(version.version))
        if version.tags.get(MEMBER) and _is_of_study(record, version)
    ]


def search_versions(record: "StudyRecorder") -> list[ModelVersion]:
    """Return all versions under the name of the study, whoever has made them."""
    condition = f"name = {mlflow_runs.quote(record.study)}"
    return list(record.client.search_model_versions(condition))


def _is_of_study(record: "StudyRecorder", version: ModelVersion) -> bool:
    """Return whether this study has made a version; one of another storage may have the same name."""
    identity = record.runs.tags[STUDY_ID]
    if STUDY_ID in version.tags:
        return bool(version.tags[STUDY_ID] == identity)
    try:  # of an earlier release, or of a start that was killed in between
        run = record.client.get_run(version.run_id)
    except MlflowException:  # it was removed for good
        return True
    is_near = run.info.experiment_id == record.experiment_id
    return read_study_id(run, identity if is_near else "") == identity


def has_model(record: "StudyRecorder", version: str) -> bool:
    """Return whether the model of a version is there: a person may have deleted it, or its files."""
    try:
        source = record.client.get_model_version(record.study, version).source or ""
        model_id = source.removeprefix(LOGGED)
        if model_id == source:  # of release 0.1.0: it lies in a run
            return True
        record.client.get_logged_model(model_id)
        return bool(record.client.list_logged_model_artifacts(model_id))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def is_gone(record: "StudyRecorder", version: str | None) -> bool:
    """Return whether a version is there no more, or where none is named the study's registered model."""
    if version is None:
        return not names.is_taken(record.client, record.study)
    return version not in {str(present.version) for present in search_versions(record)}


def describe_version(record: "StudyRecorder", version: str, member: FrontierPoint) -> None:
    """Say of a version what its point was chosen by and what the test split says; a person's text stays."""
    client, recorded = record.client, record.client.get_model_version(record.study, version)
    about = study_markdown.describe_point(member) + describe_trained_again(recorded.tags)
    text = f"{about}: {member.command}"
    if _is_our_text(recorded, member.command) and recorded.description != text:
        client.update_model_version(record.study, version, text)
    tags = {STUDY_ID: record.runs.tags[STUDY_ID], **_list_figures(member)}
    for name, value in tags.items():
        if recorded.tags.get(name) != value:
            client.set_model_version_tag(record.study, version, name, value)


def describe_trained_again(tags: Mapping[str, str]) -> str:
    """Describe the model of a version that came to another accuracy than its point; "" where none did."""
    reached = tags.get(REACHED)
    return f"; its model, trained again, has {ACCURACY_MEASURE.format(float(reached))}" if reached else ""


def _list_figures(member: FrontierPoint) -> dict[str, str]:
    """Return the figures of a point as tags of its version; those of the test split once it was read."""
    estimate, new = member.estimate, member.confirmation
    figures = {
        "validation_accuracy": f"{estimate.accuracy:.6g}",
        "device_seconds": f"{estimate.device_seconds:.6g}",
        "seeds": str(estimate.seeds),
    }
    pairs = zip(member.kinds, estimate.further, strict=True)
    figures |= {kind.name: f"{kind.to_value(cost):.10g}" for kind, cost in pairs}
    tested = new.test_accuracy if new else None
    return figures | ({} if tested is None else {"test_accuracy": f"{tested:.6g}"})


def set_alias(record: "StudyRecorder", alias: str, version: str | None) -> None:
    """Let an alias name a version, or none, unless a person has given it to a version of their own."""
    if is_foreign_alias(record, alias):
        print(f"alias {alias} of model {record.study} is on another's version: it stays", file=sys.stderr)
    elif version is not None:
        record.client.set_registered_model_alias(record.study, alias, version)
    else:
        delete_alias(record, alias)


def is_foreign_alias(record: "StudyRecorder", alias: str) -> bool:
    """Return whether a person has given an alias of this name to a version that is none of ours."""
    named = _find_named(record, alias)
    return named is not None and named not in {str(version.version) for version in _list_ours(record)}


def delete_alias(record: "StudyRecorder", alias: str) -> None:
    """Take an alias from the version of a member that an earlier start gave it to."""
    if _find_named(record, alias) is not None and not is_foreign_alias(record, alias):
        record.client.delete_registered_model_alias(record.study, alias)


def _find_named(record: "StudyRecorder", alias: str) -> str | None:
    """Find the version that has an alias."""
    aliases = record.client.get_registered_model(record.study).aliases if search_versions(record) else {}
    return str(aliases[alias]) if alias in aliases else None


def unregister(
    record: "StudyRecorder", version: str, commands: Collection[str], ours: Collection[str]
) -> None:
    """Delete a version that left the frontier, unless a person has made it their own.

    That is by an alias, a tag, a stage or a description. `commands`: one of them ends a description of ours;
    `ours`: the aliases of the study.
    """
    recorded = record.client.get_model_version(record.study, version)
    registered = record.client.get_registered_model(record.study)
    aliases = [alias for alias, named in registered.aliases.items() if str(named) == version]
    theirs = [
        *(f"alias {alias}" for alias in aliases if alias not in ours),
        *(f"tag {tag}" for tag in sorted(recorded.tags.keys() - OUR_TAGS)),
        *([f"stage {stage}"] if (stage := recorded.current_stage) not in NO_STAGES else []),
        *([] if any(_is_our_text(recorded, command) for command in commands) else ["description"]),
    ]
    if theirs:
        name = f"version {version} of model {record.study}"
        print(f"{name} left the frontier; it stays for its {', '.join(theirs)}", file=sys.stderr)
    else:
        record.client.delete_model_version(record.study, version)


def _is_our_text(version: ModelVersion, command: str) -> bool:
    """Return whether the description of a version is none, or one that `describe_version` has written."""
    return not version.description or bool(version.description.endswith(f": {command}"))
