"""What a column is taken for: all that is needed to read cells of it again, in another file or a request."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What the cells of a column are."""

    number = "number"
    category = "category"
    date = "date"
    text = "text"


WORDS = (Kind.category, Kind.text)
"""Kinds whose cells stay text until the network's own layers read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """How the numbers of a column are written; `prefix` and `suffix`: a currency, %, a unit."""

    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""

    def __str__(self) -> str:
        pieces = [
            f"with decimal {self.decimal}" if self.decimal != "." else "",
            f"with thousands '{self.thousands}'" if self.thousands else "",
            f"in {self.prefix or self.suffix}" if self.prefix or self.suffix else "",
        ]
        return " and ".join(filter(None, pieces))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """A column that is read. `missing`: words in small letters that count as an empty cell.

    `date`: the name of a pattern (see `dates`), or a format of `strptime`; "" for what is no date. Times
    of day are numbers: seconds since midnight.
    """

    name: str
    kind: Kind
    missing: tuple[str, ...] = ()
    number: NumberFormat = NumberFormat()
    date: str = ""


def encode_column_type(column: ColumnType) -> dict[str, Any]:
    """Encode a column's type as a dict for JSON, without a copy of its words, which are many."""
    plain = {field.name: getattr(column, field.name) for field in fields(column)}
    return {**plain, "number": asdict(column.number)}


def decode_column_type(plain: dict[str, Any]) -> ColumnType:
    """Decode what `encode_column_type` made of a column's type, also after JSON.

    Raises:
        KeyError, TypeError, ValueError: `plain` is no such thing.
    """
    number = NumberFormat(**plain["number"])
    return ColumnType(
        **{**plain, "kind": Kind(plain["kind"]), "missing": tuple(plain["missing"]), "number": number}
    )
