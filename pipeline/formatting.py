"""Numbers, times, settings and names as a person reads them."""

import html
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Integral

MAX_LETTERS = 14  # letters of a class name
MAX_TYPED = 5  # letters of a number that a person types: 0.125
ROUNDING = 1e-12  # of a mean of ones
PLAIN_WORD = re.compile(r"[A-Za-z_]\w*|-?[1-9]\d*|0", re.ASCII)
VALUE_WORDS = frozenset({"true", "false", "null", "nan", "inf"})
"""Words that a command line takes for values of another kind."""


def format_percent(share: float) -> str:
    """Format a share 0..1 in percent with one decimal; 0% and 100% appear only where they are exact."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def format_roughly(share: float) -> str:
    """Format a share in whole percent; 0% and 100% appear only where they are exact."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def format_score(share: float) -> str:
    """Format a share 0..1 in percent with two decimals; all and nothing appear only where they are exact."""
    if 0 < share < 0.00005:
        return "<0.01%"
    return ">99.99%" if 0.99995 <= share < 1 - ROUNDING else f"{share:.2%}"


def format_number(value: float, digits: int = 3) -> str:
    """Format with `digits` significant digits, or with all digits before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def format_figure(value: float) -> str:
    """Format a measured figure with four decimals; with more digits what is small, or nearly but not 1."""
    if 0 < abs(value) < 0.01:
        return f"{value:.3g}"
    if 0.99995 <= value < 1 - ROUNDING:
        return f"{value:.6g}" if value < 0.9999995 else ">0.9999"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4f}"


def tell_apart(value: float, rival: float) -> str:
    """Format a number with the digits that tell it from another one, three at least: `0.5041` by 0.504."""
    for digits in range(3, 17):
        if f"{value:.{digits}g}" != f"{rival:.{digits}g}":
            return f"{value:.{digits}g}"
    return f"{value:.3g}"


def format_count(number: float, thing: str) -> str:
    """Format a count with its thing, which is singular for one: `1 trial`, `2,000 classes`, `0 studies`."""
    is_whole = isinstance(number, Integral) or abs(number) >= 1e5
    text = f"{number:,.0f}" if is_whole else f"{number:,.6g}"
    return f"{text} {thing if text == '1' else pluralise(thing)}"


def pluralise(thing: str) -> str:
    """Return the plural of a noun as English makes it by rule: trials, classes, studies."""
    if thing.endswith(("s", "x", "sh", "tch", "nch", "rch")):  # not an epoch
        return f"{thing}es"
    if thing.endswith("y") and not thing.endswith(("ay", "ey", "oy")):
        return f"{thing[:-1]}ies"
    return f"{thing}s"


def format_device_seconds(seconds: float) -> str:
    """Format a cost with its unit, as `format_number` does: `1 device-second`, `2.5 device-seconds`."""
    text = format_number(seconds)
    return f"{text} {'device-second' if text == '1' else 'device-seconds'}"


def format_params(params: Mapping[str, object]) -> str:
    """Format params as `hidden=32 optimizer=sgd`: the last name of each key where that is unique."""
    names = shorten_keys(params)
    return " ".join(f"{names[key]}={format_setting(value)}" for key, value in params.items())


def shorten_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the last name of each key where that is unique among them, else the key itself."""
    names = {key: key.rpartition(".")[2] for key in keys}
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else key for key, name in names.items()}


def format_setting(value: object) -> str:
    """Format a value as it was typed, or drawn from a range with two digits; the command has them all."""
    if value is None:
        return "null"
    if not isinstance(value, float):
        return str(value)
    text = f"{value:g}"
    if len(text) <= MAX_TYPED:
        return text
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.2g}"


def format_duration(seconds: float) -> str:
    """Format a duration with two or three digits, in a unit that fits, up to minutes."""
    if seconds >= 600:
        return f"{seconds / 60:.0f} min"
    if seconds >= 10:
        return f"{seconds:.0f} s"
    if seconds >= 0.1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.1f} ms" if seconds >= 0.001 else f"{1e6 * seconds:.0f} µs"


def format_seconds(seconds: float) -> str:
    """Format measured seconds with three digits, so that two of them can be compared: s, ms or µs."""
    if seconds >= 1:
        return f"{format_number(seconds)} s"
    return f"{format_number(1e3 * seconds)} ms" if seconds >= 1e-3 else f"{format_number(1e6 * seconds)} µs"


def shorten(name: str, limit: int = MAX_LETTERS) -> str:
    """Cut a name to `limit` letters; what is cut ends with an ellipsis."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def format_code(text: str) -> str:
    """Return a text as code in Markdown, between more backticks than it has in a row (CommonMark 6.1)."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[:1], text[-1:]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def escape_markdown(text: str) -> str:
    """Escape what Markdown, a table in it, or HTML would read as something else than text."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))


def format_list(key: str, word: str) -> str:
    """Write `key=[word]` so that a shell and the reader of a command line take the word as it is."""
    if PLAIN_WORD.fullmatch(word) and word.lower() not in VALUE_WORDS:
        return f"{key}=[{word}]"
    escaped = word.replace('"', '\\"')
    return shlex.quote(f'{key}=["{escaped}"]')
