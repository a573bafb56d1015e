"""Notebooks run from their first cell to their last, headless."""

from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.tracking import mlflow_store
from tests.conftest import CHECKOUT
from tests.support.planted import planted
from tests.support.studies import study

NOTEBOOKS = CHECKOUT / "notebooks"


def executed(name: str) -> nbformat.NotebookNode:
    """The notebook with its outputs; raises where a cell does."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


def pictures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_the_frontier_is_read_drawn_and_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    results = study("digits")
    planted(mlflow_store.open_store(), results, "a notebook's")
    monkeypatch.setenv("FULCRUM_EXPERIMENT", "a notebook's")
    notebook = executed("frontier.ipynb")
    knee = replace(results, trials=tuple(replace(each, confirmations={}) for each in results.trials)).knee
    assert knee is not None
    assert pictures(notebook) == 2
    assert f"digits sweep: {len(results.trials)} trials" in printed(notebook)
    assert f"the knee: {knee.point.accuracy:.2%} validation (one seed, not confirmed) for" in printed(
        notebook
    )
    assert "for each half percent" in printed(notebook)
    assert "| accuracy | device-seconds |" in str(notebook)


@pytest.mark.slow
def test_without_a_study_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FULCRUM_EXPERIMENT", "never seen")
    notebook = executed("frontier.ipynb")
    assert pictures(notebook) == 0
    assert printed(notebook).count("\n") == 1
    assert "begin one with: python -m pipeline sweep" in printed(notebook)


def test_notebooks_are_kept_without_outputs() -> None:
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") for cell in cells), path.name
