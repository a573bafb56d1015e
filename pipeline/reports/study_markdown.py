"""The Markdown note of a study: the link, the frontier as a table, its knee, what each half percent costs."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.formatting import format_number, shorten
from pipeline.frontier import PriceStep, compute_prices
from pipeline.search.results import FrontierPoint, Results, StudyTrial

HALF_PERCENT = 0.005
MAX_POINTS, MAX_STEPS = 20, 12  # rows of the tables; MLflow cuts a note at 8,000 characters
MAX_LABEL, MAX_COMMAND = 34, 1500


def format_label(member: FrontierPoint) -> str:
    """Format the searched values and the epoch: `64 adam 0.0031 · 3 epochs`."""
    return f"{shorten(format_values(member.trial), MAX_LABEL)} · {_format_count(member.epoch, 'epoch')}"


def format_values(trial: StudyTrial) -> str:
    """Format the searched values, or the number of the trial where nothing was searched."""
    values = (f"{value:.2g}" if isinstance(value, float) else str(value) for value in trial.params.values())
    return " ".join(values) or f"trial {trial.number}"


def write_note(results: Results, link: str) -> str:
    """Write the note as Markdown. `link` opens the view of the study; the caller adds pictures, if any."""
    members, knee = results.frontier, results.knee
    paragraphs = [
        f"[See accuracy against device-seconds]({link})",
        f"**{results.study}** on {results.data}: {_summarise(results)}",
    ]
    if knee:
        paragraphs += ["\n".join(_write_frontier(results, knee)), _write_knee(knee)]
        paragraphs += ["\n".join(_write_prices(members))] if len(members) > 1 else []
    return "\n\n".join(paragraphs)


def _summarise(results: Results) -> str:
    states = Counter(trial.state for trial in results.trials)
    count = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
    paid = f"{format_number(sum(trial.paid_seconds for trial in results.trials))} device-seconds"
    where = f" of {results.device}" if results.frontier else ""
    return f"{_format_count(len(results.trials), 'trial')}{f' ({count})' if count else ''}, {paid}{where}."


def _write_frontier(results: Results, knee: FrontierPoint) -> Iterable[str]:
    """Yield the lines of a table; it has columns for new seeds where a point was confirmed."""
    members, chances = results.frontier, results.estimate_probabilities()
    shown = thin_out(members, members.index(knee), MAX_POINTS)
    more = " new seeds | test | on frontier |" if chances else ""
    yield f"| {results.accuracy_name} | device-seconds | trial | epoch | settings |{more}"
    yield f"|--:|--:|--:|--:|:--|{'--:|--:|--:|' if chances else ''}"
    for member in shown:
        mark = "**" if member == knee else ""
        settings = shorten(format_values(member.trial), MAX_LABEL).replace("|", "\\|")
        cells = [f"{mark}{member.point.accuracy:.2%}{mark}", format_number(member.point.device_seconds)]
        cells += [str(member.trial.number), str(member.epoch), f"{settings}{' (knee)' if mark else ''}"]
        if chances:
            cells += _format_confirmation(member, chances.get((member.trial.number, member.epoch)))
        yield f"| {' | '.join(cells)} |"
    if len(shown) < len(members):
        yield f"\n{len(shown)} of {len(members)} points."


def _format_confirmation(member: FrontierPoint, chance: float | None) -> list[str]:
    new = member.confirmation
    if new is None or chance is None:
        return ["", "", ""]
    spread = f" ± {100 * new.spread:.2f}" if len(new.seeds) > 1 else ""
    return [f"{new.accuracy:.2%}{spread}", f"{new.test_accuracy:.2%}", f"{chance:.0%}"]


def thin_out(members: Sequence[FrontierPoint], index: int, limit: int) -> list[FrontierPoint]:
    """Thin out to at most `limit` members, evenly spread; both ends and the one at `index` stay."""
    if len(members) <= limit:
        return list(members)
    spread = {round(step * (len(members) - 1) / (limit - 2)) for step in range(limit - 1)}
    return [members[index] for index in sorted({*spread, index})]


def _write_knee(knee: FrontierPoint) -> str:
    bend = f"Knee: {knee.point.accuracy:.2%} for {format_number(knee.point.device_seconds)} device-seconds"
    return f"{bend}\n\n    {knee.command}" if len(knee.command) <= MAX_COMMAND else bend


def _write_prices(members: Sequence[FrontierPoint]) -> Iterable[str]:
    """Yield the lines of a table of the steps nearest to the best point."""
    points = [member.point for member in members]
    steps = compute_prices(points, HALF_PERCENT)[-MAX_STEPS:]
    yield "What each further half percent costs:\n"
    yield "| from | to | device-seconds more | each half percent |"
    yield "|--:|--:|--:|--:|"
    for step in steps:
        ends = points[step.start], points[step.end]
        yield f"| {ends[0].accuracy:.2%} | {ends[1].accuracy:.2%} | {_format_price(step)} |"


def _format_price(step: PriceStep) -> str:
    return f"{format_number(step.extra_device_seconds)} | {format_number(step.device_seconds_per_size)}"


def _format_count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
