"""Where an experiment's artifacts lie: MLflow keeps the absolute path, whatever becomes of the folder."""

import os
from pathlib import Path
from shlex import quote
from urllib.parse import unquote, urlsplit

from mlflow.entities import Experiment

from pipeline.errors import BadInput
from pipeline.settings.addresses import read_sqlite_path


def to_folder(location: str | None) -> Path | None:
    """Return the folder of a location of MLflow's; None where it is none of this machine."""
    url = urlsplit(location or "")
    if url.scheme == "file":
        return Path(unquote(url.path))
    return None if url.scheme or not location else Path(location)


def check_artifacts(uri: str, experiment: Experiment) -> None:
    """Check that artifacts of an experiment can be written where MLflow looks for them.

    They cannot, or would lie apart from those of before, where a local database was moved or copied with the
    folder beside it, or is seen under another path, as in a container.

    Raises:
        BadInput: they cannot, or would lie apart.
    """
    database, folder = read_sqlite_path(uri), to_folder(experiment.artifact_location)
    if database is None or folder is None or folder.exists():
        return
    sibling = database.parent / folder.parent.name / folder.name
    if sibling != folder and sibling.exists():
        reason = f"{database.name} was moved"
        remedy = f"mkdir -p {quote(str(folder.parent))} && ln -s {quote(str(sibling))} {quote(str(folder))}"
    elif not _can_be_made(folder):
        reason, remedy = "nobody can make it", "make that folder"
    else:
        return
    raise BadInput(
        f"the experiment {experiment.name} must have its artifacts where {database.name} says, got {folder}, "
        f"which is not there ({reason}); {remedy}, or record elsewhere with tracking.experiment=NAME"
    )


def _can_be_made(folder: Path) -> bool:
    parent = next(parent for parent in folder.parents if parent.exists())
    return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
