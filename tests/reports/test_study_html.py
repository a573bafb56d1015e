"""The page of a study opens without a network and shows the command of a point."""

import json
import math
import os
import random
import re
from dataclasses import replace
from pathlib import Path

import plotly.offline  # type: ignore[import-untyped]
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.reports import study_charts, study_html, study_markdown
from pipeline.search.results import Results
from pipeline.settings.addresses import FEED, PAGE
from tests.support.odd_studies import ODD, name_study
from tests.support.studies import study, tried

STUDY = study()


def test_the_page_needs_no_network_and_offers_no_upload() -> None:
    html = study_html.render_frontier(STUDY)
    assert len(html) > 3_000_000
    assert not re.search(r"<(script|link)[^>]+(src|href)=(?!\"data:)", html)
    assert '"showSendToCloud":false' in html


def test_hovering_shows_the_command_and_the_values() -> None:
    html = study_html.render_frontier(STUDY)
    member = STUDY.frontier[-1]
    assert f"trial {member.trial.number}, {member.epoch} epochs" in html
    assert f"train.epochs={member.epoch}" in html
    assert f"model.hidden = {member.trial.params['model.hidden']}" in html


def test_accuracies_of_a_confirmed_frontier_stand_side_by_side() -> None:
    _, _, table = study_html.render_frontier(STUDY).rpartition('<table id="points"')
    assert '<th scope="col">search</th><th scope="col">new seeds</th><th scope="col">test</th>' in table
    assert table.count("<tr ") == len(STUDY.frontier)
    member = STUDY.frontier[-1]
    assert member.confirmation is not None
    cells = [f"{member.point.accuracy:.2%}", f"{member.confirmation.accuracy:.2%}"]
    row = f'<th scope="row">{member.estimate.format()}</th>' + "".join(f"<td>{cell}</td>" for cell in cells)
    assert row in table
    assert f"<td>{member.confirmation.test_accuracy:.2%}</td>" in table


def test_the_page_has_every_trial_and_point_as_data() -> None:
    data = study_html.make_page_data(STUDY, "http://here/runs/")
    assert len(data["trials"]) == len(STUDY.trials)
    assert [point["command"] for point in data["points"]] == [member.command for member in STUDY.frontier]
    assert [point["knee"] for point in data["points"]].count(True) == 1
    values = [step["value"] for step in data["sliders"]["at-least"]]
    assert values == sorted(values)
    assert json.loads(json.dumps(data, allow_nan=False))["points"] == data["points"]


def confirm_the_first(results: Results, count: int) -> Results:
    """The same study of which the first points alone are confirmed, as after an early end."""
    keys = {member.key for member in results.frontier[:count]}
    trials = (
        replace(
            trial,
            confirmations={
                epoch: new for epoch, new in trial.confirmations.items() if (trial.number, epoch) in keys
            },
        )
        for trial in results.trials
    )
    return replace(results, trials=tuple(trials))


def test_one_trial_has_axes_on_which_it_lies_in_the_middle() -> None:
    """The page is written from the first trial on, and its end is drawn by numbers of 4 bytes, it by 8."""
    one = Results(study="one", data="csv", trials=(tried(0, (0.81, 1.2)),))
    first, many = (study_charts.draw_frontier(each).layout for each in (one, STUDY))
    assert first.xaxis.range == pytest.approx([math.log10(0.8), math.log10(1.8)])
    assert first.yaxis.range == pytest.approx([math.log10(0.285), math.log10(0.19 / 1.5)])
    assert (many.xaxis.range, many.yaxis.range, many.yaxis.autorange) == (None, None, "reversed")


def test_points_to_choose_from_are_those_of_the_command_frontier() -> None:
    results = confirm_the_first(STUDY, 3)
    data = study_html.make_page_data(results)
    candidates = [point["command"] for point in data["points"] if point["candidate"]]
    assert candidates == [member.command for member in results.candidates]
    assert len(candidates) == 3 < len(data["points"])
    assert [step["value"] for step in data["sliders"]["within"]] == sorted(
        member.estimate.device_seconds for member in results.candidates
    )


def test_a_point_names_the_epochs_of_its_command_and_not_those_that_its_trial_was_to_have() -> None:
    longer = [replace(trial, params={**trial.params, "train.epochs": 99}) for trial in STUDY.trials]
    points = study_html.make_page_data(replace(STUDY, trials=tuple(longer)))["points"]
    assert points
    for point in points:
        assert f"train.epochs={point['params']['train.epochs']}" in point["command"].split()


def test_curves_and_ends_are_typed_arrays_and_their_texts_are_written_by_the_page() -> None:
    traces = {trace["name"]: trace for trace in study_html.make_page_data(STUDY)["figure"]["data"]}
    for name in ("curves", "complete trials", "paused trials"):
        assert traces[name]["type"] == "scattergl"
        assert traces[name]["x"]["dtype"] == "f4"
        assert traces[name].get("text") is None
    ended = [trial.number for trial in STUDY.trials if trial.state == "complete" and trial.points]
    assert list(traces["complete trials"]["customdata"]) == ended


def test_a_second_study_is_drawn_with_its_points_and_told_apart() -> None:
    other = replace(study("digits"), study="other")
    data = study_html.make_page_data(STUDY, overlay=other)
    (trace,) = [each for each in data["figure"]["data"] if each["name"] == "frontier of other"]
    points = {point["key"]: point for point in data["overlay"]["points"]}
    assert set(trace["customdata"]) <= points.keys()
    assert len(points) == len(other.frontier)
    assert not points.keys() & {point["key"] for point in data["points"]}
    assert data["spent"].endswith("; with the frontier of other")
    elsewhere = replace(other, trials=tuple(replace(each, device="a GPU") for each in other.trials))
    assert data["overlay"]["progress"][-1][1] != other.compute_progress()[-1][1]  # of one window for both
    assert study_html.make_page_data(STUDY, overlay=elsewhere)["spent"].endswith(
        "which is of another device (a GPU)"
    )


def test_the_feed_has_what_the_page_has_and_the_table() -> None:
    feed = study_html.render_feed(STUDY, "http://here/runs/")
    state = json.loads(feed.removeprefix("receiveStudy(").removesuffix(");\n"))
    assert state["table"] == study_html.render_table(STUDY)
    assert state["feed"] == FEED
    page = study_html.make_page_data(STUDY, "http://here/runs/", is_live=True)
    assert state.keys() - {"table"} == page.keys()


def test_what_was_found_in_the_data_stands_on_the_page_and_in_the_note() -> None:
    odd = replace(STUDY, remarks=("7 rows <b>repeat",))
    assert "<li>7 rows &lt;b&gt;repeat</li>" in study_html.render_frontier(odd)
    assert "Data: what to look at" not in study_html.render_frontier(STUDY)
    assert "Data: 7 rows" in study_markdown.write_note(odd, "http://here")


def test_no_text_of_a_study_ends_its_script() -> None:
    odd = replace(STUDY, study="</script><b>x")
    html = study_html.render_frontier(odd)
    assert "</script><b>" not in html


@pytest.mark.parametrize("results", ODD, ids=name_study)
def test_odd_studies_have_their_page(results: Results) -> None:
    main = study_html.render_frontier(results).partition("<main>")[2]
    assert "<i>" not in main
    assert '"points":' in main
    assert json.loads(study_html.render_feed(results)[len("receiveStudy(") : -3])["points"] is not None


def open_page(browser: webdriver.Chrome, page: Path) -> None:
    """Open a page and wait until its chart is drawn."""
    browser.get(page.as_uri())
    WebDriverWait(browser, 240).until(
        lambda seen: seen.find_elements(By.CSS_SELECTOR, "#frontier .scatterlayer .point")
    )


def count_dots(browser: webdriver.Chrome) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, "#frontier .scatterlayer .point"))


def keep_picture(browser: webdriver.Chrome, name: str) -> None:
    """Keep what is seen for a person, where somebody asks for it."""
    if folder := os.environ.get("FULCRUM_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.mark.browser
def test_the_page_is_drawn_in_a_browser_and_any_trial_can_be_chosen(
    tmp_path: Path, browser: webdriver.Chrome
) -> None:
    page = tmp_path / "frontier.html"
    page.write_text(study_html.render_frontier(STUDY, overlay=replace(study("digits"), study="other")))
    open_page(browser, page)
    stairs = study_html.make_page_data(STUDY, overlay=replace(study("digits"), study="other"))["figure"][
        "data"
    ]
    (overlay,) = [len(trace["customdata"]) for trace in stairs if trace["name"] == "frontier of other"]
    assert count_dots(browser) == len(STUDY.frontier) + 1 + overlay  # the ring of the knee
    grey = browser.find_element(By.CSS_SELECTOR, "#frontier .gl-canvas")
    blue = browser.find_element(By.CSS_SELECTOR, "#frontier .main-svg")
    assert int(grey.value_of_css_property("z-index")) < 0  # else it hides the frontier
    assert blue.value_of_css_property("background-color") == "rgba(0, 0, 0, 0)"
    beaten = next(
        each for each in STUDY.trials if each.points and each.number not in STUDY.trials_on_frontier
    )
    click = "document.getElementById('frontier').emit('plotly_click', {points: [{customdata: arguments[0]}]})"
    browser.execute_script(click, beaten.number)
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == beaten.command
    path = browser.find_element(By.CSS_SELECTOR, "#frontier .shapelayer path").get_attribute("d")
    assert path.count("L") == len(beaten.curve) - 1  # its curve, from the first epoch on
    first = study("digits").frontier[0]
    browser.execute_script(click, f"other {first.trial.number} {first.epoch}")
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == first.command
    keep_picture(browser, "page-overlay")


def make_many(count: int) -> Results:
    """Make a study of many trials out of the recorded one: each a little cheaper or dearer."""
    draw, trials = random.Random(3), []
    for number in range(count):
        like = STUDY.trials[number % len(STUDY.trials)]
        factor = draw.uniform(0.8, 1.6)
        curve = tuple(
            replace(
                point,
                device_seconds=factor * point.device_seconds,
                accuracy=point.accuracy - draw.uniform(0, 0.01),
            )
            for point in like.curve
        )
        trials.append(replace(like, number=number, curve=curve, confirmations={}))
    return replace(STUDY, trials=tuple(trials), contenders=None)


@pytest.mark.browser
def test_the_page_fits_a_phone_a_dark_one_and_paper(tmp_path: Path, browser: webdriver.Chrome) -> None:
    page = tmp_path / "frontier.html"
    trials = tuple(
        replace(each, params={**each.params, "name_of_a_setting_" * 6: 1}) for each in STUDY.trials
    )
    named = replace(STUDY, study="a-study-with-a-very-long-name-" * 3, trials=trials)
    page.write_text(study_html.render_frontier(named))
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_page(browser, page)
        for summary in browser.find_elements(By.CSS_SELECTOR, "details[data-chart] summary"):
            browser.execute_script("arguments[0].click()", summary)
        assert browser.execute_script("return document.documentElement.scrollWidth") == 390
        assert browser.execute_script("return document.getElementById('frontier').layout.width || 390") <= 390
        keep_picture(browser, "page-phone")
        browser.execute_script("document.documentElement.dataset.theme = 'dark'; drawCharts()")
        browser.execute_script("dispatchEvent(new Event('beforeprint'))")
        theme = "return document.documentElement.dataset.theme"
        assert browser.execute_script(theme) == "light"
        browser.execute_script("dispatchEvent(new Event('afterprint'))")
        assert browser.execute_script(theme) == "dark"
        tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = [node["role"]["value"] for node in tree if "role" in node]
        assert {"banner", "main", "region", "grid", "rowheader", "columnheader", "slider"} <= set(roles)
        named = ("image", "figure", "slider", "button", "link", "combobox")
        shown = [node for node in tree if not node.get("ignored") and node["role"]["value"] in named]
        assert [node["role"]["value"] for node in shown if not node["name"]["value"]] == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.browser
def test_three_thousand_trials_are_drawn_without_an_element_for_each(
    tmp_path: Path, browser: webdriver.Chrome
) -> None:
    page = tmp_path / "frontier.html"
    many = make_many(3000)
    page.write_text(study_html.render_frontier(many))
    assert page.stat().st_size < 3e6 + len(plotly.offline.get_plotlyjs().encode())
    open_page(browser, page)
    assert count_dots(browser) == len(many.frontier) + (many.knee is not None)
    keep_picture(browser, "page-3000")


@pytest.mark.browser
def test_news_reach_an_open_page_and_leave_what_its_reader_has_chosen(
    tmp_path: Path, browser: webdriver.Chrome
) -> None:
    page, feed = tmp_path / PAGE, tmp_path / FEED
    few = replace(STUDY, trials=STUDY.trials[:20])
    page.write_text(study_html.render_frontier(few, is_live=True))
    feed.write_text(study_html.render_feed(few))
    open_page(browser, page)
    assert "live, as of" in browser.find_element(By.ID, "live").text
    browser.find_element(By.ID, "at-least").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    asked = browser.find_element(By.ID, "at-least-shown").text
    staying = {member.key for member in STUDY.frontier}
    chosen = next(member for member in few.frontier if member.key in staying)
    row = browser.find_element(By.CSS_SELECTOR, f"tr[data-key='{chosen.trial.number} {chosen.epoch}']")
    row.send_keys(Keys.ENTER)
    kept = browser.find_element(By.CSS_SELECTOR, "#chosen pre").text
    browser.find_element(By.CSS_SELECTOR, "details[data-chart=history] summary").click()
    browser.execute_script("Plotly.relayout('frontier', {'xaxis.range': [0.5, 1.5]})")
    feed.write_text(study_html.render_feed(STUDY, is_live=False))
    WebDriverWait(browser, 60).until(
        lambda seen: f"{len(STUDY.trials)} trials" in seen.find_element(By.ID, "spent").text
    )
    assert browser.find_element(By.ID, "live").text == ""
    assert len(browser.find_elements(By.CSS_SELECTOR, "#points tbody tr")) == len(STUDY.frontier)
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == kept
    later = [step["shown"] for step in study_html.make_page_data(STUDY)["sliders"]["at-least"]]
    shown = browser.find_element(By.ID, "at-least-shown").text
    assert shown == min(
        (step for step in later if float(step[:-1]) >= float(asked[:-1])), key=lambda step: float(step[:-1])
    )
    assert browser.execute_script("return document.getElementById('frontier').layout.xaxis.range") == [
        0.5,
        1.5,
    ]
    points = browser.execute_script("return document.getElementById('history').data[0].x.length")
    assert points == len(STUDY.trials)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_a_page_without_a_trial_waits_for_the_first(tmp_path: Path, browser: webdriver.Chrome) -> None:
    page, feed = tmp_path / PAGE, tmp_path / FEED
    nothing = replace(STUDY, trials=())
    page.write_text(study_html.render_frontier(nothing, is_live=True))
    feed.write_text(study_html.render_feed(nothing))
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda seen: seen.find_element(By.ID, "none").is_displayed())
    assert not browser.find_element(By.ID, "at-least").is_displayed()
    feed.write_text(study_html.render_feed(replace(STUDY, trials=STUDY.trials[:8])))
    WebDriverWait(browser, 60).until(lambda seen: seen.find_elements(By.CSS_SELECTOR, "#chosen pre"))
    assert browser.find_element(By.ID, "at-least").is_displayed()
    assert not browser.find_element(By.ID, "none").is_displayed()
    assert count_dots(browser) > 1


@pytest.mark.browser
def test_a_point_is_chosen_by_slider_key_and_theme(tmp_path: Path, browser: webdriver.Chrome) -> None:
    page = tmp_path / "frontier.html"
    page.write_text(study_html.render_frontier(STUDY, "http://here/runs/"))
    browser.get(page.as_uri())
    WebDriverWait(browser, 240).until(lambda seen: seen.find_elements(By.CSS_SELECTOR, "#chosen pre"))
    knee = STUDY.knee
    assert knee is not None
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == knee.command
    assert "the knee" in browser.find_element(By.CSS_SELECTOR, "#chosen h2").text
    link = browser.find_element(By.CSS_SELECTOR, "#chosen a").get_attribute("href")
    assert link == f"http://here/runs/{knee.trial.run_id}?workflowType=machine_learning"
    browser.find_element(By.ID, "at-least").send_keys(Keys.END)
    best = max(STUDY.frontier, key=lambda member: member.estimate.accuracy)
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == best.command
    first = browser.find_element(By.CSS_SELECTOR, "#points tbody tr")
    first.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == STUDY.frontier[0].command
    assert first.get_attribute("aria-selected") == "true"
    for chart in study_html.CHARTS:
        browser.find_element(By.CSS_SELECTOR, f"details[data-chart={chart}] summary").click()
        WebDriverWait(browser, 60).until(
            lambda seen, name=chart: seen.find_elements(By.CSS_SELECTOR, f"#{name} .main-svg")
        )
    before = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    browser.find_element(By.ID, "theme").click()
    assert browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color") != before
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.browser
def test_the_sliders_choose_as_the_command_frontier_does(tmp_path: Path, browser: webdriver.Chrome) -> None:
    """Also where a point is more accurate that is not confirmed, and at every place of both sliders."""
    results = confirm_the_first(STUDY, 3)
    page = tmp_path / "frontier.html"
    page.write_text(study_html.render_frontier(results))
    browser.get(page.as_uri())
    WebDriverWait(browser, 240).until(lambda seen: seen.find_elements(By.CSS_SELECTOR, "#chosen pre"))
    rules = {"at-least": results.find_cheapest_with, "within": results.find_best_within}
    move = (
        "const slider = document.getElementById(arguments[0]); slider.value = arguments[1]; slider.oninput()"
    )
    for name, steps in study_html.make_page_data(results)["sliders"].items():
        for place, step in enumerate(steps):
            browser.execute_script(move, name, place)
            wanted = rules[name](step["value"])
            assert wanted is not None
            assert browser.find_element(By.CSS_SELECTOR, "#chosen pre").text == wanted.command
