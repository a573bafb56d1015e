"""Every kind of input of its page goes through run, sweep and diagnose with the words that stand there."""

import os
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from benchmarks.inputs import GOALS, LINES
from pipeline.cli import main
from pipeline.diagnosis import attempt, paired_attempt
from pipeline.profiling import measure_breakdown
from tests.conftest import CHECKOUT
from tests.support import places, tiny

SECTION = (CHECKOUT / "docs" / "how-to" / "kinds-of-data.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| `([^`]+)` \|", SECTION, re.MULTILINE)
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
SHORT = {
    "run": "train.epochs=1 profile.repeats=10 profile.warmup=1 profile.batch_sizes=[1]",
    "sweep": "train.epochs=2 search=smoke search.trials=2 search.workers=0",
    "diagnose": "train.epochs=2 diagnose.seeds=2 diagnose.steps=1 diagnose.tolerance=0.2",
}
SHOWN = {"run": ("a table", "a network of your own"), "sweep": (), "diagnose": ()}
"""Kinds that `make test` takes through a command; all others are slow."""
CASES = [
    pytest.param(
        name,
        words,
        command,
        id=f"{name}-{command}",
        marks=[] if name.startswith(SHOWN[command]) else pytest.mark.slow,
    )
    for name, words in ROWS
    for command in SHORT
    if command == "run" or not ("the same" in name or "embedding" in name)  # another row has that network
]


def test_the_example_is_short_and_the_figures_are_of_the_lines_that_stand_there() -> None:
    assert len(EXAMPLE.strip().splitlines()) <= 12
    words = {row[1] for row in ROWS}
    assert set(LINES.values()) <= words
    assert set(GOALS) <= set(LINES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is not looked at, so it need not be measured well."""
    tiny.quick(monkeypatch)
    monkeypatch.setattr(measure_breakdown, "KERAS_SECONDS", 0.01)
    monkeypatch.setattr(paired_attempt, "FIRST_LOOKS", 1)
    monkeypatch.setattr(attempt, "MAX_LOOKS", 1)


@pytest.mark.parametrize(("name", "words", "command"), CASES)
def test_it_goes_through(
    name: str,
    words: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if any(f"data={kind}" in words for kind in ("mnist", "fsdd", "rt_polarity")):
        monkeypatch.setenv("FULCRUM_DATA", request.getfixturevalue("data_dir"))
        # Of fewer reviews and words two small trials learn nothing, and a point at chance level is none.
        few = command == "sweep" and "mnist" not in words
        words += " data.fraction=0.3" if few else " data.fraction=0.05"
    words = words.replace("FOLDER", str(tmp_path / "images")).replace(
        "TABLE.csv", str(tmp_path / "table.csv")
    )
    words = words.replace("COLUMN", "'kind of thing'")
    if name.startswith(("a folder", "a table")):
        words += " train.batch_size=8"  # they are small here
    if "image_folder" in words:
        places.image_folder(tmp_path / "images", rows=20)
    places.table(tmp_path / "table.csv")
    (tmp_path / "my_models.py").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    told = StringIO()
    own = re.split(r" (?=[\w.]+=)", words)
    with redirect_stdout(told):
        assert main([command, *own, *SHORT[command].split(), "device=cpu"]) == 0
    assert "/#/experiments/" in told.getvalue()
    assert os.getcwd() == str(tmp_path)
