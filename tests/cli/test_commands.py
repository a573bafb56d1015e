"""The commands by name: what the help lists can be run, and nothing else is a command."""

import ast
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.cli import commands, help
from pipeline.errors import BadInput, BadSetting


def test_each_command_of_the_help_has_a_module_with_a_function_run() -> None:
    assert commands.MODULES.keys() == help.COMMANDS.keys()
    for module in commands.MODULES.values():
        spec = find_spec(f"pipeline.cli.{module}")
        assert spec is not None
        assert spec.origin is not None
        body = ast.parse(Path(spec.origin).read_text()).body
        assert "run" in {node.name for node in body if isinstance(node, ast.FunctionDef)}, module


def test_a_command_that_is_none_is_told_the_one_that_is_near() -> None:
    with pytest.raises(BadSetting, match="got swep; did you mean sweep"):
        commands.run("swep", [])


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("frontier --at-leest 0.9", "--at-least"),
        ("frontier --at-leest=0.9", "--at-least"),
        ("frontier --kne", "--knee"),
        ("frontier --jsn", "--json"),
        ("studies --jsn", "--json"),
        ("sweep --dry-rn", "--dry-run"),
        ("run --multi-run", "--multirun"),
        ("serve-bench --secnds 3", "--seconds"),
    ],
)
def test_a_flag_that_is_none_is_told_the_one_that_is_near(line: str, flag: str) -> None:
    command, *words = line.split()
    with pytest.raises(BadSetting, match=f"is no flag of {command}; did you mean {flag}\\?"):
        commands.run(command, words)


def test_a_folder_that_was_removed_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for command in ("run", "studies", "doctor"):
        with pytest.raises(BadInput, match=r"^the working folder must be there, .*; cd to another$"):
            commands.run(command, [])


@pytest.mark.parametrize(
    ("line", "unread"),
    [
        ("run search.trials=50 search=smoke", ["search.trials", "search"]),
        ("train --cluster ray --cluster.slots=3", ["cluster", "cluster.slots"]),
        ("profile pruning=none", ["pruning"]),
        ("evaluate diagnose.minutes=3", ["diagnose.minutes"]),
        ("run search.objectives=[accuracy,cost] ui.port=5001 price=zero", []),
        ("sweep search.trials=50 cluster=none pruning=none", []),
        ("diagnose diagnose.minutes=3", []),
    ],
)
def test_words_of_another_command_are_told(
    line: str, unread: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run search.trials=50` is one training, which somebody may take for a search of fifty."""
    monkeypatch.setattr(commands, "import_module", lambda _: SimpleNamespace(run=lambda _: None))
    command, *words = line.split()
    commands.run(command, words)
    told = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("warning: ").partition(" is for ")[0] for line in told] == unread
    assert all(line.endswith(f"; {command} does not read it") for line in told)
