"""The commands by name: what the help lists can be run, and nothing else is a command."""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.cli import commands, help
from pipeline.errors import BadSetting


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
