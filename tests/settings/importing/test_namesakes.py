"""A user's `pipeline.py` is neither taken for this package nor this package for it."""

from pathlib import Path

import pytest

from pipeline.settings.importing import namesakes
from pipeline.settings.importing.namesakes import explain_hidden, explain_namesake


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**modules: str) -> None:
    for name, text in modules.items():
        Path(f"{name}.py").write_text(text)


def test_a_module_of_that_name_is_refused_and_none_where_there_is_none() -> None:
    assert explain_namesake("pipeline") == ""
    write(pipeline="")
    text = explain_namesake("pipeline")
    assert text.startswith(f"{Path('pipeline.py').resolve()} has the name of this program's own package")
    assert "without --editable" in text


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("import pipeline", True),
        ("from pipeline import load", True),
        ("def train(settings):\n    import pipeline.load as own", True),
        ("import os, beside", True),
        ("from pipeline.trial import not_counted", False),
        ("import pipeline.trial", False),
        ("from pipeline import trial", False),
        ("from .pipeline import load", False),
        ("import pipelines", False),
        ("this is no Python", False),
    ],
)
def test_a_module_is_refused_where_it_or_one_beside_it_imports_theirs(text: str, is_refused: bool) -> None:
    write(pipeline="", mine=text, beside="import mine\nfrom pipeline import load")
    assert bool(explain_namesake("mine")) == is_refused


def test_all_files_of_a_package_are_looked_at_and_a_namesake_may_be_a_folder() -> None:
    Path("pipeline").mkdir()
    Path("package/inner").mkdir(parents=True)
    Path("package/__init__.py").touch()
    Path("package/inner/last.py").write_text("import pipeline.load")
    assert explain_namesake("package.inner.last") == ""  # a folder of data is no package
    Path("pipeline/load.py").touch()
    assert explain_namesake("package.inner.last").startswith(str(Path("pipeline").resolve()))
    assert explain_namesake("no_such_module") == ""


def test_an_installed_package_has_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    write(pipeline="")
    monkeypatch.setattr(namesakes, "CHECKOUT", None)
    assert explain_namesake("pipeline").endswith("; rename it")


def test_a_file_that_a_loaded_module_hides_is_named() -> None:
    assert explain_hidden("json") == ""
    write(json="", sys="", mine="")
    assert explain_hidden("json.decoder").startswith("rename json.py: another module of its name is loaded")
    assert explain_hidden("sys").endswith("(of Python itself)")
    assert explain_hidden("mine") == explain_hidden("nowhere") == ""
