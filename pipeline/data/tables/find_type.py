"""What one column holds, judged by all of its cells."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.tables import codes, dates, numbers
from pipeline.data.tables.column_content import ColumnContent, refuse_cell
from pipeline.data.tables.column_types import ColumnType, Kind, NumberFormat
from pipeline.errors import BadData
from pipeline.formatting import format_list, shorten
from pipeline.settings.tables import Csv

NUMBER_WORDS = frozenset(
    [
        "?",
        "na",
        "n/a",
        "n.a.",
        "nan",
        "-nan",
        "null",
        "none",
        "nil",
        "nd",
        "n.d.",
        "nat",
        "k.a.",
        "tbd",
        "blank",
        "(blank)",
        "empty",
        "(empty)",
        "no data",
        "not available",
        "not applicable",
        "--.--",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "..",
        "...",
        "*",
        "_",
        "\\n",
        "(null)",
        "<na>",
        "#n/a",
        "#na",
        "#n/a!",
        "#n/a n/a",
        "#value!",
        "#div/0!",
        "#num!",
        "#ref!",
        "#name?",
        "#null!",
        "missing",
        "unknown",
        "inf",
        "+inf",
        "-inf",
        "infinity",
        "-infinity",
        "1.#inf",
        "-1.#ind",
        "1.#qnan",
        "#n/v",
        "#nv",
        "#n/d",
        "#н/д",
        "#wert!",
        "#zahl!",
        "#bezug!",
        "#valeur!",
        "#nombre!",
        "#valore!",
        "#rif!",
        "#¡valor!",
        "#¡div/0!",
        "#¡num!",
        "#¡ref!",
        "k. a.",
        "n. a.",
        "n.v.",
        "keine angabe",
        "fehlt",
        "manquant",
        "s/d",
        "n/d",
        "sin datos",
        "н/д",
        "нет данных",
        "brak",
        "brak danych",
        "无",
        "缺失",
        "なし",
        "欠損",
    ]
)
"""Words for an empty cell in a column of numbers or dates, where they can be nothing else."""
CATEGORY_WORDS = frozenset(["?", "nan", "null", "\\n", "(null)", "<na>", "#n/a", "#na"])
"""Words for an empty cell in any column but the label's; NA and None may be values (North America)."""
NUMERIC_SHARE = 0.9
"""A column with more numbers than this, but not all, is taken for numbers with a mistake in it."""
MANY = 20
"""So many different numbers are a quantity, not the names of categories."""
CODE = r"^0\d+$"
EPOCHS = {
    "seconds": (1e8, 4.2e9),
    "milliseconds": (1e11, 4.2e12),
    "microseconds": (1e14, 4.2e15),
    "nanoseconds": (1e17, 4.2e18),
}
TIME_NAME = re.compile(r"time|date|stamp|epoch|created|updated|(^|_)(ts|at)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """What a column may be: the kind, and each format of its numbers that fits, the likeliest first.

    `code`: what the cells name, as in `IP addresses`, where they look like numbers and are none.
    """

    column: ColumnType
    formats: tuple[NumberFormat, ...] = ()
    code: str = ""

    def with_format(self, form: NumberFormat) -> ColumnType:
        """Return the column with this format of numbers."""
        column = self.column
        return ColumnType(
            name=column.name, kind=column.kind, missing=column.missing, number=form, date=column.date
        )


def find_type(content: ColumnContent, data: Csv, file_name: str) -> tuple[ColumnContent, TypeChoice]:
    """Return the content without words for empty cells, and what the column is. `file_name`: the file.

    Raises:
        BadData: it is nearly a column of numbers or dates, or its dates can be read in two ways.
    """
    words = _list_words(data, NUMBER_WORDS)
    rest = content.drop_words(words)
    if content.name in (data.categorical or ()) or not len(rest.values):
        return _choose_category(content, data)
    if pattern := _find_dates(rest, data, file_name):
        what = Kind.number if pattern in dates.CLOCKS else Kind.date
        kind = ColumnType(name=content.name, kind=what, missing=tuple(sorted(words)), date=pattern)
        return rest, TypeChoice(kind)
    may_be = np.asarray(pc.fill_null(numbers.match_numbers(rest.values), False))
    are_numbers = bool(may_be.all()) and not _are_codes(rest)
    forms = numbers.find_formats(rest.values, data.decimal, data.thousands) if are_numbers else []
    code = codes.find_code(content.name, rest.values, bool(forms))
    if not code and forms and codes.are_long_names(rest.values) and not _is_epoch(rest, forms[0]):
        code = codes.LONG_NAMES
    if code:
        rest, choice = _choose_category(content, data)
        return rest, replace(choice, code=code)
    if forms:
        kind = ColumnType(name=content.name, kind=Kind.number, missing=tuple(sorted(words)))
        return rest, TypeChoice(kind, tuple(forms))
    _refuse_near_numbers(rest, may_be, data, file_name)
    return _choose_category(content, data)


def _is_epoch(content: ColumnContent, form: NumberFormat) -> bool:
    return bool(find_epoch(content.name, numbers.parse_numbers(content.values, form)[0]))


def _list_words(data: Csv, default: frozenset[str]) -> frozenset[str]:
    return default if data.missing is None else frozenset(word.strip().lower() for word in data.missing)


def _choose_category(content: ColumnContent, data: Csv) -> tuple[ColumnContent, TypeChoice]:
    words = _list_words(data, CATEGORY_WORDS)
    kind = ColumnType(name=content.name, kind=Kind.category, missing=tuple(sorted(words)))
    return content.drop_words(words), TypeChoice(kind)


# ---- dates ------------------------------------------------------------------------------------------------


def _find_dates(content: ColumnContent, data: Csv, file_name: str) -> str:
    """Return the pattern of the dates in a column, "" where it has none.

    Raises:
        BadData: day and month may be either way round, or a few cells are no dates.
    """
    own_format = None if data.dates in dates.ORDERS else data.dates
    if own_format is None and not dates.may_be_dates(content.values):
        return ""
    head = dates.judge_head(content.values)
    patterns = dates.find_patterns(content.values, head)
    if own_format is not None:
        return (
            own_format
            if not dates.parse_dates(content.values, own_format)[1].any()
            else next(iter(patterns), "")
        )
    if not patterns:
        _refuse_near_dates(content, head, file_name)
        return ""
    orders = [pattern for pattern in patterns if pattern in dates.ORDERS]
    if data.dates in orders:
        return str(data.dates)
    if len(orders) == 2:
        has_dots = pc.all(pc.match_substring(content.values, ".")).as_py()  # nobody writes month.day.year
        example = content.values[0].as_py()
        if not has_dots:
            raise BadData(
                f"column {content.name} of {file_name} must hold dates of one order, got {example} "
                "and the like, where day and month may be either; set data.dates=day/month/year or "
                "month/day/year"
            )
    return patterns[0]


def _refuse_near_dates(content: ColumnContent, head: dict[str, np.ndarray], file_name: str) -> None:
    if zone := codes.find_zone(content.values):
        raise BadData(
            f"column {content.name} of {file_name} must hold dates of zones that are known, got {zone} in "
            f"{shorten(content.values[0].as_py(), 40)}; write its hours instead, as +01:00, call it a "
            f"category ({format_list('data.categorical', content.name)}) or leave it out: "
            f"{format_list('data.drop', content.name)}"
        )
    share, pattern = dates.measure_share(content.values, head)
    if share <= NUMERIC_SHARE < dates.measure_share_of_any(content.values, head):
        examples = " and ".join(shorten(text, 30) for text in content.values[:2].to_pylist())
        raise BadData(
            f"column {content.name} of {file_name} must hold dates written in one way, got several, as in "
            f"{examples}; write them alike, call it a category "
            f"({format_list('data.categorical', content.name)}) or leave it out: "
            f"{format_list('data.drop', content.name)}"
        )
    if not NUMERIC_SHARE < share < 1:
        return
    mistaken = dates.parse_dates(content.values, pattern)[1]
    if 10 * int(content.counts[mistaken].sum()) < content.filled:
        refuse_cell(
            content, content.values[int(np.flatnonzero(mistaken)[0])].as_py(), f"dates ({pattern})", file_name
        )


def find_epoch(name: str, values: np.ndarray) -> str:
    """Return `seconds`, `milliseconds` and so on where a column of this name counts them from 1970, else "".

    `values`: the numbers of its cells [n], NaN for empty ones.
    """
    filled = values[np.isfinite(values)]
    if not TIME_NAME.search(name) or not len(filled):
        return ""
    low, high = float(filled.min()), float(filled.max())
    return next((unit for unit, (least, most) in EPOCHS.items() if least <= low and high <= most), "")


# ---- numbers ----------------------------------------------------------------------------------------------


def _are_codes(content: ColumnContent) -> bool:
    """Return whether digits are names of things: 00501 is a postal code, not a number."""
    if not pc.any(pc.match_substring_regex(content.values, CODE)).as_py():
        return False
    lengths = pc.unique(pc.utf8_length(content.values))
    return len(lengths) == 1 and pc.all(pc.match_substring_regex(content.values, r"^\d+$")).as_py() is True


def _refuse_near_numbers(content: ColumnContent, may_be: np.ndarray, data: Csv, file_name: str) -> None:
    """Refuse a column that is no category by intent: most cells are numbers, or they are in several units.

    Raises:
        BadData: with the first cell that is none, its line to be found, and the ways out.
    """
    count = int(content.counts[may_be].sum())
    if not count or _are_codes(content):
        return
    like = content.select(pa.array(may_be))
    has_formats = bool(numbers.find_formats(like.values, data.decimal, data.thousands))
    many = len(like.values) > MANY and count > content.filled / 2
    if may_be.all():
        affixes = numbers.find_affixes(like.values)
        if many and len(affixes) <= MANY // 4:
            names = ", ".join(sorted((prefix or suffix or "none") for prefix, suffix in affixes))
            what = (
                f"numbers in one unit, got the units {names}" if len(affixes) > 1 else "numbers of one form"
            )
            example = shorten(like.values[0].as_py(), 40)
            raise BadData(
                f"column {content.name} of {file_name} must hold {what}, as in {example}; write them "
                f"alike, set data.decimal=... and data.thousands=..., or leave it out: "
                f"{format_list('data.drop', content.name)}"
            )
        return
    if has_formats and (many or count > NUMERIC_SHARE * content.filled):
        mistaken = content.values[int(np.flatnonzero(~may_be)[0])].as_py()
        refuse_cell(content, mistaken, "numbers", file_name)
