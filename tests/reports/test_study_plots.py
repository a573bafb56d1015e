"""Pictures, page and note of a study follow its results. How they look was looked at."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.reports import label_layout, palette, study_html, study_markdown, study_plots, style
from pipeline.search.results import Results
from tests.reports.test_trial_plots import ink, size
from tests.support.studies import study, tried

STUDY = study()
EMPTY = Results("nothing yet", "digits", ())
ONE = Results("one", "digits", (tried(0, (0.9, 0.01)),))
PERFECT = Results("all right", "digits", (tried(0, (0.9, 1.0), (1.0, 2.0)), tried(1, (1.0, 1e-7))))
FAILED = Results("all failed", "digits", (tried(0, state="failed"), tried(1, (0.5, 1.0), state="failed")))
NARROW = Results("narrow", "digits", (tried(0, (0.98, 100.0), (0.9801, 101.0), (0.9802, 102.0)),))
WEIRD = Results("$x$ | <b>", "d|d", (tried(0, (0.5, 1.0), params={"a": "$y|z$<i>", "b": None}),))
ODD = [EMPTY, ONE, PERFECT, FAILED, NARROW, WEIRD]
IMPORTANCE = {
    "accuracy": {"optimizer.learning_rate": 0.6, "model.hidden": 0.3, "precision": 0.0004},
    "device-seconds": {"model.hidden": 0.7, "train.batch_size": 0.2},
}


def names(results: Results) -> str:
    return results.study


# ---- pictures -----------------------------------------------------------------------------------------


def test_the_frontier_is_drawn_blue_and_its_knee_ringed() -> None:
    png = study_plots.frontier(STUDY)
    assert size(png) == (9 * style.DPI, int((5.4 + style.HEAD) * style.DPI))
    assert ink(png, palette.BLUE) > 2000
    assert ink(png, palette.ORANGE) > 50


def test_pictures_follow_the_results_and_nothing_else() -> None:
    other = replace(STUDY, tried=STUDY.tried[1:])
    for draw in (study_plots.frontier, study_plots.spent):
        assert draw(STUDY) == draw(study())
        assert draw(STUDY) != draw(other)


@pytest.mark.parametrize("results", ODD, ids=names)
def test_odd_studies_have_their_pictures(results: Results) -> None:
    assert min(size(study_plots.frontier(results))) > 300
    assert min(size(study_plots.spent(results))) > 300


def test_importance_has_a_row_for_each_key() -> None:
    few = size(study_plots.importance("s", {"accuracy": {"a": 1.0}}))
    more = size(study_plots.importance("s", {"accuracy": {f"key{number}": 0.1 for number in range(9)}}))
    most = size(study_plots.importance("s", {"accuracy": {f"key{number}": 0.01 for number in range(99)}}))
    assert few[1] < more[1] < most[1] < 1500
    assert ink(study_plots.importance("s", IMPORTANCE), palette.BLUE) > 5000
    assert size(study_plots.importance("s", {}))


@pytest.mark.parametrize(
    ("low", "high"), [(0.1, 0.98), (0.9, 0.98), (0.96, 0.975), (0.98, 0.9802), (0.1, 0.9999)]
)
def test_every_range_of_accuracies_has_its_ticks(low: float, high: float) -> None:
    found = study_plots.ticks(-math.log10(1 - low), -math.log10(1 - high))
    assert 3 <= len(found) <= 20
    assert all(1 - high - 1e-12 <= error <= 1 - low + 1e-12 for error in found)


# ---- labels -------------------------------------------------------------------------------------------


def test_labels_touch_neither_each_other_nor_a_point() -> None:
    places = [(0.5 + 0.2 * step, 1.0 + 0.1 * step) for step in range(20)]
    boxes = label_layout.arrange(places, ["64 adam 0.01"] * 20, range(20), (0.0, 5.0))
    found = list(boxes.values())
    assert 3 <= len(found) < 20
    assert not any(one.meets(other) for one in found for other in found if one is not other)
    assert not any(box.holds(place) for box in found for place in places)
    assert all(box.left > 0 and box.right < 5 for box in found)


def test_who_comes_first_is_named() -> None:
    crowded = [(1.0, 1.0), (1.01, 1.01), (1.02, 1.02)]
    assert 2 in label_layout.arrange(crowded, ["a label"] * 3, [2, 0, 1], (0.0, 5.0))
    assert 0 in label_layout.arrange(crowded, ["a label"] * 3, [0, 1, 2], (0.0, 5.0))


# ---- page ---------------------------------------------------------------------------------------------


def test_the_page_needs_no_network_and_offers_no_upload() -> None:
    html = study_html.frontier(STUDY)
    assert len(html) > 3_000_000
    assert not re.search(r"<(script|link)[^>]+(src|href)=", html)
    assert '"showSendToCloud": false' in html or '"showSendToCloud":false' in html


def test_hovering_shows_the_command_and_the_values() -> None:
    html = study_html.frontier(STUDY)
    member = STUDY.members()[-1]
    assert f"trial {member.tried.number}, {member.epoch} epochs" in html
    assert f"train.epochs={member.epoch}" in html
    assert f"model.hidden = {member.tried.params['model.hidden']}" in html


@pytest.mark.parametrize("results", ODD, ids=names)
def test_odd_studies_have_their_page(results: Results) -> None:
    html = study_html.frontier(results)
    assert "<i>" not in html.rpartition("Plotly.newPlot")[2]


@pytest.mark.browser
def test_the_page_is_drawn_in_a_browser(tmp_path: Path, browser: webdriver.Chrome) -> None:
    page = tmp_path / "frontier.html"
    page.write_text(study_html.frontier(STUDY))
    browser.get(page.as_uri())
    WebDriverWait(browser, 240).until(
        lambda seen: seen.find_elements(By.CSS_SELECTOR, ".scatterlayer .point")
    )
    dots = browser.find_elements(By.CSS_SELECTOR, ".scatterlayer .point")
    ends = [each for each in STUDY.tried if each.points()]
    assert len(dots) == len(ends) + len(STUDY.members()) + 1


# ---- note ---------------------------------------------------------------------------------------------


def test_the_note_begins_with_the_link_and_tells_the_knee() -> None:
    text = study_markdown.note(STUDY, "http://127.0.0.1:5000/#/x")
    knee = STUDY.knee()
    assert knee is not None
    assert text.splitlines()[0] == "[See accuracy against device-seconds](http://127.0.0.1:5000/#/x)"
    assert f"Knee: {knee.point.accuracy:.2%}" in text
    assert f"    {knee.command}" in text
    assert "48 trials (35 complete, 1 failed, 12 paused)" in text
    assert "What each further half percent costs" in text


def test_the_note_shows_every_member_of_a_small_frontier_and_a_spread_of_a_large_one() -> None:
    members, small = STUDY.members(), study("digits")
    assert len(small.members()) <= study_markdown.MOST_MEMBERS
    told = study_markdown.note(small, "x")
    assert all(f"{member.point.accuracy:.2%}" in told for member in small.members())
    assert study_markdown.thinned(small.members(), 0, 20) == list(small.members())
    shown = study_markdown.thinned(members, 7, 10)
    assert len(shown) <= 10
    assert all(member in shown for member in (members[0], members[7], members[-1]))
    assert f"\n{study_markdown.MOST_MEMBERS} of {len(members)} points" in study_markdown.note(STUDY, "x") or (
        f"\n{study_markdown.MOST_MEMBERS - 1} of {len(members)} points" in study_markdown.note(STUDY, "x")
    )


def test_confirmed_members_tell_test_accuracy_and_chance() -> None:
    assert " new seeds | test | on frontier |" in study_markdown.note(STUDY, "x")
    bare = replace(STUDY, tried=tuple(replace(each, confirmations={}) for each in STUDY.tried))
    assert "new seeds" not in study_markdown.note(bare, "x")


@pytest.mark.parametrize("results", ODD, ids=names)
def test_odd_studies_have_their_note(results: Results) -> None:
    text = study_markdown.note(results, "x")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({re.sub(r"\\\|", "", line).count("|") for line in tables[: len(results.members()) + 2]}) <= 1


def test_a_note_fits_what_mlflow_keeps() -> None:
    wide = {f"some.group.with.a.key{number}": "x" * 100 for number in range(60)}
    command = "python -m pipeline run " + " ".join(f"{key}={value}" for key, value in wide.items())
    curve = tuple((0.5 + 0.001 * step, 123_456.0 + 1000 * step) for step in range(400))
    huge = Results("s" * 100, "d" * 50, (tried(0, *curve, params=wide, command=command),))
    assert len(study_markdown.note(huge, "http://" + "h" * 300)) < 8000
