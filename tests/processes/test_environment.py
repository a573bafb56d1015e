"""Where a process looks for modules."""

import os

import pytest

from pipeline.processes import environment
from tests.conftest import CHECKOUT


def test_a_process_finds_this_program_before_what_a_user_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert environment.make_import_path() == str(CHECKOUT)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["here", "there"]))
    assert environment.make_import_path().split(os.pathsep) == [str(CHECKOUT), "here", "there"]
