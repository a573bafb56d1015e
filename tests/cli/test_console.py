"""The console: as wide as the terminal, stable where there is none, still where it is dumb."""

import io

import pytest
from rich.table import Table

from pipeline.cli.console import PIPED_WIDTH, Console


def test_what_is_piped_is_as_wide_in_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert Console(file=io.StringIO()).width == PIPED_WIDTH
        assert Console(file=io.StringIO(), force_terminal=True).width == int(columns)


def test_a_table_that_has_no_room_is_told_in_words_and_no_figure_is_cut() -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("study", overflow="fold")
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column("spent", justify="right", no_wrap=True)
    table.add_column("")
    table.add_row("cnn2", "83.89%", "86.0 ms", "a CPU, \\[1] core")
    told = {}
    for width in (30, 60):
        stream = io.StringIO()
        Console(file=stream, width=width).print_table(table)
        told[width] = stream.getvalue()
    assert told[60].splitlines()[0].split() == ["study", "best", "spent"]
    assert "83.89%  86.0 ms" in told[60]
    assert " ".join(told[30].split()) == "study cnn2, best 83.89%, spent 86.0 ms, a CPU, [1] core"


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
