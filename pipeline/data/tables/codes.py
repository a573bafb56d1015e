"""Columns whose cells look like numbers and name things: addresses, telephone numbers, identifiers."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.readers.quantities import EXACT
from pipeline.data.tables import dates

ADDRESS = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/\d{1,2}|:\d{1,5})?"
HARDWARE = r"(?i:[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2})"
VERSION = r"[vV]?\d{1,4}(?:\.\d{1,5}){2,4}(?:[-+.]?[a-z]{1,5}\.?\d*)?"
BOOK = r"97[89](?:[- ]?\d){10}"
ACCOUNT = r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?"
CARD = r"\d{4}(?:[ -]\d{4}){3}"
PHONE = (
    r"(?:\+|00)[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}"  # of any country
    r"|\(?0\d{1,5}\)?[ ./-](?:\d{2,8}[ ./-]?){1,5}"  # of one's own, as in Europe
    r"|(?:1[ .-])?\(?\d{3}\)?[ .-]?\d{3}[.-]\d{4}"  # as in North America
    r"|\(\d{2,4}\) ?\d{3,5}[ -]?\d{4}"
)
ADDITION = r"(?: ?(?:x|ext\.?) ?\d{1,6})?"
DIGITS = 7, 15
"""How many digits telephone numbers have (ITU-T E.164)."""
PHONE_NAME = re.compile(r"phone|mobile|fax|telefon|handy|movil|msisdn|(^|[^a-z])tel([^a-z]|$)", re.IGNORECASE)
VERSION_NAME = re.compile(r"(^|[^a-z])(versions?|release|firmware)([^a-z]|$)", re.IGNORECASE)
SHORT_VERSION = r"[vV]?\d{1,4}\.\d{1,5}"
LONG = 16
"""Digits that whole numbers beyond it have at least."""
ZONED = (
    r"(?P<clock>\d:\d{2}(?:[.,]\d+)?)\s*"
    r"\[?(?P<zone>[A-Z][A-Za-z_]+(?:/[\w+-]+)+|[A-Z]{2,5})\]?(?P<year>\s+\d{4})?$"
)
"""The end of a date with a word behind its clock, as `date` writes it before the year."""
LONG_NAMES = "numbers of 16 digits and more, which name things"
SURE = {"book numbers (ISBN)": BOOK}
"""What is no number although it may look like one of the same form in every row."""
CODES = SURE | {
    "IP addresses": ADDRESS,
    "addresses of hardware": HARDWARE,
    "version numbers": VERSION,
    "card numbers": CARD,
    "account numbers (IBAN)": ACCOUNT,
}


def find_code(name: str, cells: Any, is_number: bool) -> str:
    """Return what the cells of a column name, as in `IP addresses`; "" for nothing.

    `cells`: a pyarrow array, none empty; `is_number`: all of them can be read as numbers of one form, which
    then is what most of them are.
    """
    if not len(cells):
        return ""
    if _are_phones(name, cells, is_number):
        return "telephone numbers"
    if VERSION_NAME.search(name) and _are_short_versions(cells):
        return "version numbers"
    codes = SURE if is_number else CODES
    return next((what for what, pattern in codes.items() if _fits(cells, pattern)), "")


def are_long_names(cells: Any) -> bool:
    """Return whether whole numbers name things, and floating-point numbers cannot tell them apart.

    So it is where some are beyond 2^53, and all of them have that many digits, or two become one.
    """
    if not pc.any(pc.match_substring_regex(cells, rf"\d{{{LONG}}}")).as_py() or not _fits(cells, r"[+-]?\d+"):
        return False
    lengths = pc.utf8_length(pc.utf8_ltrim(cells, "+-"))
    rounded = np.asarray(pc.cast(cells, pa.float64()))
    if np.abs(rounded).max() <= EXACT:
        return False
    return pc.min(lengths).as_py() >= LONG or len(np.unique(rounded)) < len(cells)


def _fits(cells: Any, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(cells, f"^(?:{pattern})$")).as_py() is True


def _are_short_versions(cells: Any) -> bool:
    """Return whether 1.10 may come behind 1.9, as some have more digits behind the point than others."""
    if not _fits(cells, SHORT_VERSION):
        return False
    digits = pc.utf8_length(pc.replace_substring_regex(cells, r"^.*\.", ""))
    return len(pc.unique(digits)) > 1


def _are_phones(name: str, cells: Any, is_number: bool) -> bool:
    digits = pc.utf8_length(pc.replace_substring_regex(cells, r"(?:x|ext).*|[^0-9]", ""))
    low, high = pc.min(digits).as_py(), pc.max(digits).as_py()
    is_named = PHONE_NAME.search(name) is not None
    if not DIGITS[0] <= low <= high <= DIGITS[1]:
        return False
    if is_named and _fits(cells, rf"[+(]?\d[\d ()./-]+{ADDITION}"):
        return True
    # Signed amounts have fewer digits than a number with the code of its country.
    return _fits(cells, f"(?:{PHONE}){ADDITION}") and (
        not is_number or (low > 9 and _fits(cells, r"(?:\+|00).*"))
    )


def find_zone(cells: Any) -> str:
    """Return the word for a zone without which these cells are dates, as the first has it; "" for none."""
    first = cells[: dates.HEAD]
    without = pc.replace_substring_regex(first, ZONED, r"\1\3")
    if pc.any(pc.equal(without, first)).as_py() is not False or dates.measure_share_of_any(without) < 1:
        return ""
    return str(pc.struct_field(pc.extract_regex(first, ZONED), "zone")[0].as_py())
