"""A cell that has a type, as text from which it can be read back exactly."""

from datetime import date, datetime, time

from pipeline.data.readers.quantities import EXACT


def write_cell(cell: object) -> str | None:
    """Return a cell as text, dates as in ISO 8601; None for one that is empty."""
    match cell:
        case None:
            return None
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer() and abs(cell) < EXACT:
            return str(int(cell))
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)
