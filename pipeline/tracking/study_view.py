"""The planted views of a study: one click from a link to accuracy against device-seconds, in the stock UI.

A trial's accuracy at its cost draws a dot; runs of their own log the frontier's staircase and the knee under
the same name (`make_marks`). The page (see `shared_views`) shows the marks first, then the frontier, then the
others by accuracy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlflow import MlflowClient

from pipeline.formatting import format_device_seconds
from pipeline.frontier.choosing import find_knee
from pipeline.frontier.dominance import flatten, select_frontier
from pipeline.frontier.hypervolume import Bounds, compute_log_hypervolume
from pipeline.measures import Point
from pipeline.reports.palette import BLUE, ORANGE, PALE
from pipeline.search.results import Results
from pipeline.search.study_trial import FrontierPoint, StudyTrial
from pipeline.tracking import shared_views
from pipeline.tracking.mlflow_runs import quote
from pipeline.tracking.shared_views import MICROSECONDS, ViewPage, make_cost_metric, round_to_units

LINE_ROLE = "frontier_line"


# ---- what trials and the line carry -------------------------------------------------------------------


COLOUR = "mlflow.runColor"
TRIAL_TAGS = ("frontier", "knee", "plot_order", COLOUR, "beaten_by")
BEATEN = {"frontier": "false"}
"""All that is remembered of the tags of a trial that is beaten: it is for ever."""

LOST = {"frontier": "false", "plot_order": "none"}
"""Tags of a trial that its study does not have any more; no chart shows it, see `plant_study_views`."""


def make_trial_tags(
    results: Results, trial: StudyTrial, recorded: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the tags of a trial's run: whether it is on the frontier, its rank and colour, who beats it.

    `recorded`: tags that the run has. What beats a trial beats it for ever, so it is written once. A colour
    that a person has chosen stays.
    """
    tags = _make_trial_tags(results, trial, recorded or {})
    return leave_colour(tags, (recorded or {}).get(COLOUR))


def leave_colour(tags: Mapping[str, str], colour: str | None) -> dict[str, str]:
    """Return the tags, without a colour where the run has one that a person has chosen."""
    is_theirs = colour not in (None, BLUE, ORANGE, PALE)
    return {name: text for name, text in tags.items() if not is_theirs or name != COLOUR}


def _make_trial_tags(results: Results, trial: StudyTrial, recorded: Mapping[str, str]) -> dict[str, str]:
    if trial.number not in results.trials_on_frontier:
        return {} if recorded.get("frontier") == "false" else _make_beaten_tags(results, trial)
    points = [member for member in results.frontier if member.trial.number == trial.number]
    knee = results.knee
    is_knee = knee in points
    # The trial's own dot, its end, lies on that of the knee where it ends there, so it has that colour.
    ends_at_knee = knee is not None and is_knee and knee.point == trial.points[-1]
    tested = [new.test_accuracy for member in points if (new := member.confirmation)]
    test = next((results.measure.format(value) for value in reversed(tested) if value is not None), "")
    return {
        **({"test": test} if test else {}),
        "frontier": "true",
        "knee": str(is_knee).lower(),
        "plot_order": f"0-{10 + round_to_units(points[0].point.device_seconds, MICROSECONDS):015d}",
        COLOUR: ORANGE if ends_at_knee else BLUE,
        "beaten_by": "nobody",
    }


def counts_as_ended(tags: Mapping[str, str]) -> bool:
    """Return whether a run is that of a trial that has ended, and that its study was not seen without."""
    is_trial = {"trial", "trial_state"} <= tags.keys() and "role" not in tags
    return is_trial and not LOST.items() <= tags.items()


def keep_trial_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return what of a run's tags `make_trial_tags` may change; the same object for all that are beaten."""
    if tags.get("frontier") == BEATEN["frontier"] and not LOST.items() <= tags.items():
        return BEATEN
    return {name: tags[name] for name in TRIAL_TAGS if name in tags}


def _make_beaten_tags(results: Results, trial: StudyTrial) -> dict[str, str]:
    by, points = results.find_dominator(trial), trial.points
    error = 1 - points[-1].accuracy if points else 1.0
    return {
        "frontier": "false",
        "knee": "false",
        "plot_order": f"1-{round(1e6 * error):07d}",
        COLOUR: PALE,
        "beaten_by": _describe_member(by) if by else _explain_without_rival(results, trial),
    }


def _explain_without_rival(results: Results, trial: StudyTrial) -> str:
    """Explain why a trial that no point beats is not on the frontier."""
    at_chance = any(results.is_at_chance(point.accuracy) for point in trial.points)
    return results.measure.guess if at_chance else f"no fair point ({trial.state})"


def _describe_member(member: FrontierPoint) -> str:
    accuracy, cost = (
        member.measure.format(member.point.accuracy),
        format_device_seconds(member.point.device_seconds),
    )
    return f"trial {member.trial.number}, epoch {member.epoch}: {accuracy} for {cost}"


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A run that is no trial, drawn into the chart: its name, its tags and its (step, accuracy) values."""

    name: str
    tags: dict[str, str]
    points: tuple[tuple[int, float], ...]


def make_marks(results: Results, unit: tuple[str, float]) -> tuple[ChartMark, ...]:
    """Return the frontier's line and, if there is one, the knee's dot: a trial has one dot alone, its end."""
    steps = select_frontier(flatten(member.point for member in results.frontier))
    # The page draws the first of its runs last, so no dot of the line hides the knee.
    line = ChartMark("drawn: the frontier", _make_mark_tags(1, BLUE), tuple(make_line_points(steps, unit)))
    bend = results.knee
    if bend is None:
        return (line,)
    name = f"drawn: the knee, trial {bend.trial.number}, epoch {bend.epoch}"
    dot = round_to_units(bend.point.device_seconds, unit), bend.point.accuracy
    return line, ChartMark(name, _make_mark_tags(0, ORANGE), (dot,))


def _make_mark_tags(position: int, colour: str) -> dict[str, str]:
    return {"role": LINE_ROLE, "plot_order": f"0-{position:015d}", COLOUR: colour}


def make_line_points(steps: Sequence[Point], unit: tuple[str, float]) -> list[tuple[int, float]]:
    """Return the staircase as (step, accuracy): each step flat up to one unit before the next, then up."""
    line: list[tuple[int, float]] = []
    for step in steps:
        cost = round_to_units(step.device_seconds, unit)
        if line and cost - 1 > line[-1][0]:
            line.append((cost - 1, line[-1][1]))
        if line and cost == line[-1][0]:
            line.pop()  # two steps within one unit: the better one
        line.append((cost, step.accuracy))
    return line


def find_shared_keys(results: Results) -> tuple[str, ...]:
    """Find the searched keys that every trial has: parallel coordinates leave out a run that lacks one."""
    params = [trial.params for trial in results.trials if trial.points]
    return tuple(key for key in (params[0] if params else ()) if all(key in values for values in params))


# ---- planting -----------------------------------------------------------------------------------------


def plant_study_views(
    client: MlflowClient,
    experiment_id: str,
    study_run_id: str,
    results: Results,
    cost_metric: str,
    unit: tuple[str, float],
    ui_base: str,
) -> str:
    """Plant the study's views and return the link to the first; see `shared_views.plant_views`.

    `cost_metric`: cpu_seconds or gpu_seconds; `unit`: of the cost axis.
    """
    steps = select_frontier(flatten(member.point for member in results.frontier))
    runs = f"tags.study = {quote(results.study)} AND tags.plot_order LIKE"
    everything = ViewPage(
        name=f"{results.accuracy_name} against cost",
        run_filter=f"{runs} '%-%'",
        dot_metric=make_cost_metric(cost_metric, unit, results.measure),
        cost_metric=cost_metric,
        param_keys=find_shared_keys(results),
        tag_keys=("trial_state", "test", "frontier", "knee", "beaten_by"),
        accuracy_range=choose_window(steps),
        close_up=choose_close_up(steps),
        further_metrics=tuple(kind.metric for kind in results.further),
        measure=results.measure,
    )
    frontier_only = replace(everything, name="frontier only", run_filter=f"{runs} '0-%'")
    trials = replace(
        everything,
        name="list of trials",
        run_filter=f"tags.study = {quote(results.study)} AND tags.frontier LIKE '%'",  # no mark has that
        tag_keys=("test", "trial_state", "frontier", "knee"),
        is_list=True,
    )
    pages = (everything, frontier_only, trials)
    return shared_views.plant_views(client, experiment_id, study_run_id, results.study, pages, ui_base)


def choose_window(steps: Sequence[Point]) -> dict[str, float]:
    """Choose the accuracies that the large chart shows: the whole frontier, from the cheapest to the best.

    Guesses far below it would press all that matters into a line at the top; the other charts show them.
    """
    if not steps:
        return {}
    accuracies = [step.accuracy for step in steps]
    return _pad_window(min(accuracies), max(accuracies), below=0.08, above=0.12)


def choose_close_up(steps: Sequence[Point]) -> dict[str, float]:
    """Choose the accuracies of a chart of the dear end: from a bit below the knee to a bit above the best.

    Nothing where there is no knee, or where the whole frontier is not much higher than that.
    """
    bend = find_knee(steps) if steps else None
    if not bend:
        return {}
    best, knee, cheapest = max(step.accuracy for step in steps), steps[bend].accuracy, steps[0].accuracy
    is_near = best - cheapest < 2 * (best - knee)
    return {} if is_near else _pad_window(knee, best, below=0.6, above=0.2)


def _pad_window(low: float, high: float, below: float, above: float) -> dict[str, float]:
    """Return a window around accuracies, with shares of its height for the axis and for dots at its edge."""
    height = max(high - low, 0.1 * (1 - high), 0.002)
    return {
        "yMin": max(0.0, round(low - below * height, 4)),
        "yMax": min(1.06, round(high + above * height, 4)),
    }


def make_study_metrics(results: Results) -> dict[str, float | None]:
    """Return the metrics of a study's run: the chosen points by all of their seeds, and what was spent."""
    best, knee, cheapest = results.best, results.knee, results.cheapest
    steps = [member.point for member in results.frontier]
    window = Bounds.enclose(results.points) if results.points else None
    return {
        "study/best": best.estimate.accuracy if best else None,
        "study/best_device_seconds": best.estimate.device_seconds if best else None,
        "study/best_test": best.confirmation.test_accuracy if best and best.confirmation else None,
        "study/knee": knee.estimate.accuracy if knee else None,
        "study/knee_device_seconds": knee.estimate.device_seconds if knee else None,
        "study/cheapest_device_seconds": cheapest.estimate.device_seconds if cheapest else None,
        "study/hypervolume": compute_log_hypervolume(steps, window) if window and steps else None,
        "study/paid_device_seconds": results.paid_seconds,
        "study/confirming_device_seconds": results.confirming_seconds or None,
        "study/trials": float(len(results.trials)),
        "study/frontier_points": float(len(results.frontier)),
    }
