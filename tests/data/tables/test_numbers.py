"""Numbers as people write them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipeline.data.tables import dates
from pipeline.data.tables import numbers as reader
from pipeline.data.tables.column_types import NumberFormat
from pipeline.data.tables.numbers import find_affixes, find_formats, match_numbers, parse_numbers


def cells(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (("1.5", "-2", "3e-2"), (1.5, -2, 0.03)),
        (("5117,7", "-0,5"), (5117.7, -0.5)),
        (("5,251e+01", "-1,500e-01"), (52.51, -0.15)),
        (("5,117.7", "12", "1,234,567.25"), (5117.7, 12, 1234567.25)),
        (("1.234,5", "3,25"), (1234.5, 3.25)),
        (("1 234,5", "99"), (1234.5, 99)),
        (("1\u202f234.5", "99"), (1234.5, 99)),
        (("1'234.5", "0.1"), (1234.5, 0.1)),
        (("12,34,567.1", "5"), (1234567.1, 5)),
        (("$12.50", "-$3", "($4.1)"), (12.5, -3, -4.1)),
        (("12,50 €", "1.200,00 €"), (12.5, 1200)),
        (("USD 5", "USD 7.5"), (5, 7.5)),
        (("12 %", "3.5 %"), (12, 3.5)),
        (("5 kg", "7.25 kg"), (5, 7.25)),
        (("21°C", "-3°C"), (21, -3)),
        (("48.21° N", "7° N"), (48.21, 7)),
        (("%12", "%3.5"), (12, 3.5)),
        (("51,-", "12,50", "-3,--"), (51, 12.5, -3)),
        (("48.–", "7.50"), (48, 7.5)),
        (("EUR 51,-", "EUR 1.200,-"), (51, 1200)),
        (("48.– CHF", "7.50 CHF"), (48, 7.5)),
        (("(300)", "12-", "\u22124"), (-300, -12, -4)),
        ((".5", "5."), (0.5, 5)),
        (("1e36", "5117.704e20"), (1e36, 5.117704e23)),
    ],
)
def test_numbers_are_read_as_people_write_them(texts: tuple[str, ...], numbers: tuple[float, ...]) -> None:
    given_cells = cells(*texts)
    assert all(match_numbers(given_cells).to_pylist())
    (form, *_) = find_formats(given_cells)
    read, mistaken = parse_numbers(given_cells, form)
    np.testing.assert_allclose(read, numbers)
    assert not mistaken.any()


@pytest.mark.parametrize(
    "text", ["C00001", "2020-01-01", "10:30", ".", "-", "³", "0x10", "nan", "(5", "5)", "1 kg 5"]
)
def test_other_words_are_no_numbers(text: str) -> None:
    assert match_numbers(cells(text)).to_pylist() == [False]


def test_one_number_that_can_be_read_in_two_ways_has_two_formats() -> None:
    marks = {(form.decimal, form.thousands) for form in find_formats(cells("1,234"))}
    assert {(",", ""), (".", ",")} <= marks
    assert [form.decimal for form in find_formats(cells("1,234"), thousands=",")] == ["."]
    assert find_formats(cells("1,234"), decimal=",")[0].thousands == ""


def test_two_units_have_no_format_in_common() -> None:
    assert find_affixes(cells("5 kg", "300 g")) == {("", "kg"), ("", "g")}
    assert find_formats(cells("5 kg", "300 g")) == []


def test_cells_of_another_format_and_beyond_float64_are_mistaken() -> None:
    read, mistaken = parse_numbers(cells("5,5", "5.5", "", "NA", "1e999"), NumberFormat(decimal=","), ("na",))
    assert mistaken.tolist() == [False, True, False, False, True]
    np.testing.assert_array_equal(read, [5.5, np.nan, np.nan, np.nan, np.nan])


@settings(max_examples=50)
@given(some.lists(some.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_what_python_writes_is_read_back_exactly(numbers: list[float]) -> None:
    given_cells = cells(*map(repr, numbers))
    read, _ = parse_numbers(given_cells, find_formats(given_cells)[0])
    assert read.tolist() == numbers


@settings(max_examples=30)
@given(
    some.lists(
        some.from_regex(r"\A[+-]?(?:[0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9])?\Z"), min_size=1
    )
)
def test_plain_numbers_are_read_alike_alone_and_beside_others(texts: list[str]) -> None:
    beside = cells(*texts, "5\u202f000")  # such a space makes the whole column one that people have written
    for form in find_formats(beside):
        alone, mistaken = parse_numbers(cells(*texts), form)
        both, also_mistaken = parse_numbers(beside, form)
        np.testing.assert_array_equal(alone, both[:-1])
        np.testing.assert_array_equal(mistaken, also_mistaken[:-1])
    assert dates.may_be_dates(cells(*texts)) or not dates.find_patterns(cells(*texts))


def test_plain_numbers_are_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        reader, "_extract", lambda _: pytest.fail("a look at each part takes ten times as long")
    )
    numbers, mistaken = parse_numbers(
        cells("1", "", "-2.5e3", "+4"), NumberFormat(thousands=","), ("na", "1.0")
    )
    np.testing.assert_array_equal(numbers, [np.nan, np.nan, -2500, 4])
    assert not mistaken.any()
