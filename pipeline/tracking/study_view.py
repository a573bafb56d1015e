"""The planted views of a study: one click from a link to accuracy against device-seconds, in the stock UI.

A trial's accuracy at its cost draws a dot; runs of their own log the frontier's staircase and the knee under
the same name (`marks`). The page (see `pages`) shows the marks first, then the frontier, then the others by
accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlflow import MlflowClient

from pipeline.formatting import short
from pipeline.frontier import knee
from pipeline.measures import Point
from pipeline.reports.palette import BLUE, ORANGE, PALE
from pipeline.search.results import Member, Results, Tried
from pipeline.tracking import shared_views
from pipeline.tracking.shared_views import MICROSECONDS, Page, at_cost, quoted, whole_units

LINE_ROLE = "frontier_line"


# ---- what trials and the line carry -------------------------------------------------------------------


def trial_tags(results: Results, tried: Tried, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where the trial stands, as tags of its run: on the frontier or not, its place and colour, who beats it.

    `known`: tags that the run has. Who beats a trial beats it for ever, so what is told once is left.
    """
    if tried.number not in results.standing:
        return {} if (known or {}).get("frontier") == "false" else _beaten(results, tried)
    own = [member for member in results.members() if member.tried.number == tried.number]
    is_knee = results.knee() in own
    return {
        "frontier": "true",
        "knee": str(is_knee).lower(),
        "plot_order": f"0-{10 + whole_units(own[0].point.device_seconds, MICROSECONDS):015d}",
        "mlflow.runColor": BLUE,
        "beaten_by": "nobody",
    }


def _beaten(results: Results, tried: Tried) -> dict[str, str]:
    by, points = results.beaten_by(tried), tried.points()
    error = 1 - points[-1].accuracy if points else 1.0
    return {
        "frontier": "false",
        "knee": "false",
        "plot_order": f"1-{round(1e6 * error):07d}",
        "mlflow.runColor": PALE,
        "beaten_by": _told(by) if by else f"no fair point ({tried.state})",
    }


def _told(member: Member) -> str:
    point = f"{member.point.accuracy:.2%} for {short(member.point.device_seconds)} device-seconds"
    return f"trial {member.tried.number}, epoch {member.epoch}: {point}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A run that is no trial, drawn into the chart: its name, its tags and its (step, accuracy) values."""

    name: str
    tags: dict[str, str]
    points: tuple[tuple[int, float], ...]


def marks(results: Results, unit: tuple[str, float]) -> tuple[Mark, ...]:
    """The frontier's line and, if there is one, the knee's dot: a trial has one dot alone, its end."""
    steps = [member.point for member in results.members()]
    line = Mark("frontier", _mark_tags(0, BLUE), tuple(line_points(steps, unit)))
    bend = results.knee()
    if bend is None:
        return (line,)
    name = f"knee: trial {bend.tried.number}, epoch {bend.epoch}"
    dot = whole_units(bend.point.device_seconds, unit), bend.point.accuracy
    return line, Mark(name, _mark_tags(1, ORANGE), (dot,))


def _mark_tags(place: int, colour: str) -> dict[str, str]:
    return {"role": LINE_ROLE, "plot_order": f"0-{place:015d}", "mlflow.runColor": colour}


def line_points(steps: Sequence[Point], unit: tuple[str, float]) -> list[tuple[int, float]]:
    """The staircase as (step, accuracy): each step flat up to one unit before the next, then up."""
    told: list[tuple[int, float]] = []
    for step in steps:
        cost = whole_units(step.device_seconds, unit)
        if told and cost - 1 > told[-1][0]:
            told.append((cost - 1, told[-1][1]))
        if told and cost == told[-1][0]:
            told.pop()  # two steps within one unit: the better one
        told.append((cost, step.accuracy))
    return told


def shared_keys(results: Results) -> tuple[str, ...]:
    """The searched keys that every trial has: parallel coordinates leave out a run that lacks one."""
    params = [each.params for each in results.tried if each.points()]
    return tuple(key for key in (params[0] if params else ()) if all(key in each for each in params))


# ---- planting -----------------------------------------------------------------------------------------


def plant(
    client: MlflowClient,
    experiment_id: str,
    study_run_id: str,
    results: Results,
    cost_metric: str,
    unit: tuple[str, float],
    ui_base: str,
) -> str:
    """The link to the study's view; see `pages.plant`. `cost_metric`: cpu_seconds or gpu_seconds; `unit`: of
    the cost axis.
    """
    runs = f"tags.study = {quoted(results.study)} AND tags.plot_order LIKE"
    everything = Page(
        "accuracy against cost",
        f"{runs} '%-%'",
        at_cost(cost_metric, unit),
        cost_metric,
        shared_keys(results),
        ("frontier", "knee", "beaten_by"),
        window([member.point for member in results.members()]),
    )
    frontier_only = replace(everything, name="frontier only", runs=f"{runs} '0-%'")
    return shared_views.plant(
        client, experiment_id, study_run_id, results.study, (everything, frontier_only), ui_base
    )


def window(steps: Sequence[Point]) -> dict[str, float]:
    """Accuracies that the large chart shows: from somewhat below the knee to somewhat above the best.

    Guesses far below would press all that matters into a line at the top; the other charts show them.
    """
    if not steps:
        return {}
    bend, best = steps[knee(steps)].accuracy, max(step.accuracy for step in steps)
    height = max(best - bend, 0.5 * (1 - bend), 0.002)
    return {"yMin": max(0.0, round(bend - 0.6 * height, 4)), "yMax": min(1.02, round(best + 0.2 * height, 4))}
