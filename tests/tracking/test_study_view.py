"""The planted views: what runs carry, what is planted, and the stock UI that shows it."""

import base64
import json
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.frontier.dominance import select_frontier
from pipeline.measures import Point
from pipeline.reports.palette import BLUE, ORANGE, PALE
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import Results
from pipeline.tracking import mlflow_store, shared_views, study_view
from tests.support.planted import METRIC, planted
from tests.support.studies import study, study_over_three, tried

MS, US = ("ms", 1e3), ("us", 1e6)
CHEAP = tried(0, (0.80, 1.0))
BENT = tried(1, (0.50, 1.5), (0.95, 3.0))
BEST = tried(2, (0.96, 50.0))
POOR, POORER = tried(3, (0.90, 4.0)), tried(4, (0.70, 60.0))
BROKEN = tried(5, (0.99, 0.5), state="failed")
STUDY = Results(study="widths", data="digits", trials=(POORER, CHEAP, BROKEN, BENT, BEST, POOR))


# ---- what trials and the line carry -------------------------------------------------------------------


def test_the_cheapest_point_costs_at_least_a_hundred_units() -> None:
    assert shared_views.choose_cost_unit(0.1) == MS
    assert shared_views.choose_cost_unit(0.0999) == US
    assert shared_views.choose_cost_unit(30.0) == MS


def test_the_metric_says_kind_and_unit() -> None:
    assert shared_views.make_cost_metric("cpu_seconds", US) == "accuracy_at_cpu_us"
    assert shared_views.make_cost_metric("gpu_seconds", MS) == "accuracy_at_gpu_ms"


def test_steps_are_whole_and_never_zero() -> None:
    assert shared_views.round_to_units(0.0123456, US) == 12346
    assert shared_views.round_to_units(1e-9, US) == 1


def test_trials_are_tagged_by_where_they_stand() -> None:
    knee, beaten, failed = (study_view.make_trial_tags(STUDY, each) for each in (BENT, POORER, BROKEN))
    assert (knee["frontier"], knee["knee"], knee["beaten_by"], knee["mlflow.runColor"]) == (
        "true",
        "true",
        "nobody",
        ORANGE,  # it ends there, so its dot lies on the knee's
    )
    longer = tried(1, *((point.accuracy, point.device_seconds) for point in BENT.points), (0.94, 4.0))
    going_on = replace(STUDY, trials=(POORER, CHEAP, BROKEN, longer, BEST, POOR))
    tags = study_view.make_trial_tags(going_on, longer, {"mlflow.runColor": ORANGE})
    assert (tags["knee"], tags["mlflow.runColor"]) == ("true", BLUE)
    assert study_view.make_trial_tags(STUDY, BEST)["knee"] == "false"
    assert "mlflow.runColor" not in study_view.make_trial_tags(STUDY, BEST, {"mlflow.runColor": "#123456"})
    assert study_view.make_trial_tags(STUDY, BEST, {"mlflow.runColor": PALE})["mlflow.runColor"] == BLUE
    assert (beaten["frontier"], beaten["mlflow.runColor"]) == ("false", PALE)
    assert beaten["beaten_by"] == "trial 0, epoch 1: 80.00% for 1 device-second"
    assert failed["beaten_by"] == "no fair point (failed)"


def test_runs_sort_marks_first_then_the_frontier_by_cost_then_others_by_accuracy() -> None:
    line, knee = (mark.tags["plot_order"] for mark in study_view.make_marks(STUDY, MS))
    marks = [knee, line]  # what is first is drawn last, above all others
    trials = [
        study_view.make_trial_tags(STUDY, each)["plot_order"]
        for each in (CHEAP, BENT, BEST, POOR, POORER, BROKEN)
    ]
    assert [*marks, *trials] == sorted({*marks, *trials})


def test_what_is_told_of_a_beaten_trial_is_left_as_it_is() -> None:
    assert study_view.make_trial_tags(STUDY, POOR, {"frontier": "false"}) == {}
    fallen = study_view.make_trial_tags(STUDY, POOR, {"frontier": "true"})
    assert fallen["frontier"] == "false"
    risen = study_view.make_trial_tags(STUDY, BEST, {"frontier": "false", "beaten_by": "trial 0"})
    assert (risen["frontier"], risen["beaten_by"]) == ("true", "nobody")


def test_of_a_beaten_trial_next_to_nothing_is_remembered() -> None:
    tags = {"overrides": "[...]", "mlflow.note.content": "`...`", "fulcrum.study": "s"}
    beaten = [{**tags, **study_view.make_trial_tags(STUDY, each)} for each in (POOR, POORER)]
    assert study_view.keep_trial_tags(beaten[0]) is study_view.keep_trial_tags(beaten[1])
    on_frontier = study_view.make_trial_tags(STUDY, BEST)
    assert study_view.keep_trial_tags({**tags, **on_frontier}) == on_frontier
    assert study_view.keep_trial_tags(tags) == {}


def test_the_line_is_a_staircase() -> None:
    steps = [Point(0.8, 0.1), Point(0.9, 0.2), Point(0.95, 0.201), Point(0.96, 0.5)]
    assert study_view.make_line_points(steps, MS) == [
        (100, 0.8),
        (199, 0.8),
        (200, 0.9),
        (201, 0.95),
        (499, 0.95),
        (500, 0.96),
    ]


def test_two_steps_within_one_unit_are_one() -> None:
    steps = [Point(0.8, 0.1001), Point(0.9, 0.1002), Point(0.95, 0.1003)]
    assert study_view.make_line_points(steps, MS) == [(100, 0.95)]


@given(st.lists(st.builds(Point, st.floats(0, 1), st.floats(1e-7, 1e4)), min_size=1, max_size=40))
def test_any_line_climbs_through_the_frontier(points: list[Point]) -> None:
    steps = select_frontier(points)
    told = study_view.make_line_points(steps, US)
    assert all(one[0] < following[0] and one[1] <= following[1] for one, following in pairwise(told))
    assert told[-1] == (shared_views.round_to_units(steps[-1].device_seconds, US), steps[-1].accuracy)
    heights = dict(told)
    for step in steps:
        assert heights[shared_views.round_to_units(step.device_seconds, US)] >= step.accuracy


def test_the_knee_has_a_dot_of_its_own() -> None:
    line, knee = study_view.make_marks(STUDY, MS)
    assert knee.name == "drawn: the knee, trial 1, epoch 2"
    assert knee.points == ((3000, 0.95),)
    assert (line.tags["mlflow.runColor"], knee.tags["mlflow.runColor"]) == (BLUE, ORANGE)
    assert {mark.tags["role"] for mark in (line, knee)} == {study_view.LINE_ROLE}


def test_the_large_chart_shows_the_whole_frontier_and_a_second_one_its_dear_end() -> None:
    steps = [Point(0.1, 0.5), *(each.points[-1] for each in (CHEAP, BENT, BEST))]
    shown, near = study_view.choose_window(steps), study_view.choose_close_up(steps)
    assert 0 <= shown["yMin"] < 0.1
    assert 0.96 < shown["yMax"] <= 1.06
    assert 0.8 < near["yMin"] < 0.95
    assert 0.96 < near["yMax"] < 1.06
    assert study_view.choose_close_up([Point(0.90, 1.0), Point(0.93, 2.0)]) == {}
    assert study_view.choose_close_up([]) == {}
    assert study_view.choose_window([]) == {}
    assert study_view.choose_window([Point(1.0, 1.0)])["yMax"] > 1


def test_only_keys_that_every_trial_has_are_shown_together() -> None:
    sgd = tried(0, (0.5, 1.0), params={"optimizer": "sgd", "optimizer.momentum": 0.9, "model.hidden": 8})
    adam = tried(1, (0.5, 1.0), params={"optimizer": "adam", "model.hidden": 8})
    failed = tried(2, params={}, state="failed")
    assert study_view.find_shared_keys(Results(study="s", data="d", trials=(sgd, adam, failed))) == (
        "optimizer",
        "model.hidden",
    )


# ---- planting -----------------------------------------------------------------------------------------


@pytest.fixture
def client() -> MlflowClient:
    return mlflow_store.open_store()


@pytest.fixture
def experiment(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    """An experiment that nobody else uses."""
    return mlflow_store.find_or_create_experiment(client, f"views {request.node.name}")


def plant(client: MlflowClient, results: Results, experiment: str) -> str:
    return study_view.plant_study_views(
        client, experiment, "RUN", results, METRIC, MS, "http://127.0.0.1:5000/"
    )


def planted_views(client: MlflowClient, experiment: str) -> dict[str, dict[str, Any]]:
    """State by name."""
    tags = client.get_experiment(experiment).tags
    found = [json.loads(value) for key, value in tags.items() if key.startswith(shared_views.TAG)]
    return {
        view["name"]: json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
        for view in found
    }


def test_views_are_planted_and_the_link_opens_the_first(client: MlflowClient, experiment: str) -> None:
    link = plant(client, STUDY, experiment)
    assert link.startswith(f"http://127.0.0.1:5000/#/experiments/{experiment}/runs?viewStateShareKey=")
    key = link.partition("viewStateShareKey=")[2].partition("&")[0]
    assert f"{shared_views.TAG}{key}" in client.get_experiment(experiment).tags
    found = planted_views(client, experiment)
    assert set(found) == {
        "widths: accuracy against cost",
        "widths: frontier only",
        "widths: list of trials",
    }
    cards = found["widths: accuracy against cost"]["compareRunCharts"]
    assert [card["uuid"] for card in cards] == ["frontier", "curves", "close_up", "scatter", "settings"]
    assert cards[0]["metricKey"] == cards[2]["metricKey"] == "accuracy_at_cpu_ms"
    assert cards[0]["xAxisScaleType"] == "log"
    sections = [section["name"] for section in found["widths: accuracy against cost"]["compareRunSections"]]
    assert sections[:2] == ["Accuracy against cost", "Trials: learning curves"]
    assert [card["displayName"] for card in cards[:3]] == [
        "Accuracy against cost (Step: CPU ms, log scale)",
        "Accuracy by epoch (Step: device ms)",
        "From the knee on (Step: CPU ms)",
    ]
    assert cards[0]["range"]["yMin"] < CHEAP.points[0].accuracy < cards[2]["range"]["yMin"]
    assert cards[4]["selectedParams"] == ["model.hidden"]


def test_the_list_of_trials_has_what_a_point_is_chosen_by_in_sight(
    client: MlflowClient, experiment: str
) -> None:
    plant(client, STUDY, experiment)
    state = planted_views(client, experiment)["widths: list of trials"]
    columns = ["metrics.`accuracy`", "metrics.`cpu_seconds`", "tags.`test`", "tags.`trial_state`"]
    assert state["selectedColumns"] == [*columns, "tags.`frontier`", "tags.`knee`"]
    assert state["columnOrder"] == [*shared_views.COLUMNS, *state["selectedColumns"]]
    assert sum(state["columnWidths"].values()) < 1300  # pixels beside the menu, of a window of 1500
    note = client.get_experiment(experiment).tags[shared_views.NOTE]
    assert re.search(r", \[list of trials\]\(#/experiments/[^)]*&compareRunsMode=TABLE&", note)


def test_over_three_objectives_there_is_a_chart_for_each_two(client: MlflowClient, experiment: str) -> None:
    results = study_over_three()
    plant(client, results, experiment)
    state = planted_views(client, experiment)[f"{results.study}: accuracy against cost"]
    cards = {card["uuid"]: card for card in state["compareRunCharts"]}
    latency = "profile/latency_p50_ms"
    assert [(cards[key]["yaxis"]["key"], cards[key]["xaxis"]["key"]) for key in ("pair1", "pair2")] == [
        ("accuracy", latency),
        ("cpu_seconds", latency),
    ]
    assert f"metrics.`{latency}`" in state["selectedColumns"]
    assert [section["uuid"] for section in state["compareRunSections"]] == [
        "cost",
        "pairs",
        "trials",
        "settings",
    ]
    line, *_ = study_view.make_marks(results, MS)
    heights = [accuracy for _, accuracy in line.points]
    assert heights == sorted(heights), "the line is that of accuracy and cost alone"
    assert len(results.frontier) > len(set(heights))


def test_views_of_a_study_are_replaced_and_those_of_another_stay(
    client: MlflowClient, experiment: str
) -> None:
    first = plant(client, STUDY, experiment)
    assert plant(client, replace(STUDY, trials=STUDY.trials[:2]), experiment) == first
    assert len(planted_views(client, experiment)) == 3
    assert plant(client, replace(STUDY, study="depths"), experiment) != first
    assert len(planted_views(client, experiment)) == 6


def test_the_note_links_every_study_and_keeps_what_was_written(client: MlflowClient, experiment: str) -> None:
    client.set_experiment_tag(experiment, shared_views.NOTE, "What I want to know.\n\nA second paragraph.")
    for name in ("widths", "depths", "widths"):
        plant(client, replace(STUDY, study=name), experiment)
    lines = [line for line in client.get_experiment(experiment).tags[shared_views.NOTE].splitlines() if line]
    assert lines[0].startswith("**widths**: [accuracy against cost](#/experiments/")
    assert lines[1].startswith("**depths**: [")
    assert lines[2:] == ["What I want to know.", "A second paragraph."]


def test_a_view_fits_whatever_is_searched(client: MlflowClient, experiment: str) -> None:
    params = {f"some.group.with.a.long.key.number{number}": number for number in range(80)}
    plant(
        client, Results(study="s" * 200, data="d", trials=(tried(0, (0.5, 1.0), params=params),)), experiment
    )
    tags = client.get_experiment(experiment).tags
    assert all(
        len(value) < shared_views.LIMIT for key, value in tags.items() if key.startswith(shared_views.TAG)
    )


def test_a_study_without_points_has_its_views(client: MlflowClient, experiment: str) -> None:
    plant(client, Results(study="empty", data="d", trials=(BROKEN,)), experiment)
    cards = planted_views(client, experiment)["empty: accuracy against cost"]["compareRunCharts"]
    assert [card["type"] for card in cards] == ["LINE", "LINE", "SCATTER"]


@pytest.mark.parametrize("name", ["widths", "it's wide"])
def test_the_filter_finds_trials_and_marks_and_nothing_else(
    client: MlflowClient, experiment: str, name: str
) -> None:
    results = replace(STUDY, study=name)
    where = client.get_experiment(experiment).name
    planted(client, results, where)
    planted(client, replace(STUDY, study="another"), where)
    found = planted_views(client, experiment)
    everything, frontier, trials = (
        client.search_runs([experiment], found[f"{name}: {which}"]["searchFilter"])
        for which in ("accuracy against cost", "frontier only", "list of trials")
    )
    assert len(trials) == len(results.trials)
    assert len(everything) == len(results.trials) + 2
    assert len(frontier) == len(results.trials_on_frontier) + 2
    assert {run.data.tags["study"] for run in everything} == {name}


def test_where_mlflow_refuses_the_link_is_the_run(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MlflowException("read only")

    monkeypatch.setattr(client, "set_experiment_tag", refuse)
    assert (
        plant(client, STUDY, "7")
        == "http://127.0.0.1:5000/#/experiments/7/runs/RUN?workflowType=machine_learning"
    )


# ---- in a browser -------------------------------------------------------------------------------------

# Of every chart: its traces as [[x, ...], [y, ...]], the type of its x axis, and how many points are drawn.
CHARTS = """
return [...document.querySelectorAll('.js-plotly-plot')].map(chart => ({
    traces: chart.data.filter(trace => trace.x).map(trace => [[...trace.x], [...trace.y]]),
    axis: (chart._fullLayout.xaxis || {}).type,
    drawn: chart.querySelectorAll('.scatterlayer .point').length,
}))
"""


def charts(browser: webdriver.Chrome, ready: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The charts, once they are drawn as they should be."""

    def drawn(seen: webdriver.Chrome) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = seen.execute_script(CHARTS)
        return found if ready(found) else None

    return patient(browser).until(drawn, "the charts were never drawn")


def patient(browser: webdriver.Chrome) -> WebDriverWait[webdriver.Chrome]:
    """Waits longer than a busy machine takes to draw; a script that times out meanwhile is tried again."""
    return WebDriverWait(browser, 300, ignored_exceptions=[WebDriverException])


def shown(browser: webdriver.Chrome, name: str) -> None:
    if folder := os.environ.get("FULCRUM_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / name))


@pytest.mark.browser
def test_one_click_shows_dots_and_the_line(ui: str, browser: webdriver.Chrome) -> None:
    results = study("digits")
    link = planted(mlflow_store.open_store(), results, "planted", ui)
    unit = shared_views.choose_cost_unit(min(point.device_seconds for point in results.points))
    line = study_view.make_line_points([member.point for member in results.frontier], unit)
    ends = {
        (shared_views.round_to_units(each.points[-1].device_seconds, unit), each.points[-1].accuracy)
        for each in results.trials
        if each.points
    }
    browser.set_window_size(1400, 2000)
    browser.get(f"{ui}/#/experiments")
    browser.execute_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    browser.get(link)

    def ready(found: list[dict[str, Any]]) -> bool:
        return len(found) >= 3 and found[0]["axis"] == "log" and found[0]["drawn"] > len(line)

    first, *_ = charts(browser, ready)
    traces = [list(zip(*trace, strict=True)) for trace in first["traces"]]
    assert [tuple(pair) for pair in max(traces, key=len)] == line
    dots = {tuple(trace[0]) for trace in traces if len(trace) == 1}
    knee = results.knee
    assert knee is not None
    assert dots == ends | {
        (shared_views.round_to_units(knee.point.device_seconds, unit), knee.point.accuracy)
    }
    try:
        WebDriverWait(browser, 120).until(
            lambda seen: seen.find_elements(By.CSS_SELECTOR, ".parcoords .dimension")
        )
    except TimeoutException:
        said = browser.find_element(By.TAG_NAME, "body").text
        pytest.fail(f"no parallel coordinates: {said[-3000:]}, console: {browser.get_log('browser')}")
    text = browser.find_element(By.TAG_NAME, "body").text
    assert f"{len(results.trials) + 2} matching runs" in text
    assert "Accuracy against cost (Step: CPU µs, log scale)" in text
    shown(browser, "frontier.png")


def test_the_area_is_the_same_in_mlflow_and_on_the_page_where_cheap_points_only_guess() -> None:
    """A point at chance level is none of the frontier, so its area is none of what the frontier has."""
    trials = tried(0, (0.5, 0.001), (0.52, 0.01)), tried(1, (0.9, 1.0), (0.95, 2.0))
    results = Results(study="s", data="d", trials=trials, split=ValidationSplit(400, 0.5))
    assert [member.trial.number for member in results.frontier] == [1, 1]
    (_, first), (_, last) = results.compute_progress()
    assert first == 0
    assert last == study_view.make_study_metrics(results)["study/hypervolume"]


def test_a_study_has_metrics_by_which_studies_are_compared() -> None:
    metrics = study_view.make_study_metrics(STUDY)
    assert metrics["study/trials"] == len(STUDY.trials)
    assert metrics["study/best"] == max(member.estimate.accuracy for member in STUDY.frontier)
    assert metrics["study/paid_device_seconds"] == STUDY.paid_seconds
    assert 0 < (metrics["study/hypervolume"] or 0) <= 1
    assert metrics["study/best_test"] is None
    empty = study_view.make_study_metrics(Results(study="s", data="d", trials=()))
    assert {name for name, value in empty.items() if value is not None} == {
        "study/paid_device_seconds",
        "study/trials",
        "study/frontier_points",
    }
