"""Texts are cut to the lines that a picture has."""

from pipeline.reports.text_samples import LETTERS, LINES, wrap_text


def test_a_long_text_is_cut_and_a_short_one_is_not() -> None:
    assert wrap_text("a film") == ["a film"]
    lines = wrap_text("word " * 200)
    assert len(lines) == LINES
    assert max(map(len, lines)) <= LETTERS
    assert lines[-1].endswith("…")
