"""Numbers as people write them: 1,234.5 and 1.234,5, $ 12.50, 15 %, (300), 5 kg; found by column."""

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.tables.column_types import NumberFormat

CURRENCIES = (
    "USD|EUR|GBP|JPY|CHF|INR|CNY|AUD|CAD|BRL|SEK|NOK|DKK|PLN|CZK|HUF|RUB|UAH|TRY|ZAR|MXN|KRW|SGD|HKD|NZD"
    r"|Rs\.?|kr\.?|Fr\.?|RM|Rp\.?|S/\.?|zł|Kč|Ft|руб\.?|грн\.?|лв\.?|TL|元|円|원|圓"
)
PREFIX = rf"[A-Za-z]{{0,3}}\p{{Sc}}|%|{CURRENCIES}"
SUFFIX = r"%|‰|\p{Sc}[A-Za-z]{0,3}|(?:° ?)?[\p{L}µ°²³/]{1,12}\.?"
SPACES = " \u00a0\u2009\u202f"
"""The space, and those that do not break a line or are narrow."""
DIGITS_AND_MARKS = rf"\d[\d.,'’_{SPACES}]*"
DASHES = r"[\-−–—]{1,2}"
"""What stands behind a mark in place of a fraction, as in 48.– and 12,-: no minus."""
BODY = rf"(?:{DIGITS_AND_MARKS}[.,]{DASHES}|{DIGITS_AND_MARKS}|[.,]\d+)(?:[eE][+-]?\d+|[dD][+-]\d+)?"
NUMBER = (
    rf"^(?P<open>\()?(?P<sign>[+\-−–]?)\s*(?P<prefix>{PREFIX})?\s*(?P<inner>[+\-−–]?)\s*"
    rf"(?P<body>{BODY})\s*(?P<suffix>{SUFFIX})?(?P<after>[\-−–]?)(?P<close>\))?$"
)
"""A cell that may be a number. The body never ends in a separator that would be a suffix of its own."""
PLAIN = r"^(?P<sign>[+-]?)(?P<body>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)$"
"""A number as programs write it. To compile `NUMBER` takes RE2 a hundred times as long."""
MARKS = (".", ",")
GROUPINGS = ("", ",", ".", " ", "'", "_")


DIGITS = ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９")
"""Digits of other scripts: Arabic, Persian, Hindi, Bengali, Thai, and those of full width."""
OTHER_DIGIT = f"[{''.join(DIGITS)}]"
OTHER_MARKS = {"٫": ".", "٬": ",", "．": ".", "，": ",", "－": "-", "％": "%", "٪": "%"}


def write_in_ascii(cells: Any) -> Any:
    """Return cells with the digits of other scripts, and the marks between them, as in ASCII."""
    if not pc.any(pc.match_substring_regex(cells, OTHER_DIGIT)).as_py():
        return cells
    for digits in DIGITS:
        for number, digit in enumerate(digits):
            cells = pc.replace_substring(cells, digit, str(number))
    for mark, plain in OTHER_MARKS.items():
        cells = pc.replace_substring(cells, mark, plain)
    return cells


def are_plain(cells: Any) -> bool:
    """Return whether all cells are numbers as programs write them: 12, -0.5, 1e-3."""
    return _is_all(pc.match_substring_regex(cells, PLAIN))


def _is_all(matched: Any) -> bool:
    return pc.all(matched).as_py() is not False


def match_numbers(cells: Any) -> Any:
    """Return which cells may be numbers, a pyarrow array of booleans; what is no cell is none."""
    cells = write_in_ascii(cells)
    plain = pc.match_substring_regex(cells, PLAIN)
    if _is_all(plain):
        return plain
    matched = pc.match_substring_regex(cells, NUMBER)
    open_, close = pc.starts_with(cells, "("), pc.ends_with(cells, ")")
    return pc.and_(matched, pc.equal(open_, close))


def is_number(cell: str) -> bool:
    """Return whether one cell is a number, see `match_numbers`."""
    return any(letter.isdigit() for letter in cell) and bool(
        pc.all(match_numbers(pa.array([cell], pa.large_string()))).as_py()
    )


def find_affixes(cells: Any) -> set[tuple[str, str]]:
    """Return the pairs of prefix and suffix in cells that `match_numbers` found."""
    groups = _extract(cells)
    pairs = pc.binary_join_element_wise(groups["prefix"], groups["suffix"], _make_scalar("\n"))
    return {(pair.partition("\n")[0], pair.partition("\n")[2]) for pair in pc.unique(pairs).to_pylist()}


def find_formats(cells: Any, decimal: str | None = None, thousands: str | None = None) -> list[NumberFormat]:
    """Return each format that all of these cells fit, the most common way of writing first; all of one affix.

    `decimal`, `thousands`: what the user says of them.
    """
    (prefix, suffix), *others = find_affixes(cells)
    if others:
        return []
    bodies = pc.unique(_extract(cells)["body"])
    return [
        NumberFormat(decimal=mark, thousands=grouping, prefix=prefix, suffix=suffix)
        for grouping, mark in product(
            GROUPINGS if thousands is None else (thousands,), MARKS if decimal is None else (decimal,)
        )
        if mark != grouping
        and pc.all(pc.match_substring_regex(bodies, _body_pattern(mark, grouping))).as_py()
    ]


def _body_pattern(mark: str, grouping: str) -> str:
    """Return the pattern of numbers with this decimal mark and this sign between groups of digits."""
    point, exponent = re.escape(mark), r"(?:[eE][+-]?\d+|[dD][+-]\d+)?"
    plain = rf"\d+(?:{point}\d*)?|{point}\d+"
    if not grouping:
        return rf"^(?:{plain}){exponent}$"
    gap = f"[{SPACES}]" if grouping == " " else "['’]" if grouping == "'" else re.escape(grouping)
    indian = rf"|[1-9]\d?(?:{gap}\d{{2}})+{gap}\d{{3}}(?:{point}\d*)?"
    return rf"^(?:[1-9]\d{{0,2}}(?:{gap}\d{{3}})+(?:{point}\d*)?{indian}|(?:{plain}){exponent})$"


def parse_numbers(
    cells: Any, form: NumberFormat, missing: Iterable[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 [n] with NaN for empty cells, and which cells are neither empty nor such a number.

    `cells`: a pyarrow array of text; `missing`: words in small letters that count as empty.
    """
    missing = tuple(missing)
    if (plain := _parse_plain(cells, form)) is not None:
        plain[np.isin(plain, _read_plain(missing))] = np.nan
        return plain, np.zeros(len(plain), bool)
    cells = write_in_ascii(cells)
    empty = pc.fill_null(pc.equal(cells, ""), True)
    if missing:
        empty = pc.or_(
            empty, pc.fill_null(pc.is_in(pc.utf8_lower(cells), pa.array(missing, cells.type)), True)
        )
    fits = pc.and_(pc.fill_null(match_numbers(cells), False), pc.invert(empty))
    groups = _extract(pc.if_else(fits, cells, "0"))
    # The zeros that stand for other cells have no affix.
    agrees = pc.and_(pc.equal(groups["prefix"], form.prefix), pc.equal(groups["suffix"], form.suffix))
    pattern = _body_pattern(form.decimal, form.thousands)
    fits = pc.and_(fits, pc.and_(agrees, pc.match_substring_regex(groups["body"], pattern)))
    body = pc.if_else(fits, groups["body"], "0")
    if form.thousands:
        gap = f"[{SPACES}]" if form.thousands == " " else "['’]" if form.thousands == "'" else None
        body = pc.replace_substring_regex(body, gap or re.escape(form.thousands), "")
    if form.decimal != ".":
        body = pc.replace_substring(body, form.decimal, ".")
    body = pc.replace_substring_regex(body, "[dD]", "e")  # as Fortran writes numbers of two words
    numbers = np.asarray(pc.cast(body, pa.float64()), np.float64)
    is_negative = np.asarray(pc.greater(pc.utf8_length(_find_minus(groups)), 0))
    fits = np.asarray(fits) & np.isfinite(numbers)
    numbers = np.where(fits, np.where(is_negative, -numbers, numbers), np.nan)
    numbers[np.isin(numbers, _read_plain(missing))] = np.nan
    return numbers, ~fits & ~np.asarray(empty)


def _parse_plain(cells: Any, form: NumberFormat) -> np.ndarray | None:
    """Return float64 [n] where all cells are plain numbers or empty, None where more has to be looked at.

    What most columns of most tables are, at a tenth of the price.
    """
    if form.decimal != "." or form.prefix or form.suffix:
        return None
    filled = pc.if_else(pc.equal(cells, ""), pa.scalar(None, cells.type), cells)
    if not are_plain(filled):
        return None
    numbers = np.array(pc.cast(filled, pa.float64()), np.float64)
    return None if np.isinf(numbers).any() else numbers


@lru_cache(maxsize=64)
def _read_plain(words: tuple[str, ...]) -> tuple[float, ...]:
    """Return the words that are numbers, so that -999 stands for -999.0 as well."""
    numbers = []
    for word in words:
        with suppress(ValueError):
            numbers.append(float(word))
    return tuple(number for number in numbers if math.isfinite(number))


def _find_minus(groups: dict[str, Any]) -> Any:
    """Return the minus signs and brackets of each cell; empty where it is not negative."""
    signs = pc.binary_join_element_wise(
        groups["open"], groups["sign"], groups["inner"], groups["after"], _make_scalar("")
    )
    return pc.replace_substring(signs, "+", "")


def _extract(cells: Any) -> dict[str, Any]:
    """Return the parts of numbers by name; an absent part is empty."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    cells = write_in_ascii(cells)
    groups = pc.extract_regex(cells, PLAIN if are_plain(cells) else NUMBER)
    there = {field.name for field in groups.type}
    absent = pa.nulls(len(cells), cells.type)
    texts = {
        name: pc.fill_null(pc.struct_field(groups, name) if name in there else absent, "")
        for name in ("open", "sign", "prefix", "inner", "body", "suffix", "after")
    }
    body = pc.replace_substring_regex(texts["body"], f"{DASHES}$", "")
    return texts | {"body": pc.utf8_rtrim_whitespace(body)}


def _make_scalar(text: str) -> Any:
    return pa.scalar(text, pa.large_string())
