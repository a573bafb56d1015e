"""The console: as wide as the terminal, stable where there is none, still where it is dumb."""

import io

import pytest

from pipeline.cli.console import PIPED_WIDTH, Console


def test_what_is_piped_is_as_wide_in_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert Console(file=io.StringIO()).width == PIPED_WIDTH
        assert Console(file=io.StringIO(), force_terminal=True).width == int(columns)


def test_a_dumb_terminal_is_not_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not Console(file=io.StringIO(), force_terminal=True).is_animated
    monkeypatch.setenv("TERM", "xterm")
    assert Console(file=io.StringIO(), force_terminal=True).is_animated
    assert not Console(file=io.StringIO()).is_animated


def test_no_color_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    Console(file=stream, force_terminal=True).print("[red]x[/] [bold yellow]knee[/]")
    assert "\x1b[3" not in stream.getvalue()
