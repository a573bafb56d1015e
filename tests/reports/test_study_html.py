"""The page of a study opens without a network and shows the command of a point."""

import re
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
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
    _, _, table = study_html.render_frontier(STUDY).rpartition("<table>")
    assert "<th>search</th><th>new seeds</th><th>test</th>" in table
    assert table.count("<tr>") == 1 + len(STUDY.frontier)
    member = STUDY.frontier[-1]
    assert member.confirmation is not None
    cells = [member.estimate.format(), f"{member.point.accuracy:.2%}", f"{member.confirmation.accuracy:.2%}"]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in table
    assert f"<td>{member.confirmation.test_accuracy:.2%}</td>" in table


@pytest.mark.parametrize("results", ODD, ids=name_study)
def test_odd_studies_have_their_page(results: Results) -> None:
    html = study_html.render_frontier(results)
    assert "<i>" not in html.rpartition("Plotly.newPlot")[2]


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
    assert len(dots) == len(ends) + len(STUDY.frontier) + 1
