"""A table: its file, what its columns are, how its cells are written, and how its rows are split."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.settings.data import Data, OnError, Task
from pipeline.settings.rules import require

WRITTEN_SEPARATORS = {"\\t": "\t", "tab": "\t", "space": " "}
"""Separators that are hard to type, by the words for them."""
AUTO = "auto"


class SplitBy(StrEnum):
    """How rows without official splits are split: by chance, or the newest for validation and test."""

    random = "random"
    time = "time"


@dataclass(slots=True, kw_only=True)
class Csv(Data):
    """A table: columns of numbers, dates and categories, or one column of texts (`text`).

    `label`: a name, or a position from 0 (-1: the last); numbers with `task=regression`. `columns`: null for
    all but the label; `categorical`: columns that are categories whatever is in them. `header`, `separator`,
    `quote`, `missing`, `decimal`, `thousands`, `dates`: null where they are to be found.
    """

    path: str
    label: str
    test_path: str | None
    validation: str | None
    text: str | None
    columns: list[str] | None
    drop: list[str] | None
    categorical: list[str] | None
    header: bool | None
    separator: str | None
    quote: str | None
    encoding: str
    missing: list[str] | None
    decimal: str | None
    thousands: str | None
    dates: str | None
    group: str | None
    split: SplitBy
    time: str | None
    on_error: OnError
    task: Task = Task.classification

    def __post_init__(self) -> None:
        Data.__post_init__(self)
        self._check_columns()
        for key, value in (
            ("separator", self.separator),
            ("quote", self.quote),
            ("thousands", self.thousands),
        ):
            allowed = value is None or len(WRITTEN_SEPARATORS.get(value, value)) == 1 or value == "none"
            require(allowed, f"data.{key}", "one character, or null (it is found)", value)
        self.separator = WRITTEN_SEPARATORS.get(self.separator or "", self.separator)
        require(self.separator != "none", "data.separator", "one character, or null (it is found)", "none")
        self.thousands = {"none": "", "space": " "}.get(self.thousands or "", self.thousands)
        require(
            self.decimal in (None, ".", ","), "data.decimal", ". or , or null (it is found)", self.decimal
        )
        require(
            self.decimal is None or self.decimal != self.thousands,
            "data.thousands",
            f"another character than data.decimal ({self.decimal})",
            self.thousands,
        )
        require(
            _is_encoding(self.encoding),
            "data.encoding",
            "auto, or one such as utf-8 or cp1252",
            self.encoding,
        )
        valid = self.dates is None or "%" in self.dates or self.dates in ("day/month/year", "month/day/year")
        rule = "day/month/year, month/day/year, a format such as %d.%m.%Y, or null (it is found)"
        require(valid, "data.dates", rule, self.dates)
        require(
            self.time is None or self.split is SplitBy.time, "data.split", "time with data.time", self.split
        )
        require(
            self.group is None or self.split is SplitBy.random,
            "data.split",
            "random with data.group",
            self.split,
        )

    def _check_columns(self) -> None:
        require(
            self.text is None or self.columns is None,
            "data.columns",
            "null with data.text (one column of texts)",
            self.columns,
        )
        for key in ("columns", "drop", "categorical"):
            names = getattr(self, key) or ()
            require(
                self.label not in names, f"data.{key}", f"columns without data.label ({self.label})", names
            )
        for key in ("text", "group", "time"):
            name = getattr(self, key)
            require(name is None or name != self.label, f"data.{key}", "another column than data.label", name)
        require(self.columns != [], "data.columns", "one column or more, or null (all but the label)", "none")


def _is_encoding(name: str) -> bool:
    try:
        return name == AUTO or "".encode(name) is not None
    except LookupError:
        return False


def is_table(data: Data) -> bool:
    """Return whether samples are rows of columns, and not texts in one of them."""
    return isinstance(data, Csv) and data.text is None
