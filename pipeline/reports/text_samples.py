"""Pictures of texts: training samples, the surest mistakes, and the words that stand out in mistakes."""

import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.data.prepared import Prepared
from pipeline.data.samples import Texts
from pipeline.evaluation.error_ngrams import find_error_ngrams
from pipeline.evaluation.evaluate import Evaluation
from pipeline.formatting import format_count, format_percent
from pipeline.reports.palette import BLUE, GREY, INK, ORANGE
from pipeline.reports.style import HEAD, MIDDLE, SMALL, in_own_style, make_figure, render_png, strip_axes

MAX_CLASSES, TEXTS_PER_CLASS = 8, 4
LETTERS = 92  # in a line
LINES = 2  # of a text
MAX_NGRAMS = 20
Row = tuple[str, str]  # a coloured heading, and the text below it


@in_own_style
def draw_samples(prepared: Prepared) -> bytes:
    """Draw training texts of each class, from all over the split."""
    texts = prepared.train.samples
    assert isinstance(texts, Texts)
    rows: list[Row] = []
    for name, picked in prepared.iterate_examples(MAX_CLASSES, TEXTS_PER_CLASS):
        rows += [(name, text) for text in texts[picked]]
    kinds = format_count(len(prepared.classes), "class") if prepared.classes else "from low to high"
    subtitle = f"{format_count(len(prepared.train), 'text')} · {kinds}"
    return render_png(_draw_page(rows, "Training samples", subtitle, BLUE))


@in_own_style
def draw_worst_mistakes(evaluation: Evaluation, prepared: Prepared) -> bytes:
    """Draw the surest mistakes on the test split."""
    texts = prepared.test.samples
    assert isinstance(texts, Texts)
    texts = texts[np.array([mistake.row for mistake in evaluation.worst], np.int64)]
    rows = [
        (f"{mistake.true}, taken for {mistake.predicted}  {format_percent(mistake.confidence)}", text)
        for mistake, text in zip(evaluation.worst, texts, strict=True)
    ]
    subtitle = f"{len(rows)} of {evaluation.mistakes:,} · orange: true class, answer and confidence"
    return render_png(_draw_page(rows, "Surest mistakes, test split", subtitle, ORANGE))


@in_own_style
def draw_error_ngrams(evaluation: Evaluation, prepared: Prepared) -> bytes | None:
    """Draw the n-grams that stand in wrong answers more often than by chance; None where none does."""
    ngrams = find_error_ngrams(prepared.front, prepared.test, evaluation.wrong, MAX_NGRAMS)
    if not ngrams:
        return None
    share = len(evaluation.wrong) / len(prepared.test)
    subtitle = f"share of the texts with it that went wrong · dashed: of all texts ({format_percent(share)})"
    figure = make_figure(
        7.2, 0.26 * len(ngrams) + 0.7, "Words that stand out in mistakes, test split", subtitle
    )
    axes = figure.subplots()
    rows = np.arange(len(ngrams))[::-1]
    axes.barh(rows, [ngram.wrong / ngram.texts for ngram in ngrams], 0.72, color=ORANGE)
    axes.axvline(share, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for row, ngram in zip(rows, ngrams, strict=True):
        axes.text(
            ngram.wrong / ngram.texts + 0.012,
            row,
            f"{ngram.wrong} of {ngram.texts}",
            va="center",
            size=SMALL,
            color=GREY,
        )
    names = [ngram.ngram for ngram in ngrams]
    axes.set_yticks(rows, names, size=MIDDLE, color=INK, parse_math=False)
    axes.set(xlim=(0, 1.15), ylim=(-0.6, len(ngrams) - 0.4))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if value <= 1 else "")
    strip_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelsize=MIDDLE, labelcolor=INK)
    return render_png(figure)


def _draw_page(rows: Sequence[Row], title: str, subtitle: str, colour: str) -> Figure:
    """Draw each text below its coloured heading."""
    shown = [(head, wrap_text(text)) for head, text in rows]
    height = sum(0.22 + 0.17 * len(lines) + 0.08 for _, lines in shown)
    figure = make_figure(7.4, height, title, subtitle)
    total = height + HEAD
    y = total - HEAD - 0.1
    for head, lines in shown:
        figure.text(0.016, y / total, head, size=SMALL, color=colour, va="center", parse_math=False)
        for number, line in enumerate(lines, start=1):
            style: dict[str, Any] = {
                "size": MIDDLE,
                "color": INK,
                "va": "center",
                "parse_math": False,
            }
            figure.text(0.016, (y - 0.02 - 0.17 * number) / total, line, **style)
        y -= 0.30 + 0.17 * len(lines)
    return figure


def wrap_text(text: str) -> list[str]:
    """Break a text into at most `LINES` lines of `LETTERS` letters; what is left out ends in an ellipsis."""
    lines = textwrap.wrap(" ".join(text.split()), LETTERS)[: LINES + 1] or [""]
    if len(lines) > LINES:
        lines = [
            *lines[: LINES - 1],
            textwrap.shorten(" ".join(lines[LINES - 1 :]), LETTERS, placeholder=" …"),
        ]
    return lines


# ---- words that speak for an answer ------------------------------------------------------------------

SALIENCY_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Words that speak for wrong answers</title>
<style>body {{ font: 15px/1.7 sans-serif; color: {ink}; max-width: 60em; margin: 2em auto; padding: 0 1em }}
h1 {{ font-size: 1.2em }} h2 {{ font-size: 1em; margin: 1.6em 0 0.2em }} .how {{ color: {grey} }}
span {{ border-radius: 3px; padding: 1px 2px }}</style></head><body>
<h1>Words that speak for wrong answers, test split</h1>
<p class="how"><span style="background: {orange}88">orange</span> speaks for the answer,
<span style="background: {blue}88">blue</span> for the true class: by how much the answer's lead falls
where the word is left out. The strongest word of each text has the full colour.</p>
{texts}
</body></html>
"""


def write_saliency(evaluation: Evaluation) -> bytes:
    """Write a page of the texts that were explained, each word in the colour of what it speaks for."""
    texts = []
    for found in evaluation.saliency:
        about = found.mistake
        strongest = max(float(np.abs(found.weights).max(initial=0.0)), 1e-12)
        words = (
            _colour_word(word, float(weight) / strongest)
            for word, weight in zip(found.words, found.weights, strict=True)
        )
        head = f"{about.true}, taken for {about.predicted}  {format_percent(about.confidence)}"
        texts.append(f"<h2>{escape(head)}</h2>\n<p>{' '.join(words)}</p>")
    page = SALIENCY_PAGE.format(ink=INK, grey=GREY, orange=ORANGE, blue=BLUE, texts="\n".join(texts))
    return page.encode()


def _colour_word(word: str, share: float) -> str:
    """Return a word on a ground as strong as its share, -1 to 1; `title` has the number, for a pointer."""
    colour, strength = ORANGE if share > 0 else BLUE, round(0xCC * abs(share))
    return f'<span style="background: {colour}{strength:02x}" title="{share:+.2f}">{escape(word)}</span>'
