"""Parts of every card: text that stays text, tables, what training cost, and what it was made with."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.errors import format_one_line
from pipeline.formatting import escape_markdown, format_number, shorten
from pipeline.secrets import mask
from pipeline.settings.searching.objectives import KINDS_OF_ENERGY, OBJECTIVES

CARD_FILE = "model_card.md"
OPEN = "*to be filled in by you*"
CARBON = {"train/carbon_grams": "", "train/estimated_carbon_grams": ", of an estimate"}
"""Metrics of carbon dioxide, and what is said of each."""


def make_card(name: str, parts: Mapping[str, Iterable[str]], limits: Iterable[str]) -> str:
    """Make a card of its parts by heading; `limits` come last but one, and leave a line for a person."""
    *first, last = parts.items()
    open_limits = [*(f"- {line}" for line in limits), f"- {OPEN}"]
    lines = [f"# Model card: {clean(name)}", ""]
    lines += ["Written from the record of the training. Lines in italics are for you.", ""]
    for heading, content in (*first, ("Limits", open_limits), last):
        lines += [f"## {heading}", "", *content, ""]
    return "\n".join(lines)


def clean(text: str, limit: int = 60) -> str:
    """Return a user's text so that it stays text, in one line: no Markdown, no HTML.

    Secrets are masked here: what is escaped or cut is not known as one any more.
    """
    return re.sub(r"([_~])", r"\\\1", escape_markdown(shorten(format_one_line(mask(text)), limit)))


def make_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def make_code(text: str) -> str:
    """Return a text for between two backticks."""
    return format_one_line(text).replace("`", "'")


def make_block(command: str) -> Iterator[str]:
    """Yield the lines of a block with a command, which may hold backticks itself."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", command)), default=0))
    yield from (f"{fence}bash", command, fence, "")


def describe_cost(metrics: Mapping[str, float], device: str) -> Iterator[str]:
    """Yield what training cost and what an answer costs, as far as `metrics` have it, by MLflow's names."""
    yield f"- Trained on {clean(device, 100)}."
    for kind in ("cpu", "gpu"):
        if f"{kind}_seconds" in metrics:
            yield f"- {format_number(metrics[f'{kind}_seconds'])} {kind}-seconds of training steps."
    yield from _describe_energy(metrics)
    for name, value in metrics.items():
        if name.startswith("cost_"):
            yield f"- Price: {format_number(value)} {clean(name.removeprefix('cost_').upper())}."
    if "profile/latency_p50_ms" in metrics:
        percentiles = metrics["profile/latency_p50_ms"], metrics.get("profile/latency_p99_ms", 0.0)
        median, slow = map(format_number, percentiles)
        yield f"- One answer takes {median} ms (median; 99 of 100 within {slow} ms) on that device."
    if "profile/model_bytes" in metrics:
        yield f"- The file has {format_number(metrics['profile/model_bytes'] / 1e6)} MB."


def _describe_energy(metrics: Mapping[str, float]) -> Iterator[str]:
    measured, estimated = (metrics.get(OBJECTIVES[name].metric) for name in KINDS_OF_ENERGY)
    if measured is not None:
        yield f"- Energy: {format_number(measured)} J of training, measured."
    elif estimated is not None:
        yield f"- Energy: some {format_number(estimated)} J of training, an estimate by power and seconds."
    else:
        yield "- Energy: not known."
    for name, of in CARBON.items():
        if name in metrics:
            yield f"- Carbon dioxide: {format_number(metrics[name])} g{of}."


def describe_versions(versions: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the versions of packages as a table, and the commit that `tags` of a run name."""
    yield from make_table(
        ["package", "version"], [[clean(name), clean(release)] for name, release in versions.items()]
    )
    if commit := tags.get("git.commit"):
        changed = " with changes" if tags.get("git.dirty") == "true" else ""
        yield ""
        yield f"Commit `{make_code(commit)}`{changed}."
