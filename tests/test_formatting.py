"""Numbers are formatted so that they do not mislead."""

import pytest

from pipeline import formatting


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.0004, "<0.1%"), (0.9996, ">99.9%"), (0.5, "50.0%"), (0.9985, "99.9%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert formatting.format_percent(share) == text
