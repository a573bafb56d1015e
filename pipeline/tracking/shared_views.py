"""The page that a planted MLflow view opens: its state, its charts, and how it is planted.

MLflow keeps a shared view of an experiment's runs page as one tag of the experiment,
`mlflow.sharedViewState.<id>`: JSON with the state of the page. The format is MLflow's own and was read off
3.17; where another version does not know it, the page opens as it always does, and nothing here fails.

In that page a line chart over the step is the only one that knows a log axis. So accuracy is logged once with
its cost as the *step*, in whole units. The page loads 100 runs, sorted by the tag `plot_order`.
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

MILLISECONDS, MICROSECONDS = ("ms", 1e3), ("us", 1e6)
"""Units of the cost axis: name, and how many are a second."""
CURVES = "train/validation_accuracy_at_device_ms"
"""The metric of learning curves, its steps in `MILLISECONDS`."""
TAG, NOTE = "mlflow.sharedViewState.", "mlflow.note.content"
LIMIT = 20_000  # characters of the tag that the UI itself keeps to
RUNS = 100  # on a page
LEAST_UNITS = 100  # that the cheapest point should cost, so that rounding moves no dot by more than 1 %
MOST_LINES = 20  # of links in an experiment's note


# ---- cost as a step -----------------------------------------------------------------------------------


def cost_unit(cheapest_seconds: float) -> tuple[str, float]:
    """The coarser unit in which the cheapest point still costs enough."""
    return MILLISECONDS if cheapest_seconds * MILLISECONDS[1] >= LEAST_UNITS else MICROSECONDS


def at_cost(cost_metric: str, unit: tuple[str, float]) -> str:
    """The metric whose step is the cost: `accuracy_at_cpu_ms`."""
    return f"accuracy_at_{cost_metric.removesuffix('_seconds')}_{unit[0]}"


def whole_units(device_seconds: float, unit: tuple[str, float]) -> int:
    """A cost as a step; a log axis has no 0."""
    return max(1, round(device_seconds * unit[1]))


# ---- planting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """What one view shows. `runs`: a filter in MLflow's own words; `dots`: the metric whose step is the cost;
    `shown`: yMin and yMax of the large chart, or nothing.
    """

    name: str
    runs: str
    dots: str
    cost_metric: str
    keys: Sequence[str]
    tags: Sequence[str]
    shown: Mapping[str, float]
    trials: str = "Trials and their curves"


def plant(
    client: MlflowClient, experiment_id: str, run_id: str, subject: str, pages: Sequence[Page], ui_base: str
) -> str:
    """Set the views of `subject` into its experiment, and the link to the first into its note; the link.

    Views of the same subject and name are replaced. `ui_base`: where the UI listens. Where MLflow refuses,
    the link is that of the run.
    """
    runs = f"#/experiments/{experiment_id}/runs"
    run = f"{runs}/{run_id}"
    keys = [_id(subject, page.name) for page in pages]
    link = f"{runs}?viewStateShareKey={keys[0]}&compareRunsMode=CHART&workflowType=machine_learning"
    try:
        for key, page in zip(keys, pages, strict=True):
            view = _view(f"{subject}: {page.name}", _state(page))
            client.set_experiment_tag(experiment_id, f"{TAG}{key}", view)
        with suppress(MlflowException):
            client.set_experiment_tag(experiment_id, NOTE, _noted(client, experiment_id, subject, link, run))
    except MlflowException:
        link = run
    return f"{ui_base.rstrip('/')}/{link}"


def _id(subject: str, view: str) -> str:
    """The same for the same view of the same subject, so that a new one takes the old one's place."""
    return hashlib.sha256(f"{subject}\n{view}".encode()).hexdigest()


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


def quoted(text: str) -> str:
    """A string in MLflow's filter language, which has no way to escape a quote."""
    return f'"{text}"' if "'" in text else f"'{text}'"


# ---- the state of the page ----------------------------------------------------------------------------


def _state(page: Page) -> dict[str, Any]:
    """What the runs page shows: its filter, its order, its columns and its charts."""
    sections = {"cost": (1, 460), "trials": (2, 380), "settings": (1, 420)}
    names = {
        "cost": f"Accuracy against {_spelled(page.dots)} (log)",
        "trials": page.trials,
        "settings": "Settings",
    }
    return {
        "searchFilter": page.runs,
        "orderByKey": "tags.`plot_order`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [
            *(f"metrics.`{key}`" for key in ("accuracy", page.cost_metric)),
            *(f"params.`{key}`" for key in page.keys),
            *(f"tags.`{key}`" for key in page.tags),
        ],
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "isAccordionReordered": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "compareRunSections": [_section(key, names[key], *size) for key, size in sections.items()],
        "compareRunCharts": list(_cards(page)),
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


def _cards(page: Page) -> Iterator[dict[str, Any]]:
    yield _line("frontier", "cost", page.dots) | {"range": dict(page.shown)}
    yield _card("scatter", "SCATTER", "trials") | {
        "xaxis": {"key": page.cost_metric, "type": "METRIC"},
        "yaxis": {"key": "accuracy", "type": "METRIC"},
    }
    yield _line("curves", "trials", CURVES)
    if page.keys:
        yield _card("settings", "PARALLEL", "settings") | {
            "selectedParams": list(page.keys),
            "selectedMetrics": [page.cost_metric, "accuracy"],  # the last one is the colour
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
