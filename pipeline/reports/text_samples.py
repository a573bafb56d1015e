"""Pictures of texts: training samples, the surest mistakes, and the words that stand out in mistakes."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Texts
from pipeline.evaluation.error_ngrams import telling
from pipeline.evaluation.evaluate import Evaluation
from pipeline.formatting import percent
from pipeline.reports.palette import BLUE, GREY, INK, ORANGE
from pipeline.reports.style import HEAD, MIDDLE, SMALL, make_figure, render_png, strip_axes

MOST_CLASSES, EACH_SHOWN = 8, 4
LETTERS = 92  # in a line
LINES = 2  # of a text
MOST_NGRAMS = 20
Row = tuple[str, str]  # what stands in colour before a text, and the text


def samples(prepared: Prepared) -> bytes:
    """Training texts of each class, from all over the split."""
    texts = prepared.train.samples
    assert isinstance(texts, Texts)
    rows: list[Row] = []
    for number, name in enumerate(prepared.classes[:MOST_CLASSES]):
        rows += [(name, text) for text in texts[prepared.train.spread(number, EACH_SHOWN)]]
    told = f"{len(prepared.train):,} texts · {len(prepared.classes)} classes"
    return render_png(_page_of(rows, "Training samples", told, BLUE))


def worst_mistakes(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """The surest mistakes on the test split."""
    texts = prepared.test.samples
    assert isinstance(texts, Texts)
    found = texts[np.array([each.row for each in evaluation.worst], np.int64)]
    rows = [
        (f"{each.true}, taken for {each.predicted}  {percent(each.confidence)}", text)
        for each, text in zip(evaluation.worst, found, strict=True)
    ]
    told = f"{len(rows)} of {evaluation.mistakes:,} · orange: true class, answer and confidence"
    return render_png(_page_of(rows, "Surest mistakes, test split", told, ORANGE))


def error_ngrams(evaluation: Evaluation, prepared: Prepared) -> bytes | None:
    """N-grams that stand in wrong answers more often than chance would have it; None where none does."""
    found = telling(prepared.front, prepared.test, evaluation.wrong, MOST_NGRAMS)
    if not found:
        return None
    share = len(evaluation.wrong) / len(prepared.test)
    told = f"share of the texts with it that went wrong · dashed: of all texts ({percent(share)})"
    figure = make_figure(7.2, 0.26 * len(found) + 0.7, "Words that stand out in mistakes, test split", told)
    axes = figure.subplots()
    places = np.arange(len(found))[::-1]
    axes.barh(places, [each.wrong / each.texts for each in found], 0.72, color=ORANGE)
    axes.axvline(share, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for place, each in zip(places, found, strict=True):
        axes.text(
            each.wrong / each.texts + 0.012,
            place,
            f"{each.wrong} of {each.texts}",
            va="center",
            size=SMALL,
            color=GREY,
        )
    names = [each.ngram for each in found]
    axes.set_yticks(places, names, size=MIDDLE, color=INK, parse_math=False)
    axes.set(xlim=(0, 1.15), ylim=(-0.6, len(found) - 0.4))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if value <= 1 else "")
    strip_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelsize=MIDDLE, labelcolor=INK)
    return render_png(figure)


def _page_of(rows: Sequence[Row], title: str, told: str, colour: str) -> Figure:
    """Each text under its words in colour."""
    shown = [(head, _cut(text)) for head, text in rows]
    height = sum(0.22 + 0.17 * len(lines) + 0.08 for _, lines in shown)
    figure = make_figure(7.4, height, title, told)
    whole = height + HEAD
    at = whole - HEAD - 0.1
    for head, lines in shown:
        figure.text(0.016, at / whole, head, size=SMALL, color=colour, va="center", parse_math=False)
        for number, line in enumerate(lines, start=1):
            style: dict[str, Any] = {
                "size": MIDDLE,
                "color": INK,
                "va": "center",
                "parse_math": False,
            }
            figure.text(0.016, (at - 0.02 - 0.17 * number) / whole, line, **style)
        at -= 0.30 + 0.17 * len(lines)
    return figure


def _cut(text: str) -> list[str]:
    lines = textwrap.wrap(" ".join(text.split()), LETTERS)[: LINES + 1] or [""]
    if len(lines) > LINES:
        lines = [
            *lines[: LINES - 1],
            textwrap.shorten(" ".join(lines[LINES - 1 :]), LETTERS, placeholder=" …"),
        ]
    return lines
