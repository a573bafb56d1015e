"""`studies`: what was searched so far."""

import json
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.search.study_store import StudyStore
from tests.cli.frontier.test_command import CURVES, SURE, confirm, outcome, write_study


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def test_where_there_is_none_it_says_how_to_begin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies"]) == 0
    assert capsys.readouterr().out == "no study yet; begin one with: python -m pipeline sweep\n"
    assert not (folder / "studies.db").exists()


def test_the_newest_is_first_and_one_without_points_is_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"sqlite:///{folder / 'studies.db'}"
    write_study(address, "widths", *map(outcome, CURVES))
    StudyStore(address, "empty")
    assert main(["studies"]) == 0
    heading, empty, widths, *_ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["study", "trials", "points", "best", "knee", "spent"]
    assert empty.split()[:5] == ["empty", "0", "0", "-", "-"]
    assert widths.split()[:7] == ["widths", "3", "8", "98.00%", "95.00%", "at", "0.16"]
    assert main(["studies", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["study"], row["trials"], row["best"]) for row in rows] == [
        ("empty", 0, None),
        ("widths", 3, 0.98),
    ]


def test_the_best_is_the_point_that_the_frontier_would_choose(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that new seeds have not confirmed is none where others are, however accurate its one seed was."""
    address = f"sqlite:///{folder / 'studies.db'}"
    store = write_study(address, "widths", *map(outcome, CURVES))
    confirm(store, 1, SURE[64], [0.95, 0.94], 0.94)
    assert main(["studies", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert main(["frontier", "--within", "1000", "--json"]) == 0
    (point,) = json.loads(capsys.readouterr().out)["frontier"]
    assert (point["trial"], point["epoch"], point["confirmed"], row["confirmed"]) == (1, 2, True, True)
    assert row["best"] == point["mean_accuracy"] == pytest.approx(0.9466667)
