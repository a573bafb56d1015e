"""A database that is copied from a template is the one that MLflow makes itself."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.tracking.stores import new_database

FACTS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id", "journal_mode")


def describe(path: Path) -> list[str]:
    """All that a database says, with its own folder and the moment of its making left out."""
    with closing(sqlite3.connect(path)) as database:
        text = "\n".join(database.iterdump()).replace(str(path.parent), "FOLDER")
        facts = [str(database.execute(f"PRAGMA {fact}").fetchone()) for fact in FACTS]
    return [*re.sub(r"\b\d{13}\b", "MOMENT", text).splitlines(), *facts]


def test_a_copy_is_what_mlflow_makes_and_a_damaged_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache"))
    paths = [tmp_path / name / "mlflow.db" for name in ("first", "copy", "again")]
    new_database.create_database(paths[0])
    (template,) = (tmp_path / "cache").rglob("mlflow-*.db")
    assert not [line for line in describe(template) if line.startswith('INSERT INTO "experiments"')]
    fresh: list[Path] = []
    monkeypatch.setattr(new_database, "_write_template", lambda path, _: fresh.append(path))
    new_database.create_database(paths[1])
    assert fresh == []
    template.write_bytes(template.read_bytes()[:5000])
    new_database.create_database(paths[2])
    assert len(fresh) == 1
    first, *others = map(describe, paths)
    assert any("FOLDER/mlartifacts/0" in line for line in first)
    assert others == [first, first]
    assert not template.exists()
    assert [file.name for file in paths[2].parent.iterdir()] == ["mlflow.db"]


def test_where_no_template_can_be_written_mlflow_makes_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "file"))
    new_database.create_database(tmp_path / "mlflow.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mlflow.db"]
