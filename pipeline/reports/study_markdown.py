"""The Markdown note of a study: the link, the frontier as a table, its knee, what each half percent costs."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.formatting import cut, short
from pipeline.frontier import Step, prices
from pipeline.search.results import Member, Results, Tried

HALF_PERCENT = 0.005
MOST_MEMBERS, MOST_STEPS = 20, 12  # rows of the tables; MLflow cuts a note at 8,000 characters
LONGEST_LABEL, LONGEST_COMMAND = 34, 1500


def label(member: Member) -> str:
    """The searched values in short, and the epoch: `64 adam 0.0031 · 3 epochs`."""
    return f"{cut(values(member.tried), LONGEST_LABEL)} · {_counted(member.epoch, 'epoch')}"


def values(tried: Tried) -> str:
    """The searched values in short, or the trial's number where nothing was searched."""
    told = (f"{value:.2g}" if isinstance(value, float) else str(value) for value in tried.params.values())
    return " ".join(told) or f"trial {tried.number}"


def note(results: Results, link: str) -> str:
    """Markdown. `link` opens the planted view; pictures, if any, are for the caller to add."""
    members, knee = results.members(), results.knee()
    told = [
        f"[See accuracy against device-seconds]({link})",
        f"**{results.study}** on {results.data}: {_told(results)}",
    ]
    if knee:
        told += ["\n".join(_frontier(results, knee)), _knee(knee)]
        told += ["\n".join(_prices(members))] if len(members) > 1 else []
    return "\n\n".join(told)


def _told(results: Results) -> str:
    states = Counter(each.state for each in results.tried)
    count = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
    spent = f"{short(sum(each.paid_seconds for each in results.tried))} device-seconds"
    where = f" of {results.device}" if results.members() else ""
    return f"{_counted(len(results.tried), 'trial')}{f' ({count})' if count else ''}, {spent}{where}."


def _frontier(results: Results, knee: Member) -> Iterable[str]:
    """A table; what was confirmed is told where something was."""
    members, chances = results.members(), results.chances()
    shown = thinned(members, members.index(knee), MOST_MEMBERS)
    more = " new seeds | test | on frontier |" if chances else ""
    yield f"| {results.accuracy_name} | device-seconds | trial | epoch | settings |{more}"
    yield f"|--:|--:|--:|--:|:--|{'--:|--:|--:|' if chances else ''}"
    for member in shown:
        mark = "**" if member == knee else ""
        settings = cut(values(member.tried), LONGEST_LABEL).replace("|", "\\|")
        cells = [f"{mark}{member.point.accuracy:.2%}{mark}", short(member.point.device_seconds)]
        cells += [str(member.tried.number), str(member.epoch), f"{settings}{' (knee)' if mark else ''}"]
        if chances:
            cells += _confirmed(member, chances.get((member.tried.number, member.epoch)))
        yield f"| {' | '.join(cells)} |"
    if len(shown) < len(members):
        yield f"\n{len(shown)} of {len(members)} points."


def _confirmed(member: Member, chance: float | None) -> list[str]:
    new = member.confirmation
    if new is None or chance is None:
        return ["", "", ""]
    spread = f" ± {100 * new.spread:.2f}" if len(new.seeds) > 1 else ""
    return [f"{new.accuracy:.2%}{spread}", f"{new.test_accuracy:.2%}", f"{chance:.0%}"]


def thinned(members: Sequence[Member], kept: int, most: int) -> list[Member]:
    """At most that many members, evenly spread; both ends and the one at `kept` are among them."""
    if len(members) <= most:
        return list(members)
    spread = {round(at * (len(members) - 1) / (most - 2)) for at in range(most - 1)}
    return [members[index] for index in sorted({*spread, kept})]


def _knee(knee: Member) -> str:
    bend = f"Knee: {knee.point.accuracy:.2%} for {short(knee.point.device_seconds)} device-seconds"
    return f"{bend}\n\n    {knee.command}" if len(knee.command) <= LONGEST_COMMAND else bend


def _prices(members: Sequence[Member]) -> Iterable[str]:
    """The steps nearest to the best."""
    points = [member.point for member in members]
    steps = prices(points, HALF_PERCENT)[-MOST_STEPS:]
    yield "What each further half percent costs:\n"
    yield "| from | to | device-seconds more | each half percent |"
    yield "|--:|--:|--:|--:|"
    for step in steps:
        ends = points[step.start], points[step.end]
        yield f"| {ends[0].accuracy:.2%} | {ends[1].accuracy:.2%} | {_price(step)} |"


def _price(step: Step) -> str:
    return f"{short(step.extra_device_seconds)} | {short(step.device_seconds_each)}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
