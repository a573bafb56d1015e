"""The Markdown note of a study: the link, the frontier as a table, its knee, what each half percent costs."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.formatting import (
    escape_markdown,
    format_count,
    format_device_seconds,
    format_number,
    format_roughly,
    format_setting,
    shorten,
    tell_apart,
)
from pipeline.frontier.choosing import PriceStep, compute_prices, select_spread
from pipeline.search.estimation.estimates import Spread
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint
from pipeline.settings.searching.objectives import ObjectiveKind

HALF_PERCENT = 0.005
MAX_POINTS, MAX_STEPS = 20, 12  # rows of the tables; MLflow cuts a note at 8,000 characters
MAX_LABEL, MAX_COMMAND = 34, 1500


def format_label(member: FrontierPoint) -> str:
    """Format the searched values and the epoch: `64 adam 0.0031 · 3 epochs`."""
    return f"{shorten(format_values(member), MAX_LABEL)} · {format_count(member.epoch, 'epoch')}"


def format_values(member: FrontierPoint) -> str:
    """Format the searched values but for the epochs, or the number of the trial where there are no others."""
    return " ".join(map(format_setting, member.settings.values())) or f"trial {member.trial.number}"


def format_accuracies(member: FrontierPoint) -> list[str]:
    """Format what a table shows side by side: all seeds, search, new seeds, test; - where not confirmed."""
    to_text, new = member.measure.format, member.confirmation
    if new is None:
        return ["-", to_text(member.point.accuracy), "-", "-"]
    test = "-" if new.test_accuracy is None else to_text(new.test_accuracy)
    return [member.estimate.format(), to_text(member.point.accuracy), to_text(new.accuracy), test]


def format_test(member: FrontierPoint, asked: float | None = None) -> str:
    """Format what the test split says as the end of a list: `, 97.50% test`; nothing where nobody read it.

    `asked`: an accuracy that it must not look like.
    """
    tested = member.confirmation.test_accuracy if member.confirmation else None
    return "" if tested is None else f", {member.measure.format_apart(tested, asked)} test"


def format_seconds(member: FrontierPoint, within: float | None = None) -> str:
    """Format the mean device-seconds with their interval: `1.2 ±6%`.

    `within`: device-seconds that they must not look like.
    """
    seconds, spread = member.estimate.device_seconds, member.estimate.seconds_spread
    text = format_number(seconds)
    if within is not None and text == format_number(within):
        text = tell_apart(seconds, within)
    return f"{text}{spread.format()}"


def format_further(member: FrontierPoint, with_unit: bool = True) -> list[str]:
    """Format the mean of each further cost as its value, with its interval: `0.213 ms ±3%`."""
    estimate = member.estimate
    triples = zip(member.kinds, estimate.further, estimate.further_spreads, strict=True)
    return [
        f"{kind.format(cost, with_unit)}{_format_spread(kind, cost, spread)}"
        for kind, cost, spread in triples
    ]


def _format_spread(kind: ObjectiveKind, cost: float, spread: Spread) -> str:
    """Format half the interval of a further cost: ` ±3%` of it, of a share in points, as accuracy has it."""
    ends = spread.bound(cost)
    if not kind.maximise or ends is None:
        return spread.format()
    half = 100 * (ends[1] - ends[0]) / 2
    return f" ±{half:.2f}" if half else ""


def list_further(member: FrontierPoint) -> list[str]:
    """List the further costs in words: `0.213 ms ±3% latency`."""
    return [f"{text} {kind.label}" for text, kind in zip(format_further(member), member.kinds, strict=True)]


def describe_point(member: FrontierPoint, asked: float | None = None, within: float | None = None) -> str:
    """Describe a point in words: what it was chosen by, what the test split says, and its costs.

    `asked`, `within`: accuracy and device-seconds beside which it stands, and which it must not look like.
    """
    estimate, new = member.estimate, member.confirmation
    reached = estimate.format(asked)
    cost = " and ".join([f"{format_seconds(member, within)} device-seconds", *list_further(member)])
    failed = f"; {member.count_failed()} new seeds failed" if member.failed_seeds else ""
    if new is None:
        return f"{reached} validation (one seed, not confirmed{failed}) for {cost}"
    return (
        f"{reached} validation (mean of {estimate.seeds} seeds{failed}){format_test(member, asked)}"
        f"{',' if new.test_accuracy is not None else ''} for {cost}"
    )


def write_note(results: Results, link: str, page: str = "") -> str:
    """Write the note as Markdown; the caller adds pictures, if any.

    `link` opens the view of the study; `page`: its interactive page.
    """
    members, knee = results.frontier, results.knee
    paragraphs = [
        f"[See {results.accuracy_name} against device-seconds]({link})"
        + (f" · [choose a point on its page]({page})" if page else ""),
        f"**{escape_markdown(results.study)}** on {results.data}: {_summarise(results)}",
    ]
    paragraphs += [f"Data: {escape_markdown(line)}" for line in results.remarks]
    if members:
        paragraphs += ["\n".join(_write_frontier(results)), _explain_columns(results)]
        paragraphs += [_write_knee(knee)] if knee else []
        steps = compute_prices([member.estimate.point for member in results.candidates], HALF_PERCENT)
        paragraphs += ["\n".join(_write_prices(results.candidates, steps))] if steps else []
    return "\n\n".join(paragraphs)


def _summarise(results: Results) -> str:
    states = Counter(trial.state for trial in results.trials)
    count = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
    paid = format_device_seconds(results.paid_seconds)
    where = f" of {results.device}" if results.frontier else ""
    lost = f", of which {losses}" if (losses := results.describe_losses()) else ""
    counted = f"{format_count(len(results.trials), 'trial')}{f' ({count})' if count else ''}"
    return f"{counted}, {paid}{where}{lost}{results.describe_confirming()}."


def _write_frontier(results: Results) -> Iterable[str]:
    """Yield the lines of a table; it has columns for new seeds where a point was confirmed."""
    members, knee, chances = results.frontier, results.knee, results.estimate_probabilities()
    shown = _choose_rows(results)
    accuracies = ["all seeds", "search", "new seeds", "test"] if chances else [results.accuracy_name]
    further = [kind.heading for kind in results.further]
    headings = [*accuracies, "device-seconds", *further, "trial", "epoch", "settings"]
    yield f"| {' | '.join(headings)} |{' on frontier |' if chances else ''}"
    yield f"|{'--:|' * (len(headings) - 1)}:--|{'--:|' if chances else ''}"
    for member in sorted(shown, key=lambda member: member.estimate.device_seconds):
        mark = "**" if member == knee else ""
        settings = escape_markdown(shorten(format_values(member), MAX_LABEL))
        cells = format_accuracies(member) if chances else [member.measure.format(member.point.accuracy)]
        cells = [f"{mark}{cells[0]}{mark}", *cells[1:], format_seconds(member)]
        cells += [
            *format_further(member, with_unit=False),
            str(member.trial.number),
            str(member.epoch),
            f"{settings}{' (knee)' if mark else ''}",
        ]
        if chances:
            chance = chances.get(member.key)
            cells.append("-" if chance is None else format_roughly(chance))
        yield f"| {' | '.join(cells)} |"
    if len(shown) < len(members):
        yield f"\n{len(shown)} of {len(members)} points."


def _choose_rows(results: Results) -> Sequence[FrontierPoint]:
    """Choose the points of the table: evenly in the plane, else those that stand for all.

    Both ends, the knee and the best point are among them.
    """
    members, knee = results.frontier, results.knee
    if results.further:
        shown = results.select_shown(members)
        named = [shown.index(member) for member in (knee, results.best) if member in shown]
        return [shown[index] for index in select_spread([row.point for row in shown], MAX_POINTS, named)]
    return thin_out(members, members.index(knee) if knee else 0, MAX_POINTS)


def _explain_columns(results: Results) -> str:
    """Explain which accuracy is to be believed."""
    failed = "".join(f" But {line}." for line in list_failed_seeds(results.frontier))
    if not results.is_confirmed:
        return (
            "Not confirmed: accuracies are of the one seed that the search chose them by, so optimistic."
            f"{failed}"
        )
    return (
        "All seeds: the mean with its 95 % interval, by which points are chosen. Search: the seed that put "
        "the point on the frontier, so optimistic. New seeds decided nothing; test: their mean on the test "
        f"split.{failed}"
    )


def list_failed_seeds(members: Sequence[FrontierPoint]) -> list[str]:
    """List the points of which new seeds failed, in one line; none where all came to their end."""
    failed = [f"{name_point(member)} ({member.count_failed()})" for member in members if member.failed_seeds]
    return [f"the means leave out new seeds that failed: {', '.join(failed)}"] if failed else []


def name_point(member: FrontierPoint) -> str:
    """Return the trial and the epoch of a point."""
    return f"trial {member.trial.number} at epoch {member.epoch}"


def thin_out(members: Sequence[FrontierPoint], index: int, limit: int) -> list[FrontierPoint]:
    """Thin out to at most `limit` members, evenly spread; both ends and the one at `index` stay."""
    if len(members) <= limit:
        return list(members)
    spread = {round(step * (len(members) - 1) / (limit - 2)) for step in range(limit - 1)}
    return [members[index] for index in sorted({*spread, index})]


def _write_knee(knee: FrontierPoint) -> str:
    bend = f"Knee: {describe_point(knee)}"
    return f"{bend}\n\n    {knee.command}" if len(knee.command) <= MAX_COMMAND else bend


def _write_prices(members: Sequence[FrontierPoint], steps: Sequence[PriceStep]) -> Iterable[str]:
    """Yield the lines of a table of the steps nearest to the best point."""
    yield "What each further half percent costs:\n"
    yield "| from | to | device-seconds more | each half percent |"
    yield "|--:|--:|--:|--:|"
    for step in steps[-MAX_STEPS:]:
        start, end = members[step.start].estimate, members[step.end].estimate
        reached = (each.measure.format(each.accuracy) for each in (start, end))
        yield f"| {' | '.join(reached)} | {_format_price(step)} |"


def _format_price(step: PriceStep) -> str:
    return f"{format_number(step.extra_device_seconds)} | {format_number(step.device_seconds_per_size)}"
