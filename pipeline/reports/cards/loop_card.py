"""The card of a training loop of the user's own: what the loop reported, what it cost, what nobody can know.

The loop reads its data and scores itself by itself, so the card says whose word each figure is.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.intervals import compute_share
from pipeline.formatting import format_count, format_figure
from pipeline.measures import Epoch
from pipeline.reports.cards.markdown import (
    OPEN,
    clean,
    describe_cost,
    describe_versions,
    make_block,
    make_card,
    make_code,
    make_table,
)

ROWS_OF = {"accuracy": "validation_rows", "test_accuracy": "test_rows"}
"""Which number of a report says how many rows an accuracy is a share of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file that a setting names: its size in bytes, and SHA-256 (hex), "" where it is too large to read."""

    key: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCardFacts:
    """All that a card of a loop is written of.

    `word`: what names its code, and `code` that code's SHA-256 (hex), "" where it is not known; `command`:
    what trains again; `settings`: of the loop by key; `epoch`, `numbers`: what it reported last; `model`: the
    class of its model, "" where it reports none, and `keeper`: what keeps it, "" where nothing does;
    `files`: that its settings name; `metrics`: what it cost, by MLflow's names; `notes`: what a study says
    of its point.
    """

    name: str
    word: str
    code: str
    command: str
    device: str
    settings: Mapping[str, object]
    epoch: Epoch
    numbers: Mapping[str, float]
    versions: Mapping[str, str]
    model: str = ""
    keeper: str = ""
    files: Sequence[NamedFile] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_loop_card(facts: LoopCardFacts) -> str:
    """Write the card; what comes from a user is escaped."""
    parts = {
        "The model": _describe_model(facts),
        "Settings": _describe_settings(facts),
        "Data": _describe_data(facts),
        "Figures": _describe_figures(facts),
        "Cost": describe_cost(facts.metrics, facts.device),
        "Train it again": _describe_training(facts),
    }
    return make_card(facts.name, parts, _list_limits(facts))


def _describe_model(facts: LoopCardFacts) -> Iterator[str]:
    yield f"- Trained by a loop of one's own: `{make_code(facts.word)}`."
    if facts.model and facts.keeper:
        yield f"- Of class {clean(facts.model, 100)}, kept by {clean(facts.keeper)}."
    elif facts.model:
        yield f"- Of class {clean(facts.model, 100)}, which was not kept: the loop has to save it by itself."
    else:
        yield "- The loop reports no model, so none is kept."
    for note in facts.notes:
        yield f"- {clean(note, 400)}"
    yield f"- What it answers, and what it is asked for: {OPEN}"
    yield f"- Meant for: {OPEN}"
    yield f"- Not meant for: {OPEN}"
    yield f"- Licence of the model: {OPEN}"


def _describe_settings(facts: LoopCardFacts) -> Iterator[str]:
    rows = [[clean(key), clean(str(value), 200)] for key, value in facts.settings.items()]
    yield from make_table(["key", "value"], rows)


def _describe_data(facts: LoopCardFacts) -> Iterator[str]:
    yield "- The loop reads its data by itself, so what they are is not known here."
    for file in facts.files:
        read = f"SHA-256 `{file.sha256}`" if file.sha256 else "too large to be hashed"
        yield f"- {clean(file.key)} names `{make_code(file.path)}`: {file.size:,} bytes, {read}."
    yield f"- What they are, where they come from, whom they show, who agreed: {OPEN}"
    yield f"- How they are split for training, validation and test: {OPEN}"
    yield f"- Licence of the data: {OPEN}"


def _describe_figures(facts: LoopCardFacts) -> Iterator[str]:
    yield f"As the loop reports them after epoch {facts.epoch.number}. Intervals are of 95 %."
    yield ""
    figures = {
        "accuracy": facts.epoch.validation_accuracy,
        "train_loss": facts.epoch.train_loss,
        "validation_loss": facts.epoch.validation_loss,
        **facts.numbers,
    }
    rows = [
        [clean(name), f"{value:.6g}", _format_interval(facts, name, value)]
        for name, value in figures.items()
        if not math.isnan(value)
    ]
    yield from make_table(["figure", "value", "interval"], rows)


def _format_interval(facts: LoopCardFacts, name: str, value: float) -> str:
    rows = find_rows(facts.numbers, name)
    if rows is None:
        return "-"
    figure = compute_share(value, rows)
    return f"{format_figure(figure.low)} to {format_figure(figure.high)}, of {format_count(rows, 'row')}"


def find_rows(numbers: Mapping[str, float], accuracy: str) -> int | None:
    """Return how many rows the loop says that an accuracy is a share of; None where it says nothing."""
    rows = numbers.get(ROWS_OF.get(accuracy, ""), math.nan)
    return int(rows) if rows >= 1 and float(rows).is_integer() else None


def _list_limits(facts: LoopCardFacts) -> Iterator[str]:
    yield (
        "The figures are the loop's own word. Nothing was looked through here: neither twins across splits "
        "nor leaks, wrong labels, calibration and subgroups."
    )
    if "test_accuracy" not in facts.numbers:
        yield (
            "No test accuracy was reported: `accuracy` may have chosen settings or epochs, and is then too "
            "good for new data."
        )
    if lacking := [
        f"`{rows}`"
        for name, rows in ROWS_OF.items()
        if name in {"accuracy", *facts.numbers} and find_rows(facts.numbers, name) is None
    ]:
        names = " and ".join(lacking)
        yield f"How many rows the accuracies are of was not said; report {names} for intervals."
    if facts.epoch.contended:
        yield "Others used the device meanwhile, so the cost may be off."


def _describe_training(facts: LoopCardFacts) -> Iterator[str]:
    yield from make_block(facts.command)
    yield "Typed again it trains with the same settings and seed; whether to the same curve is its own doing."
    if facts.code:
        yield f"Its code has the SHA-256 `{facts.code}`."
    yield ""
    yield from describe_versions(facts.versions, facts.tags)
