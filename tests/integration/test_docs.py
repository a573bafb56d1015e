"""The documentation site builds without a warning, and what its pages tell to type works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import help
from tests.conftest import CHECKOUT, Run
from tests.support.documents import list_commands, list_figures
from tools import docs_site

DOCS = CHECKOUT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FULCRUM = "python -m pipeline "


def test_the_site_builds_without_a_warning_and_has_the_settings(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "reference" / "settings.html").read_text()
    assert "optimizer.learning_rate" in page
    assert "fonts.googleapis" not in page


def test_the_page_of_settings_has_every_option_and_a_table_that_holds_together() -> None:
    text = docs_site.write_settings()
    for group in help.read_defaults():
        assert f"## {group}\n" in text
        for option in help.list_options(group):
            assert f"**`{group}={option.name}`**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_commands_of_a_page_are_run_by_a_test() -> None:
    """Each page with commands, or its folder, is named in a test file that runs them."""
    tests = "\n".join(path.read_text() for path in (CHECKOUT / "tests").rglob("*.py"))
    untested = [
        str(page.relative_to(DOCS))
        for page in PAGES
        if list_commands(page) and page.name not in tests and f'"{page.parent.name}").glob(' not in tests
    ]
    assert untested == []


def test_a_translation_has_the_commands_and_figures_of_the_english_page() -> None:
    translated = sorted((DOCS / "zh").glob("*.md"))
    assert translated
    for page in translated:
        assert list_commands(page) == list_commands(DOCS / page.name), page.name
        assert list_figures(page) == list_figures(DOCS / page.name), page.name


@pytest.mark.slow(seconds=25)
def test_the_tutorial_from_its_first_to_its_last_command(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    said = {}
    for command in list_commands(DOCS / "tutorial.md"):
        done = fulcrum(*shlex.split(command.removeprefix(FULCRUM)))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said[command] = done.stdout
    assert "8 trials" in said[f"{FULCRUM}frontier"]
    assert said[f"{FULCRUM}frontier --csv"].count("\n") >= 8
