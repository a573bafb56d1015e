"""The page that a planted MLflow view opens: its state, its charts, and how it is planted.

MLflow keeps a shared view of an experiment's runs page as one tag of the experiment,
`mlflow.sharedViewState.<id>`: JSON with the state of the page. The format is MLflow's own and was read off
3.17; where another version does not know it, the page opens as it always does, and nothing here fails.

In that page a line chart over the step is the only one that knows a log axis, which it calls "Step" whatever
is counted. So accuracy is logged once with its cost as the *step*, in whole units, and the titles say so. The
page loads 100 runs, sorted by the tag `plot_order`.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.formatting import escape_markdown
from pipeline.settings.addresses import make_run_route
from pipeline.settings.searching.measures import ACCURACY_MEASURE, Measure

MILLISECONDS, MICROSECONDS = ("ms", 1e3), ("us", 1e6)
"""Units of the cost axis: name, and how many are a second."""
TAG, NOTE = "mlflow.sharedViewState.", "mlflow.note.content"
LIMIT = 20_000  # characters of the tag that the UI itself keeps to
RUNS = 100  # on a page
MIN_UNITS = 100  # that the cheapest point should cost, so that rounding moves no dot by more than 1 %
MAX_LINES = 20  # of links in an experiment's note
COLUMNS = {"attributes.`Run Name`": 270, "runDateAndNestInfo": 150, "duration": 80}
"""Columns that a list of runs always has, the status in the second, and their widths in pixels."""


def make_curves_metric(measure: Measure = ACCURACY_MEASURE) -> str:
    """Make the name of the metric of learning curves, its steps in `MILLISECONDS`.

    The page of a run sorts its sections by name: these come first.
    """
    return f"curve/validation_{measure.metric}_at_device_ms"


# ---- cost as a step -----------------------------------------------------------------------------------


def choose_cost_unit(cheapest_seconds: float) -> tuple[str, float]:
    """Choose the coarser unit in which the cheapest point still costs enough."""
    return MILLISECONDS if cheapest_seconds * MILLISECONDS[1] >= MIN_UNITS else MICROSECONDS


def make_cost_metric(cost_metric: str, unit: tuple[str, float], measure: Measure = ACCURACY_MEASURE) -> str:
    """Make the name of the metric whose step is the cost: `accuracy_at_cpu_ms`."""
    return f"{measure.metric}_at_{cost_metric.removesuffix('_seconds')}_{unit[0]}"


def round_to_units(device_seconds: float, unit: tuple[str, float]) -> int:
    """Round a cost to a step; a log axis has no 0."""
    return max(1, round(device_seconds * unit[1]))


# ---- planting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPage:
    """The content of one view.

    `run_filter`: in MLflow's own words; `dot_metric`: the one whose step is the cost; `accuracy_range`: yMin
    and yMax of the large chart, or nothing; `close_up`: those of a second one, or nothing; `further_metrics`:
    of the objectives beside accuracy and cost; `measure`: what the accuracy is; `is_list`: it opens as a list
    of runs, with metrics and `tag_keys` alone as its columns.
    """

    name: str
    run_filter: str
    dot_metric: str
    cost_metric: str
    param_keys: Sequence[str]
    tag_keys: Sequence[str]
    accuracy_range: Mapping[str, float]
    close_up: Mapping[str, float] = field(default_factory=dict)
    curves_title: str = "Trials: learning curves"
    further_metrics: Sequence[str] = ()
    measure: Measure = ACCURACY_MEASURE
    is_list: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns of the list of runs, in MLflow's words; it groups them by kind, params before tags."""
        metrics = (self.measure.metric, self.cost_metric, *self.further_metrics)
        params = () if self.is_list else self.param_keys
        keys = {"metrics": metrics, "params": params, "tags": self.tag_keys}
        return [f"{kind}.`{key}`" for kind, names in keys.items() for key in names]


def plant_views(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    subject: str,
    pages: Sequence[ViewPage],
    ui_base: str,
) -> str:
    """Set the views of `subject` into its experiment, with links in its note; return the first one's link.

    Views of the same subject and name are replaced. `ui_base`: where the UI listens. Where MLflow refuses,
    the link is that of the run.
    """
    run = make_run_route(experiment_id, run_id)
    link = _make_link(experiment_id, subject, pages[0])
    lists = {page.name: _make_link(experiment_id, subject, page) for page in pages if page.is_list}
    links = {f"{pages[0].measure.label} against cost": link, **lists, "its run": run}
    try:
        for page in pages:
            view = _make_view(f"{subject}: {page.name}", _make_state(page))
            client.set_experiment_tag(experiment_id, f"{TAG}{_make_id(subject, page.name)}", view)
        with suppress(MlflowException):
            client.set_experiment_tag(experiment_id, NOTE, _make_note(client, experiment_id, subject, links))
    except MlflowException:
        link = run
    return f"{ui_base.rstrip('/')}/{link}"


def _make_link(experiment_id: str, subject: str, page: ViewPage) -> str:
    """Make the address of a view, from the `#` on."""
    mode, key = "TABLE" if page.is_list else "CHART", _make_id(subject, page.name)
    view = f"viewStateShareKey={key}&compareRunsMode={mode}&workflowType=machine_learning"
    return f"#/experiments/{experiment_id}/runs?{view}"


def _make_id(subject: str, view: str) -> str:
    """Make an id that is the same for the same view of a subject: a new one replaces the old one."""
    return hashlib.sha256(f"{subject}\n{view}".encode()).hexdigest()


def _make_note(client: MlflowClient, experiment_id: str, study: str, addresses: Mapping[str, str]) -> str:
    """Make the experiment's note with this study's line first; the user's own text stays, below.

    `addresses`: by the words of their links.
    """
    before = client.get_experiment(experiment_id).tags.get(NOTE, "").splitlines()
    mark = f"**{escape_markdown(study)}**: ["
    links = [line for line in before if line.startswith("**") and "viewStateShareKey=" in line]
    others = [line for line in links if not line.startswith(mark)][: MAX_LINES - 1]
    rest = "\n".join(line for line in before if line not in links).strip("\n")
    named = ", ".join(f"[{name}]({address})" for name, address in addresses.items())
    line = f"{mark}{named.removeprefix('[')}"
    return "\n\n".join([line, *others, *([rest] if rest else [])])


def _make_view(name: str, state: Mapping[str, Any]) -> str:
    now = int(1000 * time.time())
    packed = base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return json.dumps(view)


# ---- the state of the page ----------------------------------------------------------------------------


def _make_state(page: ViewPage) -> dict[str, Any]:
    """Make the state of the runs page: its filter, its order, its columns and its charts."""
    sections = {"cost": (1, 460), "trials": (2, 380), "settings": (1, 420)}
    if page.further_metrics:
        sections = {"cost": (1, 460), "pairs": (2, 380), "trials": (2, 380), "settings": (1, 420)}
    names = {
        "cost": f"{page.measure.title} against cost",
        "trials": page.curves_title,
        "pairs": "The other objectives, in pairs",
        "settings": "Settings",
    }
    return {
        "searchFilter": page.run_filter,
        "orderByKey": "tags.`plot_order`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": page.columns,
        "columnOrder": [*COLUMNS, *page.columns] if page.is_list else [],
        "columnWidths": {**COLUMNS, **dict.fromkeys(page.columns, 125)} if page.is_list else {},
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "isAccordionReordered": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "compareRunSections": [_make_section(key, names[key], *size) for key, size in sections.items()],
        "compareRunCharts": list(_make_cards(page)),
    }


def _format_axis(dots: str) -> str:
    """Format the axis of a metric: `accuracy_at_cpu_us` -> CPU µs."""
    kind, unit = dots.split("_")[-2:]
    return f"{kind.upper()} {unit.replace('us', 'µs')}"


def _make_section(key: str, name: str, columns: int, height: int) -> dict[str, Any]:
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


def _make_cards(page: ViewPage) -> Iterator[dict[str, Any]]:
    title, cost = page.measure.title, f"Step: {_format_axis(page.dot_metric)}"
    large = _make_line_card("frontier", "cost", page.dot_metric, f"{title} against cost ({cost}, log scale)")
    yield large | {"range": dict(page.accuracy_range)}
    curves = make_curves_metric(page.measure)
    yield _make_line_card("curves", "trials", curves, f"{title} by epoch (Step: device ms)")
    if page.close_up:
        near = _make_line_card("close_up", "trials", page.dot_metric, f"From the knee on ({cost})")
        yield near | {"range": dict(page.close_up)}
    names = [page.measure.metric, page.cost_metric, *page.further_metrics]
    for number, (up, across) in enumerate(list(combinations(names, 2))[1:], start=1):
        yield _make_scatter_card(f"pair{number}", "pairs", across, up)
    yield _make_scatter_card("scatter", "trials", page.cost_metric, page.measure.metric)
    if page.param_keys:
        yield _make_card("settings", "PARALLEL", "settings") | {
            "selectedParams": list(page.param_keys),
            # The last one is the colour.
            "selectedMetrics": [*page.further_metrics, page.cost_metric, page.measure.metric],
            "showAllRuns": False,
        }


def _make_scatter_card(key: str, section: str, across: str, up: str) -> dict[str, Any]:
    return _make_card(key, "SCATTER", section) | {
        "xaxis": {"key": across, "type": "METRIC"},
        "yaxis": {"key": up, "type": "METRIC"},
    }


def _make_line_card(key: str, section: str, metric: str, title: str) -> dict[str, Any]:
    return _make_card(key, "LINE", section) | {
        "displayName": title,
        # Without it the title is the metric's name; it is meant for charts of the machines of a run.
        "nodeLevelSystemMetricConfiguration": {"metric": title, "type": "node"},
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


def _make_card(key: str, kind: str, section: str) -> dict[str, Any]:
    return {
        "uuid": key,
        "type": kind,
        "metricSectionId": section,
        "runsCountToCompare": RUNS,
        "deleted": False,
        "isGenerated": False,
    }
