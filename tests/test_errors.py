"""What other programs say of a failure is told in their first line."""

import pytest

from pipeline.errors import read_first_line, read_reason


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n one\ntwo"), "one"),
        (ValueError("  "), "ValueError"),
        (OSError(2, "No such file", "a"), "[Errno 2] No such file: 'a'"),
    ],
)
def test_the_first_line_or_the_type_where_nothing_is_said(error: Exception, line: str) -> None:
    assert read_first_line(error) == line


def test_the_system_says_its_reason_without_the_number() -> None:
    assert read_reason(OSError(2, "No such file", "a")) == "No such file"
    assert read_reason(ValueError("one\ntwo")) == "one"
