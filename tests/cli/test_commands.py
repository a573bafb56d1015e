"""The commands by name: what the help lists can be run, and nothing else is a command."""

import ast
from importlib.util import find_spec
from pathlib import Path

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
