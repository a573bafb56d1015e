"""The value that was meant: numbers, switches, names, several values and ranges as other tools write them."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.settings.searching.quantities import read_budget, read_seconds, write_amount, write_plainly

AMOUNTS = ("search.budget", "search.patience")
"""Settings whose text is an amount with its unit."""

SECONDS = ("search.timeout", "search.trial_timeout", "search.budget_device_seconds")
"""Settings whose number is one of seconds."""

MINUTES = ("diagnose.minutes",)
"""The same, of minutes."""

WORDS = ("search.space", "search.enqueue")
"""Settings whose list is one of words of a command line, with commas of their own, so each in quotes."""

SIDES = ("data.size",)
"""Settings whose list is height and width; one number is both, as of a square."""

MOST_VALUES = 12
"""Values of `linspace` that are written out; more of them are a range."""
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_IS_NUMBER = re.compile(_NUMBER, re.IGNORECASE)
_SHARE = re.compile(rf"({_NUMBER})\s*%", re.IGNORECASE)
_THOUSANDS = re.compile(rf"({_NUMBER})\s*([kKmM])")
_POWER = re.compile(rf"({_NUMBER})\s*(?:\^|\*\*)\s*\(?({_NUMBER})\)?", re.IGNORECASE)
_TIMES = re.compile(r"(?<=\d)\s*[xX×*]\s*(?=\d)")
_FRACTION = re.compile(rf"({_NUMBER})\s*/\s*({_NUMBER})", re.IGNORECASE)
_RANGE = re.compile(
    rf"(?:between|from)?\s*({_NUMBER})\s*(?:\.\.\.?|:|-|to|and|~|->|<)\s*({_NUMBER})", re.IGNORECASE
)
_KEY = re.compile(r"(?:^|(?<=[\s,{\[\"']))(\w+(?:\.\w+)*)[\"']?\s*[:=]\s*")
_TYPED = re.compile(rf"({_NUMBER})[fFdlL]", re.IGNORECASE)
_STEPS = re.compile(rf"({_NUMBER}):({_NUMBER}):({_NUMBER})", re.IGNORECASE)
_CALL = re.compile(r"(?:\w+\.)*(\w+)\((.*)\)", re.DOTALL)
_LOG = {"log", "loguniform", "loginterval", "logfloat", "loguniformvalues", "reciprocal", "qloguniform"} | {
    "lograndint",
    "geomspace",
    "logint",
}
_LINEAR = {"uniform", "range", "between", "interval", "float", "real", "quniform", "suggestfloat"} | {
    "suggestuniform",
    "floatdistribution",
}
_WHOLE = {"randint", "int", "integer", "suggestint", "intuniform", "quniformint", "intdistribution"}
_CHOICES = {"choice", "choices", "categorical", "gridsearch", "suggestcategorical", "values", "oneof"} | {
    "categoricaldistribution",
    "sample",
}
_YES, _NO = ("true", "yes", "on", "1", "y", "t", "enable", "enabled"), ("false", "no", "off", "0", "n", "f")


@dataclass(frozen=True, slots=True)
class Meant:
    """A value as it is typed here; `is_search`: it is several values or a range, which `sweep` takes."""

    text: str
    is_search: bool = False


def find_meant(key: str, text: str, rule: str) -> Meant | None:
    """Return the value that `text` means for a setting with this rule (see `schema`); None: nobody knows.

    A value that is right as it is comes back as it is.
    """
    # Only `0,5` is surely a number: others are two values.
    parts = [text] if rule.startswith("a number") and text.startswith("0,") else text.split(",")
    value = ",".join(map(write_plainly, parts)).strip(" =>:~;,") or text
    if key in AMOUNTS:
        amount = write_amount(text).replace(" ", "")
        return Meant(amount) if read_budget(amount) is not None else None
    if key in WORDS:
        return _mend_words(text, together=key == "search.enqueue")
    if rule.startswith("a list, each "):
        return _mend_list(key, text, rule)
    if rule.startswith("names with values"):
        return _mend_names(value)
    if key in SECONDS + MINUTES and not _IS_NUMBER.fullmatch(value):
        seconds = read_seconds(write_amount(text))
        return Meant(f"{seconds / (60 if key in MINUTES else 1):g}") if seconds is not None else None
    mend = _MENDERS.get(rule.removesuffix(" or null"))
    if mend is None:
        return Meant(text) if rule.startswith("text") else None
    if (mended := mend(value)) is not None:
        return Meant(mended)
    return _find_search(value, mend, is_whole=rule.startswith("a whole number"))


def is_yes(text: str) -> bool | None:
    """Return whether the text switches on; None where it is neither yes nor no."""
    small = text.strip().lower()
    return True if small in _YES else False if small in _NO else None


def _find_search(value: str, mend: Callable[[str], str | None], is_whole: bool) -> Meant | None:
    """Return several values or a range, None where the text is neither."""
    if meant := _find_range(value, is_whole):
        return meant
    call = _CALL.fullmatch(value)
    if call and _plain_name(call[1]) not in _CHOICES:
        return None
    words = split_values(call[2] if call else value)
    values = [mended for word in words if (mended := mend(word)) is not None]
    if not words or len(values) < len(words):
        return None
    return Meant(",".join(dict.fromkeys(values)), is_search=len(set(values)) > 1)


def split_values(text: str) -> list[str]:
    """Split `[a, b]`, `(a,b)`, `a|b`, `a;b`, `{a,b}` or `a/b` into its values."""
    if match := re.search(r"[\[(]([^\[\]()]*)[\])]\)?$", text):  # the values of hp.choice("name", [a, b])
        text = match[1]
    inner = re.sub(r"[\[\](){}\"']", "", text)
    return [word for word in re.split(r"\s*[,|;/]\s*|\s+", inner.strip()) if word]


def _find_range(value: str, is_whole: bool) -> Meant | None:
    if match := _STEPS.fullmatch(value):
        low, high, step = map(read_number, match.groups())
        return _write_steps(low, high, step)
    if match := _RANGE.fullmatch(value):
        return _write_interval(match.groups(), is_whole, is_log=False)
    if not (call := _CALL.fullmatch(value)):
        return None
    name = _plain_name(call[1])
    words = [
        word for word in split_values(re.sub(r"\b\w+\s*=\s*", "", call[2])) if _IS_NUMBER.fullmatch(word)
    ]
    if len(words) < 2:
        return None
    is_log = name in _LOG or bool(re.search(r"log\s*=\s*true", call[2], re.IGNORECASE))
    if name == "logspace":
        return _write_interval(
            [f"{10 ** read_number(word):.6g}" for word in words[:2]], is_whole, is_log=True
        )
    if name == "linspace":
        return _write_linspace(words, is_whole)
    is_known = name in _LOG | _LINEAR | _WHOLE
    return _write_interval(words[:2], is_whole or name in _WHOLE, is_log) if is_known else None


def _plain_name(name: str) -> str:
    return name.lower().replace("_", "")


def _write_interval(ends: Sequence[str], is_whole: bool, is_log: bool) -> Meant | None:
    low, high = map(read_number, ends)
    if not low < high or (is_log and low <= 0):
        return None
    words = list(ends)
    if is_whole:
        ends_whole = low.is_integer() and high.is_integer()
        words = [f"{low:.0f}", f"{high:.0f}"] if ends_whole else words
    interval = f"interval({','.join(words)})"
    if is_whole:  # Hydra reads the ends as numbers with a fraction
        interval = f"int({interval})"
    return Meant(f"tag(log,{interval})" if is_log else interval, is_search=True)


def _write_steps(low: float, high: float, step: float) -> Meant | None:
    """Write `16:64:16`, whose end counts for most people."""
    if not (step > 0 and low + step <= high):
        return None
    return Meant(f"range({low:g},{high + step / 2 if step % 1 else high + 1:g},{step:g})", is_search=True)


def _write_linspace(words: Sequence[str], is_whole: bool) -> Meant | None:
    low, high, *rest = map(read_number, words)
    count = int(rest[0]) if rest else 0
    if not 2 <= count <= MOST_VALUES:
        return _write_interval(words[:2], is_whole, is_log=False)
    values = [low + (high - low) * number / (count - 1) for number in range(count)]
    written = [f"{round(value) if is_whole else value:.6g}" for value in values]
    return Meant(",".join(dict.fromkeys(written)), is_search=True)


def read_number(text: str) -> float:
    """Read a number as people write it: `1e3`, `1k`, `2^6`, `1/1000`, `50%`; NaN where it is none."""
    text = text.strip()
    try:
        if _IS_NUMBER.fullmatch(text):
            return float(text)
        if match := _TYPED.fullmatch(text):
            return float(match[1])
        if match := _SHARE.fullmatch(text):
            return float(match[1]) / 100
        if match := _THOUSANDS.fullmatch(text):
            return float(match[1]) * (1000 if match[2].lower() == "k" else 1e6)
        if match := _POWER.fullmatch(text):
            return float(float(match[1]) ** float(match[2]))
        if match := _FRACTION.fullmatch(text):
            return float(match[1]) / float(match[2])
    except (ArithmeticError, ValueError, TypeError):  # a power of a negative number is complex
        pass
    return math.nan


def _mend_whole(text: str) -> str | None:
    number = read_number(text)
    is_part = "%" in text or re.match(r"0\d", text)  # `000` is the end of 1,000
    return f"{number:.0f}" if number.is_integer() and not is_part else None


def _mend_number(text: str) -> str | None:
    if _IS_NUMBER.fullmatch(text):
        return text
    number = read_number(text)
    return f"{number:.6g}" if math.isfinite(number) else None


def _mend_switch(text: str) -> str | None:
    is_on = is_yes(text)
    return None if is_on is None else str(is_on).lower()


def _mend_list(key: str, text: str, rule: str) -> Meant | None:
    values: Sequence[str | None] = split_values(_TIMES.sub(",", text) if key in SIDES else text)
    if rule.startswith("a list, each a whole number"):
        values = list(map(_mend_whole, filter(None, values)))
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return Meant(f"[{','.join(2 * known if key in SIDES and len(known) == 1 else known)}]")


def _mend_words(text: str, *, together: bool) -> Meant | None:
    """Put words, or a mapping of keys to values, in quotes: each, or all `together` as one command line."""
    _, *parts = _KEY.split(text)
    values = [re.sub(r"[\[\]{}\"']", "", part).strip(" ,") for part in parts[1::2]]
    if not values or "" in values or ("(" in text and not all("." in key for key in parts[::2])):
        return None
    words = [f"{key}={value}" for key, value in zip(parts[::2], values, strict=True)]
    return Meant("[" + ",".join(f'"{word}"' for word in ([" ".join(words)] if together else words)) + "]")


def _mend_names(text: str) -> Meant:
    pairs = [re.split(r"[:=]", word, maxsplit=1) for word in re.sub(r"[{}\[\]\s]", "", text).split(",")]
    return Meant(
        "{" + ",".join(f"{pair[0]}:{pair[1]}" if pair[1:] else f"tag:{pair[0]}" for pair in pairs) + "}"
    )


_MENDERS: dict[str, Callable[[str], str | None]] = {
    "a whole number": _mend_whole,
    "a number": _mend_number,
    "true or false": _mend_switch,
}
