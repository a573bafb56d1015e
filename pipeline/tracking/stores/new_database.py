"""A new database of MLflow, whose tables are those that MLflow has made for an earlier one.

By all its migrations MLflow takes more than a second for them, and they are the same each time. So the first
database that this user makes with a release of MLflow is kept, without an experiment, and others are copies.
"""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import mlflow

from pipeline.errors import BadInput
from pipeline.files import expand_home, make_draft_path, remove_abandoned_drafts, write_content
from pipeline.settings.addresses import make_sqlite_address

ARTIFACTS = "mlartifacts"  # beside the database
CACHE, USERS_CACHE = "FULCRUM_CACHE", "XDG_CACHE_HOME"


def create_database(path: Path) -> None:
    """Create the database in a folder of its own and link it into place: a kill leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned_drafts(path.parent)
    folder = make_draft_path(path.parent)
    try:
        folder.mkdir()
        database = _make_tables(folder, to_location(path.parent / ARTIFACTS))
        with suppress(FileExistsError):
            path.hardlink_to(database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def to_location(folder: Path) -> str:
    """Return a folder as MLflow takes it for artifacts: as an address where a path would be read as one."""
    return folder.as_uri() if set(str(folder)) & set("%?#") else str(folder)


def _make_tables(folder: Path, artifacts: str) -> Path:
    """Let MLflow make a database in a folder, from a template where it accepts one."""
    copy, fresh, cache = folder / "copy.db", folder / "fresh.db", _find_cache()
    for template in _list_templates(cache):
        try:
            _copy_template(template, copy)
            _open_by_mlflow(copy, artifacts)
            return copy
        except Exception:  # damaged, or not as this MLflow wants it: whatever it raises then
            with suppress(OSError):
                template.unlink(missing_ok=True)
    _open_by_mlflow(fresh, artifacts)
    with suppress(OSError, sqlite3.Error):  # there is no room: MLflow makes the next one, too
        _write_template(fresh, cache)
    return fresh


def _open_by_mlflow(path: Path, artifacts: str) -> None:
    """Let MLflow check the tables of a database, make those that are missing, and its first experiment."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    address = make_sqlite_address(path).replace("sqlite:", "sqlite+pysqlite:", 1)
    SqlAlchemyStore(address, artifacts).engine.dispose()


def _find_cache() -> Path | None:
    """Return the folder of templates in the user's cache; None: a container's user may have none."""
    cache = os.environ.get(CACHE) or os.path.join(os.environ.get(USERS_CACHE) or "~/.cache", "fulcrum")
    try:
        return expand_home(cache).absolute() / "tables"
    except BadInput:
        return None


def _list_templates(cache: Path | None) -> list[Path]:
    """List the templates of this release of MLflow: one, or none."""
    return [] if cache is None else sorted(cache.glob(f"mlflow-{mlflow.__version__}-*.db"))


def _write_template(path: Path, cache: Path | None) -> None:
    """Write the template: a new database without its experiment, whose folder and time are its own."""
    if cache is None:
        return
    with closing(sqlite3.connect(":memory:")) as memory:
        with closing(sqlite3.connect(path)) as database:
            database.backup(memory)
        memory.execute("DELETE FROM experiments")
        memory.commit()
        content = memory.serialize()
    write_content(cache / f"mlflow-{mlflow.__version__}-{_hash(content)}.db", content)


def _copy_template(template: Path, path: Path) -> None:
    """Copy a template.

    Raises:
        ValueError: it is not what was written: MLflow would try for minutes to read it.
    """
    content = template.read_bytes()
    if not template.stem.endswith(_hash(content)):
        raise ValueError(template)
    path.write_bytes(content)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
