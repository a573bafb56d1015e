"""The pages on training loops of one's own say what their examples hold, and their commands work."""

import re
import shlex
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.plan import make_plan
from tests.conftest import CHECKOUT, Run

PAGES = sorted((CHECKOUT / "docs" / "own-loop").glob("[a-z]*.md"))
START = "python -m pipeline "
NOT_INSTALLED = {"pytorch": ("torch",), "jax": ("jax", "jax.numpy"), "xgboost": ("xgboost",)}
"""Frameworks that only the environment of the benchmarks has: `benchmarks.own_loop` trains with them."""


def commands_of(page: Path) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    return [
        line.removeprefix(START) for block in blocks for line in block.splitlines() if line.startswith(START)
    ]


COMMANDS = [(page.stem, line) for page in PAGES for line in commands_of(page)]
HERE = [
    pytest.param(line, marks=pytest.mark.slow(seconds=30) if line.startswith("sweep") else [])
    for name, line in COMMANDS
    if name not in NOT_INSTALLED
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_its_example_as_it_is(page: Path) -> None:
    text = page.read_text()
    (name,) = re.findall(r"`(examples/\w+\.py)`:", text)
    assert (CHECKOUT / name).read_text() in text
    assert len(commands_of(page)) == 2


@pytest.mark.parametrize("line", HERE)
def test_its_commands_work(line: str, fulcrum: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    done = fulcrum(*shlex.split(line))
    assert done.returncode == 0, done.stderr
    assert "test" in done.stdout


@pytest.mark.parametrize(("name", "line"), [pair for pair in COMMANDS if pair[0] in NOT_INSTALLED])
def test_the_words_of_the_others_are_keys_of_their_functions(
    name: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in NOT_INSTALLED[name]:
        monkeypatch.setitem(sys.modules, module, MagicMock())
    command, *words = shlex.split(line)
    plan = make_plan(words) if command == "sweep" else None
    assert plan.epochs == "train.epochs" if plan else compose(words)  # each of them goes on from a pause
