"""What the command `frontier` prints: the table, one point, or JSON; a sweep ends with the same table."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from pipeline.cli.console import Console
from pipeline.cli.frontier import export
from pipeline.cli.frontier.drawing import build_frontier_table
from pipeline.cli.frontier.refusal import CONFIRM
from pipeline.cli.ui import format_ui_command
from pipeline.formatting import format_count, format_duration
from pipeline.frontier.dominance import find_frontier
from pipeline.reports.study_markdown import format_test, list_failed_seeds, list_further, name_point
from pipeline.settings.searching.measures import ACCURACY_MEASURE

if TYPE_CHECKING:
    from pipeline.search.results import Results
    from pipeline.search.study_trial import FrontierPoint

NOT_CONFIRMED = f"not confirmed: of the one seed that the search chose by, so optimistic; {CONFIRM}"


# ---- for other programs -------------------------------------------------------------------------------


def to_json(results: "Results", points: Sequence["FrontierPoint"]) -> dict[str, Any]:
    """Return the study and these points of its frontier as plain values, for other programs."""
    knee, probabilities = results.knee, results.estimate_probabilities()
    objectives = {"objectives": list(results.objective_names)} if results.further else {}
    return {
        "study": results.study,
        "device": results.device,
        "objective": results.objective,
        **objectives,
        "trials": len(results.trials),
        "paid_device_seconds": results.paid_seconds,
        "confirming_device_seconds": results.confirming_seconds,
        "failed_device_seconds": results.failed_seconds,
        "interrupted_device_seconds": results.interrupted_seconds,
        "validation": results.split.to_dict() if results.split else None,
        "all_trials": export.list_trials(results),
        "frontier": [
            {
                "accuracy": member.point.accuracy,
                "device_seconds": member.point.device_seconds,
                "trial": member.trial.number,
                "epoch": member.epoch,
                "run_id": member.trial.run_id,
                "knee": member is knee,
                "params": member.params,
                "command": member.command,
                "on_frontier": probabilities.get(member.key),
                **_list_accuracies(member),
                **_list_further(member, results),
            }
            for member in points
        ],
    }


def _list_accuracies(member: "FrontierPoint") -> dict[str, Any]:
    """Return what each group of seeds reached, and the means over all, by which points are chosen."""
    estimate, new = member.estimate, member.confirmation
    return {
        "search_accuracy": member.point.accuracy,
        "new_seeds_accuracy": new.accuracy if new else None,
        "test_accuracy": new.test_accuracy if new else None,
        "mean_accuracy": estimate.accuracy,
        "mean_accuracy_interval": [estimate.low, estimate.high] if new else None,
        "mean_device_seconds": estimate.device_seconds,
        "mean_device_seconds_interval": estimate.seconds_spread.bound(estimate.device_seconds),
        "seeds": estimate.seeds,
        "failed_seeds": list(member.failed_seeds),
        "confirmed": new is not None,
    }


def _list_further(member: "FrontierPoint", results: "Results") -> dict[str, Any]:
    """Return the values of the further objectives: of the search, and the means over all seeds."""
    values: dict[str, Any] = {}
    for number, kind in enumerate(results.further):
        mean, spread = results.read_cost(member, kind.name)
        ends = spread.bound(mean)
        values[kind.name] = kind.to_value(member.point.further[number])
        values[f"mean_{kind.name}"] = kind.to_value(mean)
        values[f"mean_{kind.name}_interval"] = sorted(map(kind.to_value, ends)) if ends else None
    return values


# ---- for a person -------------------------------------------------------------------------------------


def print_frontier(
    results: "Results", points: Sequence["FrontierPoint"] | None = None, may_confirm: bool = True
) -> None:
    """Print the whole frontier, or these points of it.

    `may_confirm`: say how to confirm it where nothing is; a sweep that goes on later will do it.
    """
    console = Console()
    states = [trial.state for trial in results.trials]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("complete", "paused", "failed") if state in states
    )
    in_brackets = f" ({counts})" if counts else ""
    console.print(f"[bold]{escape(results.study)}[/]: {format_count(len(states), 'trial')}{in_brackets}")
    losses = results.describe_losses(format_duration)
    if points := results.frontier if points is None else points:
        lost = f", of which {losses}" if losses else ""
        more = results.describe_confirming(format_duration)
        total = format_duration(results.paid_seconds)
        console.print_line(f"{total} of {results.device}{lost}{more}\n")
        if results.measure is not ACCURACY_MEASURE:
            console.print(f"what is maximised is {results.accuracy_name}")
        shown = results.select_shown(points)
        console.print(build_frontier_table(shown, results.knee))
        if len(shown) < len(points):
            console.print(f"[dim]{len(shown)} of {len(points)} points; all of them: frontier --json[/]")
        for line in [*list_never_chosen(shown, results), *list_failed_seeds(shown)]:
            console.print_line(line, style="dim")
        if not results.is_confirmed and may_confirm:
            console.print_line(NOT_CONFIRMED, style="dim")
    else:
        console.print(f"no trial has reached a point{' above chance' if results.points else ''}")
        if losses:
            console.print(losses)


def list_never_chosen(points: Sequence["FrontierPoint"], results: "Results") -> list[str]:
    """List what the means over all seeds say against points of the frontier, a line each."""
    confirmed = [member for member in points if member.confirmation]
    at_chance = [member for member in confirmed if results.is_at_chance(member.estimate.accuracy)]
    others = [member for member in confirmed if member not in at_chance]
    best = {*find_frontier([member.estimate.point for member in others])}
    beaten = [member for index, member in enumerate(others) if index not in best]
    reasons = ((at_chance, "at chance level"), (beaten, "beaten by other points"))
    return [
        f"by the means over all seeds {reason}, so never chosen: {', '.join(map(name_point, members))}"
        for members, reason in reasons
        if members
    ]


def print_point(member: "FrontierPoint", results: "Results", doubts: Sequence[str]) -> None:
    """Print one point: what it was chosen by, then search, new seeds and test, doubts, then its command."""
    console = Console()
    estimate, new = member.estimate, member.confirmation
    seeds = f" validation, mean of {estimate.seeds} seeds," if new else " validation"
    cost = f"{format_duration(estimate.device_seconds)}{estimate.seconds_spread.format()}"
    console.print_line(f"{estimate.format()}{seeds} at {cost} of {results.device}")
    if member.kinds:
        console.print_line(", ".join(list_further(member)))
    if new:
        count = format_count(len(new.seeds), "new seed")
        searched, repeated = map(member.measure.format, (member.point.accuracy, new.accuracy))
        console.print_line(f"{searched} search, {repeated} {count}{format_test(member)}")
        for doubt in doubts:
            console.print_line(doubt, style="yellow")
    else:
        console.print_line(NOT_CONFIRMED, style="yellow")
    console.print_line(member.command)


def print_link(address: str) -> None:
    """Print the address of the view in MLflow, on a line of its own, so that a terminal makes it a link."""
    if address:
        Console().print_line(f"\n{format_ui_command()}, then\n  {address}")
        sys.stdout.flush()
