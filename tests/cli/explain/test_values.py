"""Numbers, switches and ranges as people write them."""

import pytest

from pipeline.cli.explain.values import Meant, find_meant, read_number

NUMBER = "a number"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("1..5", "interval(1,5)"),
        ("1e-4..1e-1", "interval(1e-4,1e-1)"),
        ("log(0.1, 10)", "tag(log,interval(0.1,10))"),
        ("loguniform(1,2)", "tag(log,interval(1,2))"),
        ("uniform(0,0.5)", "interval(0,0.5)"),
        ("16-64", "interval(16,64)"),
        ("16\u202664", "interval(16,64)"),
        ("0.1:0.3:0.1", "range(0.1,0.35,0.1)"),
    ],
)
def test_a_range_is_shown_as_it_is_written(text: str, word: str) -> None:
    assert find_meant("a.b", text, NUMBER) == Meant(word, is_search=True)


@pytest.mark.parametrize("text", ["ten", "null", "2024-01-02", "log(0,1)", "5..1", "f(1,2)"])
def test_what_is_no_range_and_no_number_is_left(text: str) -> None:
    assert find_meant("a.b", text, NUMBER) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e3", 1000), ("2k", 2000), ("2**5", 32), ("1/4", 0.25), ("5%", 0.05), ("1_000", 1000), ("0.5f", 0.5)],
)
def test_a_number_is_read_in_the_ways_of_writing_it(text: str, number: float) -> None:
    assert read_number(text) == number


def test_a_number_that_is_none_is_nan() -> None:
    for text in ("", "x", "1/0", "(-8)^0.5", "-8^0.5"):
        assert read_number(text) != read_number(text)
