"""Which format the numbers of a column have where several fit: the other columns of its file decide."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.data.tables.column_types import NumberFormat
from pipeline.errors import BadData


def find_marks(formats: Iterable[Sequence[NumberFormat]]) -> set[str]:
    """Return the decimal marks of the columns that have one only. `formats`: those that each column fits."""
    return {form.decimal for forms in formats if (form := find_sure_format(forms))}


def find_sure_format(forms: Sequence[NumberFormat]) -> NumberFormat | None:
    """Return the first format where all have one decimal mark, which the cells show."""
    return forms[0] if forms and len({form.decimal for form in forms}) == 1 else None


def choose_format(
    forms: Sequence[NumberFormat], marks: set[str], separator: str, name: str, path: Path, example: str
) -> NumberFormat:
    """Choose one of the formats that the column `name` fits; none for no numbers.

    `marks`: as of `find_marks`, for all columns of the file; `separator`: between its cells.

    Raises:
        BadData: 1,234 may be either way, and no other column tells.
    """
    if not forms:
        return NumberFormat()
    plain = {form.decimal for form in forms if not form.thousands}
    if find_sure_format(forms) or len(plain) != 1:  # without any mark both decimal marks fit
        return forms[0]
    (mark,) = plain  # 1.234 or 1,234: a fraction, or a thousand and more
    grouped = next(form for form in forms if form.decimal != mark)
    fraction = next(form for form in forms if form.decimal == mark and not form.thousands)
    if marks == {mark}:
        return fraction
    if marks or (mark == "," and separator == ","):
        return grouped
    if mark == "." and separator != ";":
        return fraction
    raise BadData(  # where ; separates, the comma mostly is in numbers, and the point between thousands
        f"column {name} of {path} may hold fractions or thousands, as in {example}; "
        f"set data.decimal='{mark}' or data.thousands='{mark}'"
    )
