"""Texts are cut to the lines that a picture has."""

from pipeline.reports.text_samples import LETTERS, LINES, _wrap


def test_a_long_text_is_cut_and_a_short_one_is_not() -> None:
    assert _wrap("a film") == ["a film"]
    lines = _wrap("word " * 200)
    assert len(lines) == LINES
    assert max(map(len, lines)) <= LETTERS
    assert lines[-1].endswith("…")
