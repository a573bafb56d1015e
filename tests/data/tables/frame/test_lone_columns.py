"""A text file of one column: what is one, whether its first line is a name, and how it is quoted."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TextIO

import pytest

from pipeline.data.tables.frame.lone_columns import NO_SEPARATOR, read_as_one_column
from pipeline.settings.tables import Csv
from tests.support import places


def read(file: str, text: str, name: str = "") -> Csv:
    @contextmanager
    def open_text() -> Iterator[TextIO]:
        yield StringIO(text)

    return read_as_one_column(
        open_text, Path(file), places.cells(Path(file), label="text", columns=None), name
    )


@pytest.mark.parametrize(
    ("file", "text", "name", "header"),
    [
        ("t.csv", 'text\n"a, b"\nc d\n', "", True),
        ("t.csv", "said\nit is fine\n", "", True),
        ("t.csv", "it is fine\nit is not\n", "", False),
        ("t.txt", "well, it is fine\nit is not\n", "", False),
        ("t.txt", "fine\nbad\n", "", False),
        ("t.txt", "text\nfine, but long\n", "", True),
        ("t.csv", "size\n1\n2\n", "size", True),
        ("t.csv", "other\n1\n2\n", "size", True),
        ("t.csv", "size kind\n1 a\n2 b\n", "size", None),
        ("t.csv", "id,text\n1,it is fine\n2,well, no\n", "", None),
        ("t.txt", "ham\tit is fine\nspam\tit is not\n", "", None),
        ("t.csv", "", "", None),
    ],
)
def test_a_file_without_separators_is_one_column(
    file: str, text: str, name: str, header: bool | None
) -> None:
    data = read(file, text, name)
    assert (data.separator, data.header) == ((None if header is None else NO_SEPARATOR), header)


def test_lines_of_a_plain_text_may_begin_with_what_somebody_says() -> None:
    text = '"Fine," he said\nand left\n'
    assert read("t.txt", text).quote == "none"
    assert read("t.csv", text).quote is None
