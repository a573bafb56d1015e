"""Dates and times as people write them, found by column and read as seconds since 1970 (UTC)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.tables import durations
from pipeline.data.tables.numbers import are_plain, write_in_ascii

DAY = 86400.0
MONTHS = (
    "jan|ene|gen|jän|ian|led(?:na|en)|sty(?:cz|$)|oca(?:k|$)|tammi|янв|січ|ιαν",
    "feb|fév|fev|úno|lut|şub|helmi|фев|лют|φεβ",
    "mar|mär|mrz|mrt|maa|már|bře|мар|бер|μαρ|μάρ",
    "apr|avr|abr|ápr|dub(?:n|en)|kwi|nisa|huhti|апр|кві|απρ",
    "may|mai|mei|mag|maj|máj|kvě|touko|май|мая|тра|μαι|μαΐ|μάι",
    "jun|juin|giu|jún|iun|červ|cze(?:r|$)|haz|kesä|июн|чер|ιουν|ιούν",
    "jul|juil|lug|júl|iul|červenec|července|lip(?:i|c|$)|tem|heinä|июл|лип|ιουλ|ιούλ",
    "aug|aoû|aou|ago|agu|ağu|srp|sie(?:rp|$)|elok|авг|сер|αυγ|αύγ",
    "sep|set|sze|zář|wrz|eyl|syys|сен|вер|σεπ",
    "oct|okt|ott|out|říj|paź|eki(?:m|$)|loka|окт|жов|οκτ",
    "nov|noi|lis(?:to|$)|kas(?:ı|$)|marr|ноя|лис|νοε|νοέ",
    "dec|dez|déc|dic|des(?:e|$)|prosin|gru(?:d|$)|ara(?:l|$)|joulu|дек|гру|δεκ",
)
"""How the names of the months begin: English, German, French, Spanish, Italian, Portuguese, Dutch, Romanian,
Danish, Swedish, Norwegian, Finnish, Polish, Czech, Hungarian, Turkish, Russian, Ukrainian and Greek."""
_BY_HOURS = (
    "0 Z UTC GMT WET, 1 WEST CET MEZ, 2 CEST MESZ EET, 3 EEST MSK, 9 JST KST, 10 AEST, 11 AEDT, 12 NZST, "
    "13 NZDT, -4 EDT, -5 EST CDT, -6 CST MDT, -7 MST PDT, -8 PST AKDT, -9 AKST, -10 HST"
)
ZONES = {name: float(hours) for hours, *names in map(str.split, _BY_HOURS.split(",")) for name in names}
"""Hours that the clock of a zone is before UTC, of words with one meaning; of America as RFC 5322 says."""
OFFSET = r"(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|(?:UTC|GMT)[+-]\d"
ZONE = rf"(?P<zone>\s*(?:{OFFSET}|Z|UTC|GMT)(?:\[[\w/+-]+\])?|\s+(?:{'|'.join(ZONES)}))"
"""How a zone is written; where a name stands behind hours, as Java writes it, the hours count."""
TIME = rf"(?:(?:T|:|,?\s+){durations.CLOCK}{ZONE}?)?"
WEEKDAY = r"(?:(?:[Mm]on|[Tt]ue|[Ww]ed|[Tt]hu|[Ff]ri|[Ss]at|[Ss]un)[a-z]*\.?,?\s+)?"
NAME = r"(?P<name>[A-Za-z\x{80}-\x{10ffff}]{3,12})"
"""Letters, ASCII or beyond; to compile `\\p{L}` takes RE2 a hundred times as long."""
ENDING = "(?:st|nd|rd|th)?"
GAP = r"(?:[-/., ]+|\s+de\s+)"
YEAR_WORD = r"(?:\s*(?:года|року|г|р)\.?)?"
"""What stands behind a year in Russian and Ukrainian."""
PATTERNS = {
    "year-month-day": rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){TIME}",
    "day/month/year": rf"(?P<day>\d{{1,2}})[-/. ](?P<month>\d{{1,2}})[-/. ](?P<year>\d{{4}}|\d{{2}}){TIME}",
    "month/day/year": rf"(?P<month>\d{{1,2}})[-/. ](?P<day>\d{{1,2}})[-/. ](?P<year>\d{{4}}|\d{{2}}){TIME}",
    "day name year": rf"\[?{WEEKDAY}(?P<day>\d{{1,2}}){ENDING}{GAP}?{NAME}{GAP}?"
    rf"(?P<year>\d{{4}}|\d{{2}}){YEAR_WORD}{TIME}\]?",
    "year name day": rf"(?P<year>\d{{4}})[-/. ]+{NAME}[-/. ]+(?P<day>\d{{1,2}})\.?{TIME}",
    "name day year": rf"{WEEKDAY}{NAME}[-/. ]+(?P<day>\d{{1,2}}){ENDING},?[-/. ]+(?P<year>\d{{4}}){TIME}",
    "name day time year": rf"{WEEKDAY}{NAME}\s+(?P<day>\d{{1,2}})\s+{durations.CLOCK}"
    rf"{ZONE}?\s+(?P<year>\d{{4}})",
    "year年month月day日": rf"(?P<year>\d{{4}})[年년]\s*"
    rf"(?P<month>\d{{1,2}})[月월]\s*(?P<day>\d{{1,2}})[日일]{TIME}",
    "year-month": r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
    "name year": rf"{NAME}{GAP}(?P<year>\d{{4}})",
    "name-year": rf"{NAME}[-'](?P<year>\d{{2}})",
    "year quarter": r"(?P<year>\d{4})[-/ ]?[QqTK](?P<quarter>[1-4])",
    "quarter year": r"[QqTK](?P<quarter>[1-4])[-/ ](?P<year>\d{4})",
    "year-week": r"(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    "yearmonthday": r"(?P<year>19\d\d|20\d\d)(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?",
    **durations.CLOCKS,
    **durations.PATTERNS,
}
"""How dates are written, by name; `clock` is a time of day, a duration may be longer."""
CLOCKS = (*durations.CLOCKS, *durations.PATTERNS)
WITHOUT_MARKS = r"^(?:19|20)\d{6}$"
"""The only dates that are plain numbers, too: 20260131."""
SECONDS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
"""Numbers that count from 1970, by name, and how many of them a second has."""
HEAD = 100
"""Cells by which patterns are ruled out."""
ORDERS = ("day/month/year", "month/day/year")


def may_be_dates(cells: Any) -> bool:
    """Return whether any of these cells may be a date of a pattern, at the price of a look."""
    return not are_plain(cells) or pc.any(pc.match_substring_regex(cells, WITHOUT_MARKS)).as_py() is True


def judge_head(cells: Any) -> dict[str, np.ndarray]:
    """Return which of the first cells are no dates of each pattern; all on every cell would take long."""
    return {name: parse_dates(cells[:HEAD], name)[1] for name in PATTERNS if len(cells)}


def find_patterns(cells: Any, head: Mapping[str, np.ndarray] | None = None) -> list[str]:
    """Return the names of the patterns that all of these cells (not empty) fit, with dates that exist.

    `head`: what `judge_head` returns of these cells, where it is known; here and below.
    """
    patterns = [
        name
        for name, mistaken in (head or judge_head(cells)).items()
        if not mistaken.any()
        and not parse_dates(cells, name)[1].any()
        and durations.are_durations(name, cells)
    ]
    clocks = [name for name in patterns if name in durations.CLOCKS]
    return [name for name in patterns if name not in clocks[1:]]


def measure_share(cells: Any, head: Mapping[str, np.ndarray] | None = None) -> tuple[float, str]:
    """Return the largest share of these cells that one pattern fits, and its name."""
    head = head or judge_head(cells)
    names = [name for name, wrong in head.items() if name not in durations.DOUBTFUL and wrong.mean() <= 0.5]
    shares = [(1 - float(parse_dates(cells, name)[1].mean()), name) for name in names]
    return max(shares, default=(0.0, ""))


def measure_share_of_any(cells: Any, head: Mapping[str, np.ndarray] | None = None) -> float:
    """Return the share of the first cells that are dates of one pattern or another; a time of day is none."""
    head = head or judge_head(cells)
    is_none = [mistaken for name, mistaken in head.items() if name not in CLOCKS]
    return 1 - float(np.logical_and.reduce(is_none).mean()) if is_none else 0.0


def parse_dates(cells: Any, pattern: str, missing: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds float64 [n], NaN for empty cells, and which cells are neither empty nor such a date.

    `pattern`: a name of `PATTERNS`, or a format of `strptime`; `missing`: words in small letters.
    """
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    empty = pc.fill_null(pc.equal(cells, ""), True)
    if missing:
        empty = pc.or_(
            empty, pc.fill_null(pc.is_in(pc.utf8_lower(cells), pa.array(missing, cells.type)), True)
        )
    seconds = (
        _parse_pattern(cells, PATTERNS[pattern]) if pattern in PATTERNS else _parse_format(cells, pattern)
    )
    empty = np.asarray(empty)
    return np.where(empty, np.nan, seconds), np.isnan(seconds) & ~empty


def _parse_format(cells: Any, form: str) -> np.ndarray:
    import pandas

    dates = pandas.to_datetime(cells.to_pandas(), format=form, errors="coerce", utc=True)
    seconds = dates.dt.as_unit("us").astype("int64").to_numpy() / 1e6
    return np.where(dates.isna().to_numpy(), np.nan, seconds)


def _parse_pattern(cells: Any, pattern: str) -> np.ndarray:
    """Return seconds float64 [n] since 1970, or since midnight; NaN where a cell is no such date."""
    cells = write_in_ascii(cells)
    groups = pc.extract_regex(cells, f"^{pattern}$")
    if groups.null_count == len(groups):  # most patterns fit no cell of a column
        return np.full(len(cells), np.nan)
    names = {field.name for field in groups.type}
    texts = {name: pc.struct_field(groups, name) for name in names}

    def number(name: str, default: float) -> np.ndarray:
        if name not in names:
            return np.full(len(cells), default)
        text = pc.if_else(
            pc.equal(texts[name], ""), str(default), pc.replace_substring(texts[name], ",", ".")
        )
        return np.asarray(pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False), np.float64)

    hour, minute, second = number("hour", 0), number("minute", 0), number("second", 0)
    if "half" in names:
        half = pc.utf8_lower(pc.fill_null(texts["half"], ""))
        is_half, is_afternoon = np.asarray(pc.not_equal(half, "")), np.asarray(pc.equal(half, "p"))
        hour = np.where(is_half, hour % 12 + 12 * is_afternoon, hour)
    with np.errstate(invalid="ignore"):
        days = _find_days(texts, number)
    exists = ~np.isnan(days) & (hour < 24) & (minute < 60) & (second < 61)
    seconds = days * DAY + hour * 3600 + minute * 60 + second
    for unit in durations.LENGTHS.keys() & names - ({"days"} if "back" in names else set()):
        seconds = seconds + number(unit, 0) * durations.LENGTHS[unit]
    if "minus" in names:
        seconds = seconds * _find_signs(texts["minus"])
    if "back" in names:
        seconds = seconds + number("days", 0) * DAY * _find_signs(texts["back"])
    if "zone" in names:
        seconds = seconds - _measure_zones(texts["zone"])
    has_digits = pc.fill_null(
        pc.match_substring_regex(cells, r"\d"), False
    )  # all parts of some may be absent
    exists &= np.asarray(pc.is_valid(groups)) & np.asarray(has_digits)
    return np.where(exists, seconds, np.nan)


def _find_signs(minus: Any) -> np.ndarray:
    return np.where(np.asarray(pc.not_equal(pc.fill_null(minus, ""), "")), -1.0, 1.0)


def _find_days(texts: dict[str, Any], number: Callable[[str, float], np.ndarray]) -> np.ndarray:
    """Return days float64 [n] since 1970, NaN for one that does not exist. `number`: a part, or a default."""
    year, day = number("year", 1970), number("day", 1)
    if "year" in texts:
        is_short = np.asarray(pc.fill_null(pc.equal(pc.utf8_length(texts["year"]), 2), False))
        year = np.where(is_short, year + np.where(year < 70, 2000, 1900), year)
    if "week" in texts:
        return _count_weeks(year, number("week", 1), number("weekday", 1))
    month = _number_months(texts["name"]) if "name" in texts else number("month", 1)
    if "quarter" in texts:
        month = 3 * number("quarter", 1) - 2
    days = count_days(year, month, day)
    exists = (month >= 1) & (month <= 12) & (day >= 1)
    # The first of the next month is not before this day.
    exists &= days < count_days(year + (month == 12), month % 12 + 1, np.ones_like(day))
    return np.where(exists, days, np.nan)


def _count_weeks(year: np.ndarray, week: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return the days since 1970 of dates by week: the first has January 4 in it, Monday is 1 (ISO 8601)."""

    def find_first(years: np.ndarray) -> np.ndarray:
        fourth = count_days(years, np.ones_like(years), np.full_like(years, 4))
        return np.asarray(fourth - (fourth + 3) % 7)  # 1970-01-01 was a Thursday

    monday = find_first(year) + 7 * (week - 1)
    exists = (week >= 1) & (monday < find_first(year + 1))
    return np.where(exists, monday + weekday - 1, np.nan)


def _number_months(names: Any) -> np.ndarray:
    lower = pc.utf8_lower(names)
    months = np.full(len(names), np.nan)
    for month, beginnings in enumerate(MONTHS, 1):
        is_month = pc.fill_null(pc.match_substring_regex(lower, f"^(?:{beginnings})"), False)
        months = np.where(np.asarray(is_month), month, months)
    return months


def _measure_zones(zones: Any) -> np.ndarray:
    """Return how many seconds the clock of each zone (Z, CET, +01:00, UTC+1) is before UTC."""
    words = pc.utf8_trim_whitespace(pc.fill_null(zones, ""))
    known = np.asarray(pc.fill_null(pc.index_in(words, pa.array(list(ZONES), words.type)), len(ZONES)))
    of_words = np.append(list(ZONES.values()), 0.0)[known] * 3600
    digits = pc.replace_substring_regex(words, r"\[.*|[^+\-\d]", "")
    value = np.asarray(pc.cast(pc.utf8_ltrim(pc.if_else(pc.equal(digits, ""), "0", digits), "+"), pa.int64()))
    value = np.where(np.asarray(pc.less(pc.utf8_length(digits), 4)), 100 * value, value)  # hours alone
    return np.asarray(of_words + np.sign(value) * (np.abs(value) // 100 * 3600 + np.abs(value) % 100 * 60))


def count_days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the days since 1970-01-01 in the Gregorian calendar, float64 [n] as years, months and days are.

    (Hinnant 2013, `days_from_civil`.)
    """
    year = year - (month <= 2)
    era = np.floor(year / 400)
    year_of_era = year - era * 400
    day_of_year = np.floor((153 * (month + np.where(month > 2, -3, 9)) + 2) / 5) + day - 1
    day_of_era = year_of_era * 365 + np.floor(year_of_era / 4) - np.floor(year_of_era / 100) + day_of_year
    return np.asarray(era * 146097 + day_of_era - 719468)
