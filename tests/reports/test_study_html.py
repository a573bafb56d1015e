"""The page of a study opens without a network and shows the command of a point."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.reports import study_html
from pipeline.search.results import Results
from tests.support.odd_studies import ODD, name_study
from tests.support.studies import study

STUDY = study()


def test_the_page_needs_no_network_and_offers_no_upload() -> None:
    html = study_html.render_frontier(STUDY)
    assert len(html) > 3_000_000
    assert not re.search(r"<(script|link)[^>]+(src|href)=", html)
    assert '"showSendToCloud": false' in html or '"showSendToCloud":false' in html


def test_hovering_shows_the_command_and_the_values() -> None:
    html = study_html.render_frontier(STUDY)
    member = STUDY.frontier[-1]
    assert f"trial {member.trial.number}, {member.epoch} epochs" in html
    assert f"train.epochs={member.epoch}" in html
    assert f"model.hidden = {member.trial.params['model.hidden']}" in html


def test_accuracies_of_a_confirmed_frontier_stand_side_by_side() -> None:
    _, _, table = study_html.render_frontier(STUDY).rpartition('<table id="points">')
    assert '<th scope="col">search</th><th scope="col">new seeds</th><th scope="col">test</th>' in table
    assert table.count("<tr ") == len(STUDY.frontier)
    member = STUDY.frontier[-1]
    assert member.confirmation is not None
    cells = [member.estimate.format(), f"{member.point.accuracy:.2%}", f"{member.confirmation.accuracy:.2%}"]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in table
    assert f"<td>{member.confirmation.test_accuracy:.2%}</td>" in table


def test_the_page_has_every_trial_and_point_as_data() -> None:
    data = study_html.make_page_data(STUDY, "http://here/runs/")
    assert len(data["trials"]) == len(STUDY.trials)
    assert [point["command"] for point in data["points"]] == [member.command for member in STUDY.frontier]
    assert [point["knee"] for point in data["points"]].count(True) == 1
    values = [step["value"] for step in data["sliders"]["at-least"]]
    assert values == sorted(values)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_no_text_of_a_study_ends_its_script() -> None:
    odd = replace(STUDY, study="</script><b>x")
    html = study_html.render_frontier(odd)
    assert "</script><b>" not in html


@pytest.mark.parametrize("results", ODD, ids=name_study)
def test_odd_studies_have_their_page(results: Results) -> None:
    html = study_html.render_frontier(results)
    assert "<i>" not in html.rpartition("Plotly.newPlot")[2]
    assert '"points": ' in html


@pytest.mark.browser
def test_the_page_is_drawn_in_a_browser(tmp_path: Path, browser: webdriver.Chrome) -> None:
    page = tmp_path / "frontier.html"
    page.write_text(study_html.render_frontier(STUDY))
    browser.get(page.as_uri())
    WebDriverWait(browser, 240).until(
        lambda seen: seen.find_elements(By.CSS_SELECTOR, ".scatterlayer .point")
    )
    dots = browser.find_elements(By.CSS_SELECTOR, ".scatterlayer .point")
    ends = [each for each in STUDY.trials if each.points]
    assert len(dots) == len(ends) + len(STUDY.frontier) + 2  # the knee, and the point that is chosen


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
    assert link == f"http://here/runs/{knee.trial.run_id}"
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
