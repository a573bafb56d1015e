"""Times of day and durations as people write them: 6 PM, 14:05 Uhr, 27:05:00, 1h 5m; read as seconds."""

from typing import Any

import pyarrow.compute as pc

from pipeline.data.tables.numbers import find_affixes, match_numbers

DAY = 86400.0
YEAR = 365.2425 * DAY
CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?"
)
CLOCKS = {
    "clock": CLOCK,
    "clock in words": r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?\s*[Uu]hr",
    "clock with h": r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*[Hh](?:rs?|s)?\.?",
    "clock of 12 hours": r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s*(?P<half>[AaPp])\.?\s?[Mm]\.?",
}
"""Times of day, by name; where several fit, the first counts."""
AMOUNT = r"\d+(?:[.,]\d+)?"
UNITS = {
    "weeks": "w|wks?|weeks?|wochen?",
    "days": "d|days?|tage?n?|jours?|dias?|días?|дн?|天|日",
    "long": "h|hrs?|hours?|std|stunden?|heures?|horas?|ore|час(?:а|ов)?|ч|小时|小時|時間|시간",
    "minutes": "m|mins?|minutes?|minuten?|minutos?|minuti|мин|分钟|分鐘|分|분",
    "seconds": "s|secs?|seconds?|sek|sekunden?|secondes?|segundos?|secondi|сек|с|秒钟|秒|초",
    "milliseconds": "ms|msecs?|milliseconds?",
}
"""How the parts of a duration are called, in small letters."""
IN_UNITS = "duration in units"
WITH_H = "duration h minutes"
DOUBTFUL = (IN_UNITS, WITH_H)
"""Patterns that may be numbers with a unit."""
PATTERNS = {
    "duration": r"(?:(?P<back>[-−])?(?P<days>\d+) days?,? \+?)?(?P<minus>[-−])?"
    r"(?P<long>\d+):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?",
    "minutes:seconds": r"(?P<minus>[-−])?(?P<minutes>\d+):(?P<second>\d{2}[.,]\d+)",
    IN_UNITS: r"(?P<minus>[-−])?\s*"
    + "".join(
        rf"(?:(?P<{unit}>{AMOUNT})\s*(?i:{words})\.?(?:,?\s*(?:and|und|et|y)?\s+|,)?)?"
        for unit, words in UNITS.items()
    ),
    WITH_H: r"(?P<minus>[-−])?(?P<long>\d+)\s?[hHuU](?:\s?(?P<minute>\d{2}))?",
    "duration of ISO 8601": rf"(?P<minus>[-−])?P(?:(?P<years>{AMOUNT})Y)?(?:(?P<months>{AMOUNT})M)?"
    rf"(?:(?P<weeks>{AMOUNT})W)?(?:(?P<days>{AMOUNT})D)?"
    rf"(?:T(?:(?P<long>{AMOUNT})H)?(?:(?P<minutes>{AMOUNT})M)?(?:(?P<seconds>{AMOUNT})S)?)?",
}
"""By name, as those of dates. `back`: the sign of the days alone, as Python, pandas and PostgreSQL write it:
-1 day, 23:00:00 is an hour before."""
LENGTHS = {
    "years": YEAR,
    "months": YEAR / 12,
    "weeks": 7 * DAY,
    "days": DAY,
    "long": 3600.0,
    "minutes": 60.0,
    "seconds": 1.0,
    "milliseconds": 1e-3,
}
"""Seconds of each part; of years and months the mean of the Gregorian calendar."""
TWO_PARTS = r"\d\s*[^\d\s.,:;]+[.,]?\s*(?:and|und|et|y)?\s*\d"

BARE_M = r"(?i)\d\s*m\b"
LONGER = rf"(?i)\d\s*(?:{UNITS['weeks']}|{UNITS['days']})"
SHORTER = rf"(?i)\d\s*(?:{UNITS['long']}|{UNITS['seconds']}|mi)"
HOURS_AND_MINUTES = r"\d\s?[hHuU]\s?\d"


def are_durations(name: str, cells: Any) -> bool:
    """Return whether cells that fit the pattern of this name are durations.

    5 m may be metres and 5 h a number in a unit of its own; 6m beside 2w and 5d are months or minutes.
    """
    if name == WITH_H:
        return _has(cells, HOURS_AND_MINUTES)
    if name != IN_UNITS:
        return True
    if _has(cells, BARE_M) and _has(cells, LONGER) and not _has(cells, SHORTER):
        return False
    if _has(cells, TWO_PARTS):
        return True
    return pc.all(match_numbers(cells)).as_py() is True and len(find_affixes(cells)) > 1


def _has(cells: Any, pattern: str) -> bool:
    return pc.any(pc.match_substring_regex(cells, pattern)).as_py() is True
