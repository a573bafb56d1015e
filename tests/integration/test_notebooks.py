"""Notebooks run from their first cell to their last, headless."""

import ast
import re
import sys
from dataclasses import replace
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.cli.library import rendering
from pipeline.tracking import mlflow_store
from tests.conftest import CHECKOUT
from tests.support.planted import planted
from tests.support.studies import study
from tools import notebooks

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


def test_without_a_study_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FULCRUM_EXPERIMENT", "never seen")
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, object] = {}
    for cell in nbformat.read(NOTEBOOKS / "frontier.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "begin one with: python -m pipeline sweep" in printed


KEPT = {path.stem: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_notebook_is_ready_for_anybody_s_machine(name: str) -> None:
    """It gets what it needs, has outputs to look at, exercises, and nothing of the machine that ran it."""
    notebook = KEPT[name]
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert re.search(r'if importlib\.util\.find_spec\("\w+"\) is None', first.source)
    assert not first.outputs  # it does nothing where the package is there
    assert any("## Exercises" in cell.source for cell in notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata[notebooks.DIGEST] == notebooks.compute_digest(notebook), "tools.notebooks"
    assert sum(bool(cell.outputs) for cell in code) >= len(code) - 2
    assert any("python -m pipeline run" in str(cell.get("outputs", cell.source)) for cell in notebook.cells)
    assert any("<details>" in cell.source for cell in notebook.cells)
    text = str([cell.outputs for cell in code])
    assert not re.search(r"/(?:home|tmp|root|work|Users)/", text)
    assert "Traceback" not in text
    assert len(nbformat.writes(notebook)) < 900_000


@pytest.mark.parametrize("notebook", KEPT.values(), ids=list(KEPT))
def test_what_a_notebook_names_of_the_product_is_there(notebook: nbformat.NotebookNode) -> None:
    """Not every notebook is run by a test: a name that the product gave up would break it unseen."""
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    there: dict[str, object] = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            exec(ast.unparse(statement), there)
    modules = {name: each for name, each in there.items() if isinstance(each, ModuleType)}
    used = [each for each in ast.walk(tree) if isinstance(each, ast.Attribute)]
    read = [(each.value.id, each.attr) for each in used if isinstance(each.value, ast.Name)]
    absent = [f"{name}.{attr}" for name, attr in read if name in modules and not hasattr(modules[name], attr)]
    assert absent == []


def test_a_kept_page_names_the_library_that_it_is_drawn_with() -> None:
    page = rendering.render_page(study("digits"))
    kept = notebooks.name_library(page)
    assert len(page) - len(kept) > 3_000_000
    assert re.search(r"&lt;script src=&quot;https://cdn\.plot\.ly/plotly-[\d.]+\.min\.js&quot;", kept)


@pytest.mark.parametrize("name", ["tour", "frontier"])
def test_the_page_is_in_the_notebook(name: str) -> None:
    assert "<iframe srcdoc=" in str(KEPT[name])
