"""The report on the quality of prepared data: plain values, their JSON, and a few lines for a person."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.data.quality.drift import ColumnDrift, describe_drift
from pipeline.data.quality.label_errors import LabelSuspects, Suspect
from pipeline.formatting import format_count, format_percent, shorten

TWINS, DRIFT, LEAKS, LABELS = "near duplicates across splits", "drift", "leaks", "wrong labels"
"""What is looked for, by the names that a person reads."""
MOST_EXAMPLES = 20
RARE = 10
"""Training rows of the largest class for one of the smallest, from which a person is told."""


@dataclass(frozen=True, slots=True)
class TwinExample:
    """A row of a split and the training row that it resembles, by their places in the user's data."""

    location: str
    train_location: str
    similarity: float
    same_label: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTwins:
    """Rows of one split that a training row resembles: `count` of `rows`, compared with `train_rows`.

    `by_chance`: as many would be found in rows of numbers that have nothing to do with each other;
    `other_labels`: those of another class than the row that they resemble.
    """

    split: str
    rows: int
    train_rows: int
    count: int
    by_chance: float
    other_labels: int
    rule: str
    examples: tuple[TwinExample, ...] = ()

    @property
    def is_telling(self) -> bool:
        """Return whether they are more than chance explains."""
        return self.count > 3 * self.by_chance


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitDrift:
    """Columns and labels of one split of `rows` rows, compared with those of the training split."""

    split: str
    rows: int
    columns: tuple[ColumnDrift, ...]
    labels: ColumnDrift


@dataclass(frozen=True, slots=True)
class TellingColumn:
    """A column from which alone the class of this share of the validation rows follows, in 0..1."""

    name: str
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What was found in prepared data. `rows`: how many of each split were looked at.

    `smallest`, `largest`: name and training rows of the smallest and of the largest class, None where labels
    are quantities; `left_out`: what was not looked at, and why; `not_asked`: what nobody looked for, and why.
    """

    rows: dict[str, int]
    smallest: tuple[str, int] | None
    largest: tuple[str, int] | None
    twins: tuple[SplitTwins, ...]
    drift: tuple[SplitDrift, ...]
    telling: tuple[TellingColumn, ...]
    suspects: LabelSuspects | None
    left_out: tuple[str, ...] = ()
    not_asked: dict[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> list[str]:
        """Return the names of what was looked for."""
        return [name for name in (TWINS, DRIFT, LEAKS, LABELS) if name not in self.not_asked]


def encode_quality(report: QualityReport) -> str:
    """Encode a report as JSON."""
    return json.dumps(asdict(report), indent=2)


def decode_quality(text: str) -> QualityReport:
    """Decode what `encode_quality` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is no such text.
    """
    plain: dict[str, Any] = json.loads(text)
    twins = tuple(
        SplitTwins(**{**entry, "examples": tuple(TwinExample(**example) for example in entry["examples"])})
        for entry in plain["twins"]
    )
    drift = tuple(
        SplitDrift(
            split=entry["split"],
            rows=entry["rows"],
            columns=tuple(ColumnDrift(**column) for column in entry["columns"]),
            labels=ColumnDrift(**entry["labels"]),
        )
        for entry in plain["drift"]
    )
    suspects = plain["suspects"]
    if suspects is not None:
        named = tuple(Suspect(**suspect) for suspect in suspects["suspects"])
        suspects = LabelSuspects(**{**suspects, "suspects": named})
    smallest, largest = ((name := plain[key]) and (name[0], name[1]) for key in ("smallest", "largest"))
    return QualityReport(
        rows=plain["rows"],
        smallest=smallest,
        largest=largest,
        twins=twins,
        drift=drift,
        telling=tuple(TellingColumn(**column) for column in plain["telling"]),
        suspects=suspects,
        left_out=tuple(plain["left_out"]),
        not_asked=dict(plain["not_asked"]),
    )


def describe_quality(report: QualityReport) -> Iterator[str]:
    """Yield a line for each thing that a person should look at before training."""
    for twins in report.twins:
        if twins.is_telling:
            yield _describe_twins(twins)
    if report.smallest and report.largest and report.largest[1] >= RARE * report.smallest[1]:
        (small, few), (large, many) = report.smallest, report.largest
        yield (
            f"classes of very different size: {format_count(few, 'training row')} of {shorten(small, 30)}, "
            f"{many:,} of {shorten(large, 30)} (with loss.class_weights=balanced each counts alike)"
        )
    for drift in report.drift:
        if text := describe_drift(drift.columns):
            yield f"the {drift.split} split is unlike the training split in {text}"
        if drift.labels.is_unlike:
            yield f"the {drift.split} split is unlike the training split in its {drift.labels}"
    for column in report.telling[:3]:
        yield (
            f"column {shorten(column.name, 40)} alone tells the class of {format_percent(column.accuracy)} "
            "of the validation rows; if it is not known beforehand: data.drop=[...]"
        )
    if report.suspects and report.suspects.is_telling:
        yield str(report.suspects)


def _describe_twins(twins: SplitTwins) -> str:
    example = twins.examples[0]
    labels = f", {twins.other_labels:,} of them with another label" if twins.other_labels else ""
    kind, alone = f"{twins.split} row", "repeats" if twins.count == 1 else "repeat"
    rows = (
        f"{twins.count:,} of {format_count(twins.rows, kind)}"
        if twins.rows
        else format_count(twins.count, kind)
    )
    return (
        f"{rows} nearly {alone} a training row{labels}, which flatters the "
        f"score ({shorten(example.location, 40)} and {shorten(example.train_location, 40)})"
    )
