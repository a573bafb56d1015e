"""Numbers and names as a person reads them."""

import html
import re

MAX_LETTERS = 14  # letters of a class name


def format_percent(share: float) -> str:
    """Format a share 0..1 in percent with one decimal; 0% and 100% appear only where they are exact."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def format_number(value: float) -> str:
    """Format with three significant digits, or with all digits before the decimal point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def shorten(name: str, limit: int = MAX_LETTERS) -> str:
    """Cut a name to `limit` letters; what is cut ends with an ellipsis."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def escape_markdown(text: str) -> str:
    """Escape what Markdown, a table in it, or HTML would read as something else than text."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(text, quote=False))
