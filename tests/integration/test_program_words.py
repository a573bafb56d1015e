"""The command takes its words away, so that no training loop of a user's parses them for its own."""

import sys

import pytest

from pipeline import __main__ as program


def test_a_loop_of_a_users_sees_none_of_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("pipeline.cli.main", lambda words: seen.append([*words, *sys.argv[1:]]) or 3)
    monkeypatch.setattr(sys, "argv", ["fulcrum", "run", "lr=0.1"])
    assert program.run() == 3
    assert seen == [["run", "lr=0.1"]]
