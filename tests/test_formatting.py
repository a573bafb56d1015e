"""Numbers are formatted so that they do not mislead."""

import pytest

from pipeline import errors, formatting


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.0004, "<0.1%"), (0.9996, ">99.9%"), (0.5, "50.0%"), (0.9985, "99.9%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert formatting.format_percent(share) == text


def test_a_line_stays_one_line_whatever_is_in_it() -> None:
    assert errors.format_one_line("a\nb\x1b\u2028\udcff ü") == "a\\nb\\x1b\\u2028\\udcff ü"


def test_markdown_shows_a_name_as_it_is() -> None:
    assert formatting.escape_markdown("a_b 2") == "a_b 2"
    assert formatting.escape_markdown("<b>*x*|`[y]\\") == "&lt;b&gt;\\*x\\*\\|\\`\\[y\\]\\\\"
