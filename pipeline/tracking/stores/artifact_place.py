"""Where an experiment's artifacts lie: MLflow keeps the absolute path, whatever becomes of the folder."""

from pathlib import Path
from shlex import quote
from urllib.parse import unquote, urlsplit

from pipeline.errors import BadInput
from pipeline.files import can_be_written
from pipeline.settings.addresses import read_sqlite_path


def to_folder(location: str | None) -> Path | None:
    """Return the folder of a location of MLflow's; None where it is none of this machine."""
    url = urlsplit(location or "")
    if url.scheme == "file":
        return Path(unquote(url.path))
    return None if url.scheme or not location else Path(location)


def check_artifacts(uri: str, experiment: str, location: str | None) -> None:
    """Check that artifacts of an experiment of that name can be written where MLflow looks for them.

    They cannot, or would lie apart from those of before, where a local database was moved or copied with the
    folder beside it, or is seen under another path, as in a container; or where the folder is another user's.

    Raises:
        BadInput: they cannot, or would lie apart.
    """
    database, folder = read_sqlite_path(uri), to_folder(location)
    if folder is None or (folder.exists() and can_be_written(folder)):
        return
    store = database.name if database else "its store"
    sibling = database.parent / folder.parent.name / folder.name if database else folder
    if folder.exists():
        reason, remedy = "where you may not write", "ask whose it is to let you (chmod -R g+w)"
    elif sibling != folder and sibling.exists():
        reason = f"which is not there ({store} was moved)"
        remedy = f"mkdir -p {quote(str(folder.parent))} && ln -s {quote(str(sibling))} {quote(str(folder))}"
    elif not can_be_written(folder):
        reason, remedy = "which is not there (nobody can make it)", "make that folder"
    else:
        return
    raise BadInput(
        f"the experiment {experiment} must have its artifacts where {store} "
        f"says, got {folder}, {reason}; {remedy}, or record elsewhere with tracking.experiment=NAME"
    )
