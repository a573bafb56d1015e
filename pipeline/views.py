"""The planted MLflow views: one click from a link to accuracy against device-seconds, in the stock UI.

MLflow keeps a shared view of an experiment's runs page as one tag of the experiment,
`mlflow.sharedViewState.<id>`: JSON with the state of the page. The format is MLflow's own and was read off
3.17; where another version does not know it, the page opens as it always does, and nothing here fails.

In that page a line chart over the step is the only one that knows a log axis. So a trial logs its accuracy
once with its cost as the *step*, in whole units, which draws a dot; runs of their own log the frontier's
staircase and the knee under the same name (`marks`). The page loads 100 runs, sorted by the tag `plot_order`:
the marks, then the frontier, then the others by accuracy.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.frontier import knee
from pipeline.measures import Point
from pipeline.palette import BLUE, ORANGE, PALE
from pipeline.results import Member, Results, Tried
from pipeline.wording import short

LINE_ROLE = "frontier_line"
CURVES = "train/validation_accuracy_at_device_ms"
TAG, NOTE = "mlflow.sharedViewState.", "mlflow.note.content"
LIMIT = 20_000  # characters of the tag that the UI itself keeps to
RUNS = 100  # on a page
LEAST_UNITS = 100  # that the cheapest point should cost, so that rounding moves no dot by more than 1 %
MOST_LINES = 20  # of links in an experiment's note


# ---- what trials and the line carry -------------------------------------------------------------------


def cost_unit(cheapest_seconds: float) -> tuple[str, float]:
    """Name and size of whole steps on the cost axis: (ms, 1000) or (us, 1000000) in a second."""
    return ("ms", 1e3) if cheapest_seconds * 1e3 >= LEAST_UNITS else ("us", 1e6)


def at_cost(cost_metric: str, unit: tuple[str, float]) -> str:
    """The metric whose step is the cost: `accuracy_at_cpu_ms`."""
    return f"accuracy_at_{cost_metric.removesuffix('_seconds')}_{unit[0]}"


def whole_units(device_seconds: float, unit: tuple[str, float]) -> int:
    """A cost as a step; a log axis has no 0."""
    return max(1, round(device_seconds * unit[1]))


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
        "plot_order": f"0-{10 + whole_units(own[0].point.device_seconds, ('us', 1e6)):015d}",
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
    """Set the views of a study into its experiment, and their link into its note; the link.

    Views of the same study are replaced. `cost_metric`: cpu_seconds or gpu_seconds; `unit`: of the cost axis;
    `ui_base`: where the UI listens. Where MLflow refuses, the link is that of the study's run.
    """
    study, steps = results.study, [member.point for member in results.members()]
    page = f"#/experiments/{experiment_id}/runs"
    run = f"{page}/{study_run_id}"
    dots = at_cost(cost_metric, unit)
    main, frontier = _id(study, "main"), _id(study, "frontier")
    everything = _state(study, dots, cost_metric, shared_keys(results), window(steps))
    frontier_only = everything | {
        "searchFilter": f"tags.study = {_quoted(study)} AND tags.plot_order LIKE '0-%'"
    }
    views = {
        main: _view(f"{study}: accuracy against cost", everything),
        frontier: _view(f"{study}: frontier only", frontier_only),
    }
    link = f"{page}?viewStateShareKey={main}&compareRunsMode=CHART&workflowType=machine_learning"
    try:
        for key, view in views.items():
            client.set_experiment_tag(experiment_id, f"{TAG}{key}", view)
        with suppress(MlflowException):
            client.set_experiment_tag(experiment_id, NOTE, _noted(client, experiment_id, study, link, run))
    except MlflowException:
        link = run
    return f"{ui_base.rstrip('/')}/{link}"


def window(steps: Sequence[Point]) -> dict[str, float]:
    """Accuracies that the large chart shows: from somewhat below the knee to somewhat above the best.

    Guesses far below would press all that matters into a line at the top; the other charts show them.
    """
    if not steps:
        return {}
    bend, best = steps[knee(steps)].accuracy, max(step.accuracy for step in steps)
    height = max(best - bend, 0.5 * (1 - bend), 0.002)
    return {"yMin": max(0.0, round(bend - 0.6 * height, 4)), "yMax": min(1.02, round(best + 0.2 * height, 4))}


def _id(study: str, view: str) -> str:
    """The same for the same view of the same study, so that a new one takes the old one's place."""
    return hashlib.sha256(f"{study}\n{view}".encode()).hexdigest()


def _noted(client: MlflowClient, experiment_id: str, study: str, link: str, run: str) -> str:
    """The experiment's note with this study's line first; the user's own text stays, below."""
    before = client.get_experiment(experiment_id).tags.get(NOTE, "").splitlines()
    mark = f"**{study}**: ["
    links = [line for line in before if line.startswith("**") and "viewStateShareKey=" in line]
    others = [line for line in links if not line.startswith(mark)][: MOST_LINES - 1]
    rest = "\n".join(line for line in before if line not in links).strip("\n")
    own = f"{mark}accuracy against cost]({link}), [its run]({run})"
    return "\n\n".join([own, *others, *([rest] if rest else [])])


def _view(name: str, state: Mapping[str, Any]) -> str:
    now = int(1000 * time.time())
    packed = base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return json.dumps(view)


# ---- the page -----------------------------------------------------------------------------------------


def _state(
    study: str, dots: str, cost_metric: str, keys: Sequence[str], shown: Mapping[str, float]
) -> dict[str, Any]:
    """What the runs page shows: its filter, its order, its columns and its charts."""
    sections = {"cost": (1, 460), "trials": (2, 380), "settings": (1, 420)}
    names = {
        "cost": f"Accuracy against {_spelled(dots)} (log)",
        "trials": "Trials and their curves",
        "settings": "Settings",
    }
    return {
        "searchFilter": f"tags.study = {_quoted(study)} AND tags.plot_order LIKE '%-%'",
        "orderByKey": "tags.`plot_order`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [
            *(f"metrics.`{key}`" for key in ("accuracy", cost_metric)),
            *(f"params.`{key}`" for key in keys),
            *(f"tags.`{key}`" for key in ("frontier", "knee", "beaten_by")),
        ],
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "isAccordionReordered": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "compareRunSections": [_section(key, names[key], *size) for key, size in sections.items()],
        "compareRunCharts": list(_cards(dots, cost_metric, keys, shown)),
    }


def _spelled(dots: str) -> str:
    """`accuracy_at_cpu_us` -> CPU µs."""
    kind, unit = dots.split("_")[-2:]
    return f"{kind.upper()} {unit.replace('us', 'µs')}"


def _section(key: str, name: str, columns: int, height: int) -> dict[str, Any]:
    return {
        "uuid": key,
        "name": name,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": height,
    }


def _cards(
    dots: str, cost_metric: str, keys: Sequence[str], shown: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    yield _line("frontier", "cost", dots) | {"range": dict(shown)}
    yield _card("scatter", "SCATTER", "trials") | {
        "xaxis": {"key": cost_metric, "type": "METRIC"},
        "yaxis": {"key": "accuracy", "type": "METRIC"},
    }
    yield _line("curves", "trials", CURVES)
    if keys:
        yield _card("settings", "PARALLEL", "settings") | {
            "selectedParams": list(keys),
            "selectedMetrics": [cost_metric, "accuracy"],  # the last one is the colour
            "showAllRuns": False,
        }


def _line(key: str, section: str, metric: str) -> dict[str, Any]:
    return _card(key, "LINE", section) | {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "xAxisScaleType": "log",
        "scaleType": "linear",
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
        "lineSmoothness": 0,
        "range": {},
    }


def _card(key: str, kind: str, section: str) -> dict[str, Any]:
    return {
        "uuid": key,
        "type": kind,
        "metricSectionId": section,
        "runsCountToCompare": RUNS,
        "deleted": False,
        "isGenerated": False,
    }


def _quoted(text: str) -> str:
    """A string in MLflow's filter language, which has no way to escape a quote."""
    return f'"{text}"' if "'" in text else f"'{text}'"
