"""What became of a user's data on its way to the network: what was read, left out and changed, and why."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from pipeline.errors import format_one_line
from pipeline.formatting import format_count


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found or done for one reason: `count` things ("file", "row", "column"), `example` the first.

    `text`: what, as in "left out: hidden"; it may be short of a verb, as it follows the count.
    """

    thing: str
    text: str
    count: int
    example: str = ""

    def __str__(self) -> str:
        example = f" ({format_one_line(self.example)})" if self.example else ""
        return f"{format_count(self.count, self.thing)} {self.text}{example}"


class Findings:
    """A collector of findings: what has the same thing and text is counted together."""

    def __init__(self, known: Iterable[Finding] = ()) -> None:
        """Begin with what is known."""
        self._counts = {(finding.thing, finding.text): (finding.count, finding.example) for finding in known}

    def add(self, thing: str, text: str, example: str = "", count: int = 1) -> None:
        """Count `count` more things of this kind; the first example is kept."""
        before, first = self._counts.get((thing, text), (0, example))
        if count:
            self._counts[thing, text] = (before + count, first)

    def to_tuple(self) -> tuple[Finding, ...]:
        """Return what was added so far, in the order of the first of each kind."""
        return tuple(Finding(*kind, count, example) for kind, (count, example) in self._counts.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReport:
    """What became of one column of a table. `taken_for`: number, category, date, or nothing (left out).

    `missing`: rows without a value; `distinct`: different values in the others; `examples`: the first of
    them; `note`: how they are written, and why the column is left out.
    """

    name: str
    taken_for: str
    missing: int
    distinct: int
    examples: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningReport:
    """What became of the data. `dropped`: rows by reason. `histogram`: split -> class -> rows.

    `unreadable`: the first files that could not be read and were left out; `findings`: what else was left out
    or changed; `bits`: of a sample of the finest image, of files.
    """

    rows_read: int
    rows_kept: dict[str, int]
    dropped: dict[str, int]
    constant_features: int
    smallest: float
    largest: float
    histogram: dict[str, dict[str, int]]
    unreadable: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    bits: int = 8


def decode_report(plain: dict[str, Any]) -> CleaningReport:
    """Decode a report that `dataclasses.asdict` encoded, also one of an earlier release.

    Raises:
        KeyError, TypeError: `plain` is no report.
    """
    findings = tuple(Finding(**finding) for finding in plain.get("findings", ()))
    return CleaningReport(**{**plain, "unreadable": tuple(plain.get("unreadable", ())), "findings": findings})


def describe_report(report: CleaningReport) -> Iterator[str]:
    """Yield a line for each thing that was left out or changed, for a person."""
    unreadable = report.unreadable[0] if report.unreadable else ""
    for reason, rows in report.dropped.items():
        if rows:
            yield str(Finding("row", f"left out: {reason}", rows, unreadable if "file" in reason else ""))
    yield from map(str, report.findings)


def encode_columns(columns: Sequence[ColumnReport]) -> str:
    """Encode the report of a table's columns as JSON."""
    return json.dumps([asdict(column) for column in columns], indent=2)


def decode_columns(text: str) -> tuple[ColumnReport, ...]:
    """Decode what `encode_columns` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is no such text.
    """
    return tuple(
        ColumnReport(**{**plain, "examples": tuple(plain["examples"])}) for plain in json.loads(text)
    )


def write_columns_csv(columns: Sequence[ColumnReport]) -> str:
    """Return the report of a table's columns as CSV, for a person."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(ColumnReport)])
    table.writeheader()
    table.writerows(asdict(column) | {"examples": ", ".join(column.examples)} for column in columns)
    return text.getvalue()
