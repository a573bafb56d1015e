"""The process of a command: its words, its exit code, its end."""

import gc
import sys

import pytest

from pipeline import __main__


def test_a_command_ends_without_a_look_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(words: list[str]) -> int:
        assert sys.argv == ["fulcrum"]
        return len(words)

    monkeypatch.setattr("pipeline.cli.main", main)
    monkeypatch.setattr(sys, "argv", ["fulcrum", "run", "optimizer=sgd"])
    gc.unfreeze()
    assert __main__.run() == 2
    assert gc.get_freeze_count() > 10_000
