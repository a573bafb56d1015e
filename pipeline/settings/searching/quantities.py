"""Amounts as a person writes them: 95%, 5ms, 2min, 0.5usd, 40trials."""

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

UNITS = {
    "us": 1e-6,
    "µs": 1e-6,
    "\u03bcs": 1e-6,  # with the Greek letter, as many keyboards write it
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "mins": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hrs": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
"""Seconds of each unit of time."""

TRIALS = ("trial", "trials")
CURRENCIES = {"$": "usd", "€": "eur", "£": "gbp"}
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""Hyphens, dashes and the minus sign that text programs make of `-`."""
_SIGNS = str.maketrans({**dict.fromkeys(DASHES, "-"), **dict.fromkeys("\u2018\u2019\u201c\u201d\"'")})
_DECIMAL_COMMA = re.compile(r"([-+]?)(0|[1-9]\d*),(\d+)(?![\d,])")
_UNIT = "|".join(sorted(filter(str.isascii, UNITS), key=len, reverse=True))
_PART = re.compile(rf"(\d+\.?\d*)\s*({_UNIT})(?![a-z])", re.IGNORECASE)
_COMPOUND = re.compile(rf"(?:{_PART.pattern}[\s,]*(?:and\s*)?){{2,}}", re.IGNORECASE)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)")
_AMOUNT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([^\d\s]*)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may spend: one of device-seconds, trials, and money in `currency`, such as usd."""

    seconds: float | None = None
    trials: int | None = None
    money: float | None = None
    currency: str = ""

    def count_seconds(self, per_hour: float | None) -> float | None:
        """Return the device-seconds, also of money at this price of an hour; None where it is neither."""
        return self.money / per_hour * 3600 if self.money is not None and per_hour else self.seconds


def read_share(text: str) -> float | None:
    """Read `95%` or `0.95` as a share; None where it is neither or lies outside 0..1."""
    number, unit = _split(text)
    share = number / 100 if unit == "%" else number
    return share if unit in ("", "%") and 0 <= share <= 1 else None


def read_seconds(text: str) -> float | None:
    """Read `5ms`, `2min` or `0.5` as seconds; None where it is none of them or not above 0."""
    number, unit = _split(text)
    seconds = number * UNITS.get(unit or "s", math.nan)
    return seconds if 0 < seconds < math.inf else None


def read_budget(text: str) -> Budget | None:
    """Read `2min`, `40trials` or `0.5usd` as a budget; None where it is none of them or not above 0.

    A number alone is none: it could be seconds as well as trials.
    """
    number, unit = _split(text)
    if not 0 < number < math.inf:
        return None
    if unit in TRIALS:
        return Budget(trials=int(number)) if number.is_integer() else None
    if unit.removeprefix("device-") in UNITS:
        return Budget(seconds=number * UNITS[unit.removeprefix("device-")])
    return Budget(money=number, currency=unit) if re.fullmatch("[a-z]{3}", unit) else None


def write_plainly(text: str) -> str:
    """Write an amount with the signs that are read here: `0,95` as `0.95`, `$0.5` as `0.5usd`.

    Dashes become hyphens. A comma before three digits stays: 1,000 may be a thousand.
    """
    plain = unicodedata.normalize("NFKC", text.replace("\u2026", "..")).translate(_SIGNS).strip()
    comma = _DECIMAL_COMMA.match(plain)
    if comma and (comma[2] == "0" or len(comma[3]) != 3):
        plain = f"{comma[1]}{comma[2]}.{comma[3]}{plain[comma.end() :]}"
    for sign, currency in CURRENCIES.items():
        if plain.startswith(sign) or plain.endswith(sign):
            return f"{plain.strip(sign).strip()}{currency}"
    return plain


def suggest_amount(key: str, text: str, read: Callable[[str], object | None]) -> str:
    """Return how an amount is typed here as a remedy, or nothing.

    `key`: what stands before it (`search.budget=`); `read`: what reads it, or gives None.
    """
    plain = write_amount(text)
    if read(plain) is not None:
        return f"; write {key}{plain}" if plain != text else ""
    units = [unit for unit in ("s", TRIALS[1]) if read(f"{plain}{unit}") is not None]
    return f"; write {' or '.join(f'{key}{plain}{unit}' for unit in units)}" if units else ""


def write_amount(text: str) -> str:
    """Write an amount as it is read here: as `write_plainly`, and `1h30m` or `1:30:00` as `90min`."""
    plain = write_plainly(text)
    seconds = 0.0
    if compound := _COMPOUND.fullmatch(plain):
        seconds = sum(float(number) * UNITS[unit.lower()] for number, unit in _PART.findall(compound[0]))
    elif clock := _CLOCK.fullmatch(plain):
        seconds = 3600.0 * int(clock[1]) + 60 * int(clock[2]) + int(clock[3])
    return plain if not seconds else f"{seconds / 60:g}min" if seconds % 60 == 0 else f"{seconds:g}s"


def _split(text: str) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(text)
    return (float(match[1]), match[2].lower()) if match else (math.nan, "")
