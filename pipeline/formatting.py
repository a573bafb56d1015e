"""Numbers and names as a person reads them."""

LONGEST = 14  # letters of a class name


def percent(share: float) -> str:
    """One digit after the point, but never a 0 or 100 % that is not exactly that."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cut(name: str, longest: int = LONGEST) -> str:
    """The name, or its beginning and an ellipsis."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
