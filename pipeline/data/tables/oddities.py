"""What looks odd in a column: it is told, and left as it is."""

import html
import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.class_labels import fold_word
from pipeline.data.readers.quantities import EXACT
from pipeline.data.tables import dates
from pipeline.data.tables.column_content import ColumnContent
from pipeline.data.tables.find_type import CATEGORY_WORDS
from pipeline.errors import BadData
from pipeline.formatting import format_list, shorten

_REPEATED = tuple(float(sign * (10**digits - 1)) for digits in (2, 3, 4, 5, 6, 7) for sign in (-1, 1))
_CODES = tuple(
    float(sign * int(str(digit) * digits)) for digit in (6, 7, 8) for digits in (2, 3, 4) for sign in (-1, 1)
)
_OF_SURVEYS = tuple(
    float(sign * (10**digits - unit)) for digits in (2, 3, 4) for unit in (2, 3, 4) for sign in (-1, 1)
)
_OF_MACHINES = (32767.0, -32768.0, 65535.0, 2.0**31 - 1, -(2.0**31), 2.0**32 - 1, 2.0**63, -(2.0**63))
SMALL = (0.0, -1.0, -9.0)
"""Numbers that mean something in most columns: odd beside many others alone."""
SENTINELS = (*_REPEATED, *_CODES, *_OF_SURVEYS, *_OF_MACHINES, *SMALL)
"""Numbers that stand for "no value" in old files: -99, 999, -9999, 98 (refused), 2^31 - 1 and the like."""
HUGE = 1e15
"""Numbers beyond this stand for "no value" where all others are small: 1e20, 9.96921e+36."""
SENTINEL_DATES = (
    *("0001-01-01", "1111-11-11", "1582-10-15", "1601-01-01", "1753-01-01", "1800-01-01", "1850-01-01"),
    *("1899-12-30", "1899-12-31", "1900-01-01", "1900-12-31", "1901-01-01", "1904-01-01", "1970-01-01"),
    *("1980-01-01", "2038-01-19", "2049-12-31", "2050-12-31", "2078-12-31", "2079-06-06", "2099-12-31"),
    *("2100-01-01", "2100-12-31", "2199-12-31", "2200-01-01", "2222-02-22", "2261-12-31", "2262-04-11"),
    *("2299-12-31", "2500-01-01", "2999-12-31", "3000-01-01", "3000-12-31", "3999-12-31", "4000-12-31"),
    *("4712-12-31", "5373-11-01", "8888-08-08", "9999-01-01", "9999-12-30", "9999-12-31"),
)
"""Days that stand for "no day": the first and the last that a program knows, and the like."""
OFTEN = 3
"""What is so much more frequent than any other number, and the largest or the smallest, is no measurement."""
FIGURES = r"^[^\p{L}\d]*\d+(?:[^\p{L}\d]+\d+)+[^\p{L}\d]*$|^[~≈<>≤≥±]\s*\d+(?:[.,]\d+)?$"
FORMULA = r"^=\s*[-+(]*\s*(?:[A-Za-z_.]+\d*\(|\$?[A-Za-z]{1,3}\$?\d|\d|'?[\w ]+'?!)"
MANY = 20
SENTINEL = "with {0} far from all other {2}: data.missing=[{1}] if it stands for an empty cell"
ROUNDED = "with whole numbers beyond 2^53, rounded to 16 digits: data.categorical=[...] if they name things"
FIGURES_TOLD = (
    "taken for categories though made of numbers: write them as columns of numbers if they are amounts"
)
MOST_ALIKE = 10_000
"""Different words up to which those that are alike are looked for."""
ALIKE = (
    "with words that differ by case or spaces alone, as {0} and {1}: write them alike if they mean the same"
)
SEVERAL = (
    "with several answers in a cell, as in {0}: each combination is a category; give each answer a column"
)
ANSWERS_APART = (";", "|", ",")
FEWEST_SEVERAL = 0.3
"""Share of different cells that have several answers, at least."""
ENTITY = r"&(?:[A-Za-z]{2,8}|#\d{2,6}|#[xX][0-9A-Fa-f]{2,5});"
ENTITIES = "with letters in the code of HTML, as {0} for {1}: mend them where the file comes from"
SERIALS = (
    "of numbers that may be days as a spreadsheet counts them ({0} is {1}): save them as dates if they are"
)
DATE_NAME = re.compile(r"(^|[^a-z])(dates?|datum|fecha|dob|birthday)([^a-z]|$)|[a-z]Date$", re.I)
FIRST_SERIAL, LAST_SERIAL = 14_611, 73_051
"""1940-01-01 and 2100-01-01 in days since 1899-12-30, from which spreadsheets count."""
DAYS_TO_1970 = 25_569
CALENDARS = {"Buddhist": (2443, 2643), "Islamic or Persian": (1300, 1500)}
"""Years of other calendars that are about the last hundred, and next, of ours."""
OTHER_YEARS = (
    "with the years {0} to {1}, as of the {2} calendar: read as they stand, convert them if they are of it"
)
DECODED_TWICE = "whose letters were decoded wrongly before ({0} for {1}): mend them where the file comes from"


def find_number_oddities(content: ColumnContent, numbers: np.ndarray, is_date: bool) -> Iterator[str]:
    """Yield what is odd in a column of numbers or dates. `numbers`: of the values; of dates seconds."""
    if sentinels := find_sentinels(content, numbers, is_date):
        missing = ",".join(f'"{cell}"' if set(cell) & set(" :,") else cell for cell in sentinels)
        yield SENTINEL.format(" and ".join(sentinels), missing, "dates" if is_date else "numbers")
    if is_date and (years := find_other_years(numbers)):
        yield OTHER_YEARS.format(*years)
    if not is_date and find_rounded(content, numbers):
        yield ROUNDED
    if not is_date and may_be_serials(content.name, numbers):
        day = np.datetime64(int(numbers[0]) - DAYS_TO_1970, "D")
        yield SERIALS.format(content.values[0].as_py(), day)


def find_word_oddities(content: ColumnContent) -> Iterator[str]:
    """Yield what is odd in a column of categories or texts."""
    if are_figures(content):
        yield FIGURES_TOLD
    words = list_few(content)
    if example := find_several(words):
        yield SEVERAL.format(shorten(example, 30))
    if pair := find_alike(words):
        yield ALIKE.format(*(shorten(word, 20) for word in pair))
    if pair := find_entity(content):
        yield ENTITIES.format(*pair)
    if pair := find_decoded_twice(content):
        yield DECODED_TWICE.format(*(shorten(word, 20) for word in pair))


def find_sentinels(content: ColumnContent, numbers: np.ndarray, is_date: bool = False) -> tuple[str, ...]:
    """Return the numbers or dates that may mean "no value", as they are written.

    They are farther from all other numbers than those are from each other; or the last one of many, and much
    more frequent than any other. `numbers`: of the values of the content.
    """
    sentinels = _read_sentinel_dates() if is_date else SENTINELS
    days = np.floor(numbers / dates.DAY) * dates.DAY if is_date else numbers
    is_sentinel = np.isin(days, sentinels) | (np.abs(numbers) > (np.inf if is_date else HUGE))
    others = numbers[np.isfinite(numbers) & ~is_sentinel]
    if len(others) < 2 or not is_sentinel.any():
        return ()
    low, high = others.min(), others.max()
    gaps = np.maximum(low - numbers, numbers - high)  # of what lies between others below 0
    usual = content.counts[np.isfinite(numbers) & ~is_sentinel].max()
    is_often = (content.counts >= OFTEN * usual) & (np.abs(numbers) > 99) & (len(others) > MANY) & (gaps > 0)
    is_only_negative = (numbers == -1) & (low >= 0) & (len(others) >= MANY) & (not is_date)
    if not is_date and len(others) <= MANY:
        is_sentinel &= ~np.isin(numbers, SMALL)
    odd = is_sentinel & ((gaps > high - low) | is_often | is_only_negative)
    return tuple(sorted(content.values[int(row)].as_py() for row in np.flatnonzero(odd)))[:4]


@cache
def _read_sentinel_dates() -> np.ndarray:
    return dates.parse_dates(pa.array(SENTINEL_DATES, pa.large_string()), "year-month-day")[0]


def refuse_formulas(content: ColumnContent, file_name: str) -> None:
    """Refuse a column of formulas, which no value stands beside.

    Raises:
        BadData: all of its cells are formulas.
    """
    if len(content.values) and pc.all(pc.match_substring_regex(content.values, FORMULA)).as_py():
        raise BadData(
            f"column {content.name} of {file_name} must hold values, got formulas as in "
            f"{shorten(content.values[0].as_py(), 40)}; save the table with its values, or leave the column "
            f"out: {format_list('data.drop', content.name)}"
        )


def list_few(content: ColumnContent) -> list[str]:
    """List the different cells of a column, or none where there are too many to compare them."""
    return content.values.to_pylist() if len(content.values) <= MOST_ALIKE else []


def find_several(words: Sequence[str]) -> str:
    """Return a cell with several answers, as of a question where many may be chosen; "" for none.

    So it is where a sign parts many cells, not all into as many answers (as names are: Lee, Ann), and there
    are fewer answers than different cells.
    """
    if len(words) > MOST_ALIKE:
        return ""
    for sign in ANSWERS_APART:
        parted = [word for word in words if sign in word]
        answers = {answer.strip("[](){}\"' ") for word in words for answer in word.split(sign)} - {""}
        counts = {word.count(sign) for word in words}
        if len(parted) < max(2, FEWEST_SEVERAL * len(words)) or len(answers) >= len(words) or len(counts) < 2:
            continue
        if all(any(map(str.isalpha, answer)) for answer in answers):
            return parted[0]
    return ""


def find_alike(words: Sequence[str]) -> tuple[str, str] | None:
    """Return two words that differ by case, spaces or the width of letters alone; None for none."""
    seen: dict[str, str] = {}
    for word in words:
        first = seen.setdefault(fold_word(word), word)
        if first != word:
            return first, word
    return None


def find_decoded_twice(content: ColumnContent) -> tuple[str, str] | None:
    """Return a word whose UTF-8 was once read as cp1252, and the word that it was; None where there is none.

    All words outside ASCII must be so, and two of them.
    """
    words = content.values.filter(pc.invert(pc.string_is_ascii(content.values)))[:MANY].to_pylist()
    pairs = [(word, _decode_again(word)) for word in words]
    if len(pairs) < 2 or not all(mended for _, mended in pairs):
        return None
    return pairs[0]


def _decode_again(word: str) -> str:
    try:
        return word.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""


def find_entity(content: ColumnContent) -> tuple[str, str] | None:
    """Return a letter as HTML writes it in a word, and the letter; None where there is none."""
    is_coded = pc.match_substring_regex(content.values, ENTITY)
    for word in content.values.filter(is_coded)[:MANY].to_pylist():
        for found in re.finditer(ENTITY, word):
            if html.unescape(found[0]) != found[0]:
                return found[0], html.unescape(found[0])
    return None


def may_be_serials(name: str, numbers: np.ndarray) -> bool:
    """Return whether a column that is called a date has days of the last decades as spreadsheets count."""
    filled = numbers[np.isfinite(numbers)]
    is_day = (filled >= FIRST_SERIAL) & (filled < LAST_SERIAL)
    return DATE_NAME.search(name) is not None and len(filled) > 0 and bool(is_day.all())


def find_other_years(numbers: np.ndarray) -> tuple[int, int, str] | None:
    """Return the first and last year of dates that may be of another calendar, and whose; else None."""
    filled = numbers[np.isfinite(numbers)]
    if not len(filled):
        return None
    low, high = (int(day.astype(int)) + 1970 for day in _find_years(np.quantile(filled, (0.05, 0.95))))
    for name, (first, last) in CALENDARS.items():
        if first <= low and high <= last:
            return low, high, name
    return None


def _find_years(seconds: np.ndarray) -> np.ndarray:
    return (seconds // dates.DAY).astype("datetime64[D]").astype("datetime64[Y]")


def find_rounded(content: ColumnContent, numbers: np.ndarray) -> bool:
    """Return whether whole numbers lose digits as floating-point ones. `numbers`: of the values."""
    large = np.flatnonzero(np.abs(numbers) > EXACT)
    cells = content.values.take(large)
    are_whole = pc.match_substring_regex(cells, r"^[+-]?\d+$").to_pylist()
    return any(
        is_whole and int(cell.as_py()) != int(numbers[row])
        for row, cell, is_whole in zip(large, cells, are_whole, strict=True)
    )


def are_figures(content: ColumnContent) -> bool:
    """Return whether many categories are numbers with a sign or several: 120/80, 52-57, ~12, 10.0.0.1."""
    if len(content.values) <= MANY:
        return False
    return pc.all(pc.match_substring_regex(content.values, FIGURES)).as_py() is True


def find_missing_words(classes: tuple[str, ...]) -> list[str]:
    """Return the names of classes that elsewhere stand for an empty cell, such as NaN and null."""
    return [name for name in classes if name.lower() in CATEGORY_WORDS]
