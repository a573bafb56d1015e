"""The card of a model in Markdown: data, test figures with intervals, cost, limits, how to train it again.

The parts are those of Mitchell et al. 2019 (doi 10.1145/3287560.3287596); what only a person knows is open.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.data.features import Columns, LogMel
from pipeline.data.prepared import Prepared
from pipeline.data.quality.report import QualityReport, describe_quality
from pipeline.data.report import describe_report
from pipeline.data.samples import Texts
from pipeline.evaluation.evaluate import AnyEvaluation
from pipeline.evaluation.intervals import Figure
from pipeline.evaluation.quantities import QuantityEvaluation
from pipeline.evaluation.subgroups import Subgroups
from pipeline.formatting import format_count, format_figure, format_percent
from pipeline.reports.cards.figures import CardFigure, list_figures
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
from pipeline.settings.privacy import FROM_SECRET, FROM_SEED

MOST_NAMES, MOST_ROWS = 20, 10
SMALL_TEST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """All that a card is written of.

    `data`: the words that name the data, `quality`: what was found in them; `command`: what trains the model
    again; `metrics`, `tags`: of its run, where there are some; `evaluation`: None where the model was not
    evaluated yet; `notes`: what a study says of its point; `privacy`: what a private training has spent, in a
    line, "" where it was none.
    """

    name: str
    data: str
    command: str
    device: str
    prepared: Prepared
    quality: QualityReport
    versions: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    evaluation: AnyEvaluation | None = None
    notes: Sequence[str] = ()
    privacy: str = ""


def write_card(facts: CardFacts) -> str:
    """Write the card; what comes from a user's data is escaped."""
    parts = {
        "The model": _describe_model(facts),
        "Data": _describe_data(facts),
        "Test figures": _describe_figures(facts),
        "Cost": describe_cost(facts.metrics, facts.device),
        "Train it again": _describe_training(facts),
    }
    return make_card(facts.name, parts, _list_limits(facts))


# ---- the parts ----------------------------------------------------------------------------------------


def _describe_model(facts: CardFacts) -> Iterator[str]:
    prepared = facts.prepared
    names = [clean(name, 40) for name in prepared.classes[:MOST_NAMES]]
    more = f" and {len(prepared.classes) - MOST_NAMES:,} more" if len(prepared.classes) > MOST_NAMES else ""
    classes = f"one of {format_count(len(prepared.classes), 'class')}: {', '.join(names)}{more}"
    yield f"- Answers with {'a quantity' if prepared.target else classes}."
    yield f"- Is asked for {_describe_samples(prepared)}."
    if "profile/parameters" in facts.metrics:
        yield f"- Has {format_count(round(facts.metrics['profile/parameters']), 'parameter')}."
    if facts.privacy:
        yield f"- Trained so that its weights tell little of any one row (DP-SGD): {facts.privacy}."
    for note in facts.notes:
        yield f"- {clean(note, 400)}"
    yield f"- Meant for: {OPEN}"
    yield f"- Not meant for: {OPEN}"
    yield f"- Licence of the model: {OPEN}"


def _describe_samples(prepared: Prepared) -> str:
    match prepared.front:
        case Columns(numeric=numeric, categorical=categorical, dates=dates):
            names = [clean(name, 30) for name in (*numeric, *dates, *categorical)]
            more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
            return (
                f"rows of a table with {format_count(len(names), 'column')}: "
                f"{', '.join(names[:MOST_NAMES])}{more}"
            )
        case LogMel(rate=rate, samples=samples):
            return f"sounds of {samples / rate:g} s at {rate:,} Hz"
        case None:
            return f"numbers of shape {' x '.join(map(str, prepared.shape))}"
    return "texts" if isinstance(prepared.train.samples, Texts) else "samples"


def _describe_data(facts: CardFacts) -> Iterator[str]:
    prepared, quality = facts.prepared, facts.quality
    yield f"- Named by `{make_code(facts.data)}`; SHA-256 of the raw content `{prepared.source_sha256}`."
    yield f"- Where they come from, whom they show, who agreed: {OPEN}"
    yield f"- Licence of the data: {OPEN}"
    yield ""
    counts = prepared.report.histogram
    rows = []
    for name, split in (
        ("train", prepared.train),
        ("validation", prepared.validation),
        ("test", prepared.test),
    ):
        of_class = sorted(counts.get(name, {}).items(), key=lambda pair: -pair[1])
        ends = [f"{clean(key, 30)} ({count:,})" for key, count in (of_class[:1] + of_class[-1:])]
        rows.append([name, f"{len(split):,}", *(ends if len(ends) == 2 else ["-", "-"])])
    kind = "class" if prepared.target is None else "tenth of the range"
    yield from make_table(["split", "rows", f"largest {kind}", f"smallest {kind}"], rows)
    yield ""
    found = [*describe_quality(quality)]
    for line in (*describe_report(prepared.report), *found):
        yield f"- {clean(line, 300)}"
    if not found:
        *first, last = quality.asked
        looked = f"{', '.join(first)} and {last}" if first else last
        yield f"- {looked[:1].upper()}{looked[1:]} were looked for, and not found."
    for name, reason in quality.not_asked.items():
        yield f"- Not looked for: {name} ({clean(reason, 200)})."
    if quality.left_out:
        yield f"- Looked through but for {', '.join(quality.left_out)}."


def _describe_figures(facts: CardFacts) -> Iterator[str]:
    evaluation = facts.evaluation
    if evaluation is None:
        yield "The model was not evaluated yet: `python -m pipeline evaluate trained=RUN_ID record=model`."
        return
    yield (
        f"Of {format_count(evaluation.test.samples, 'test row')}, which chose nothing in training. "
        "Intervals are of 95 %."
    )
    yield ""
    figures = list_figures(evaluation)
    yield from make_table(["figure", "value", "interval"], [_write_figure(figure) for figure in figures])
    inspection = evaluation.inspection
    if inspection is None:
        return
    yield ""
    if inspection.subgroups is None:
        yield "No subgroups were looked at: `evaluate.groups=COLUMN` scores each value of a column by itself."
    else:
        yield from _describe_groups(inspection.subgroups)
    if inspection.importances:
        yield ""
        yield "What the validation score loses when a column is shuffled (permutation importance):"
        yield ""
        shown = inspection.importances[:MOST_ROWS]
        rows = [
            [clean(importance.name, 40), format_figure(importance.loss), format_figure(importance.deviation)]
            for importance in shown
        ]
        yield from make_table(["column", "loss", "deviation"], rows)


def _write_figure(named: CardFigure) -> list[str]:
    if isinstance(figure := named.figure, Figure):
        return [named.name, format_figure(figure.value), _write_interval(figure)]
    return [named.name, format_figure(figure), "-"]


def _write_interval(figure: Figure) -> str:
    """Return the ends of an interval; one without any width, as of a single row, is none."""
    return f"{format_figure(figure.low)} to {format_figure(figure.high)}" if figure.low < figure.high else "-"


def _describe_groups(groups: Subgroups) -> Iterator[str]:
    figure = "mean absolute error" if groups.is_error else "accuracy"
    doubt = "" if groups.worst.is_worse else ", which may be chance"
    yield f"By {clean(groups.column)}, {groups.describe_worst()} is {clean(groups.worst.name)}{doubt}:"
    yield ""
    rows = [
        [
            clean(group.name, 40),
            f"{group.rows:,}",
            format_figure(group.score.value),
            _write_interval(group.score),
        ]
        for group in groups.groups[:MOST_NAMES]
    ]
    yield from make_table(["group", "rows", figure, "interval"], rows)


def _list_limits(facts: CardFacts) -> Iterator[str]:
    evaluation, prepared, quality = facts.evaluation, facts.prepared, facts.quality
    yield "The figures hold for data like those above. `predict` says where new data are unlike them."
    if facts.privacy:
        yield (
            "Epsilon is that of this training alone: trials of a search, other seeds and other models of the "
            "same rows have spent theirs beside it."
        )
        yield (
            "Epsilon holds for the weights. What else comes from the rows is not counted and has no noise: "
            "scaling, medians, categories, vocabularies, names of classes, what new data are compared with, "
            "the figures above."
        )
        unit = "row" if prepared.train.files is None else "excerpt of a file"
        yield (
            f"Epsilon holds for one {unit}: of somebody with several of them, the weights may tell as many "
            "times as much."
        )
    if facts.privacy.endswith(FROM_SEED):
        yield (
            "Whoever knows the seed in the command below can take the noise away; with "
            "`privacy.repeatable=false` nobody can."
        )
    if len(prepared.test) < SMALL_TEST:
        yield f"The test split has {format_count(len(prepared.test), 'row')} only: mind the intervals."
    if any(twins.is_telling for twins in quality.twins):
        yield "Rows of the splits nearly repeat each other, so new data will have worse figures."
    if quality.telling:
        yield "One column alone tells the class: make sure that it is known when the model is asked."
    if evaluation is None or isinstance(evaluation, QuantityEvaluation):
        return
    if evaluation.balance.unrecognised:
        names = ", ".join(clean(name, 30) for name in evaluation.balance.unrecognised[:5])
        yield f"Never recognised: {names}."
    error = evaluation.calibration_error
    yield (
        f"Confidence and accuracy differ by {format_percent(error)} on average (expected calibration error); "
        f"{'do not take outputs for probabilities' if error > 0.05 else 'outputs are nearly probabilities'}."
    )
    if not evaluation.shifted and isinstance(prepared.test.samples, np.ndarray):
        yield "Changed samples (noise, blur and the like) were not tested: `evaluate.shift=noise`."


def _describe_training(facts: CardFacts) -> Iterator[str]:
    yield from make_block(facts.command)
    if facts.privacy.endswith(FROM_SECRET):
        yield "Typed again it draws other noise, so it gives another curve, and spends as much once more."
    else:
        yield "Typed again with the same data and versions it gives the same curve on the same device."
    yield ""
    yield from describe_versions(facts.versions, facts.tags)
