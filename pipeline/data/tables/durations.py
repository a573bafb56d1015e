"""Durations as people write them: 27:05:00, 1h 5m, PT1H5M; read as seconds."""

from typing import Any

import pyarrow.compute as pc

from pipeline.data.tables.numbers import find_affixes, match_numbers

DAY = 86400.0
YEAR = 365.2425 * DAY
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
PATTERNS = {
    "duration": r"(?P<minus>[-−])?(?:(?P<days>\d+) days?,? \+?)?(?P<long>\d+):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2}(?:[.,]\d+)?))?",
    "minutes:seconds": r"(?P<minus>[-−])?(?P<minutes>\d+):(?P<second>\d{2}[.,]\d+)",
    IN_UNITS: r"(?P<minus>[-−])?\s*"
    + "".join(
        rf"(?:(?P<{unit}>{AMOUNT})\s*(?i:{words})\.?(?:,?\s*(?:and|und|et|y)?\s+|,)?)?"
        for unit, words in UNITS.items()
    ),
    "duration of ISO 8601": rf"(?P<minus>[-−])?P(?:(?P<years>{AMOUNT})Y)?(?:(?P<months>{AMOUNT})M)?"
    rf"(?:(?P<weeks>{AMOUNT})W)?(?:(?P<days>{AMOUNT})D)?"
    rf"(?:T(?:(?P<long>{AMOUNT})H)?(?:(?P<minutes>{AMOUNT})M)?(?:(?P<seconds>{AMOUNT})S)?)?",
}
"""By name, as those of dates."""
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


def have_several_units(cells: Any) -> bool:
    """Return whether cells that fit `IN_UNITS` have two parts, or not all one unit: 5 m may be metres."""
    if pc.any(pc.match_substring_regex(cells, TWO_PARTS)).as_py():
        return True
    return pc.all(match_numbers(cells)).as_py() is True and len(find_affixes(cells)) > 1
