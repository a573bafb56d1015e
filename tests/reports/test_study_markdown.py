"""The note of a study follows its results and fits what MLflow keeps."""

import re
from dataclasses import replace

import pytest

from pipeline.reports import study_markdown
from pipeline.search.results import Results
from tests.support.odd_studies import ODD, name_study
from tests.support.studies import study, study_over_three, tried

STUDY = study()


def test_the_note_begins_with_the_link_and_tells_the_knee() -> None:
    text = study_markdown.write_note(STUDY, "http://127.0.0.1:5000/#/x", "http://127.0.0.1:5000/studies/1")
    knee = STUDY.knee
    assert knee is not None
    assert text.splitlines()[0] == (
        "[See accuracy against device-seconds](http://127.0.0.1:5000/#/x)"
        " · [choose a point on its page](http://127.0.0.1:5000/studies/1)"
    )
    assert knee.confirmation is not None
    assert f"Knee: {knee.estimate.format()} validation (mean of 3 seeds), " in text
    assert f"{knee.confirmation.test_accuracy:.2%} test, for " in text
    assert f"    {knee.command}" in text
    assert "48 trials (35 complete, 1 failed, 12 paused)" in text
    assert "What each further half percent costs" in text


def test_the_note_shows_every_member_of_a_small_frontier_and_a_spread_of_a_large_one() -> None:
    members, small = STUDY.frontier, study("digits")
    assert len(small.frontier) <= study_markdown.MAX_POINTS
    told = study_markdown.write_note(small, "x")
    assert all(f"{member.point.accuracy:.2%}" in told for member in small.frontier)
    assert study_markdown.thin_out(small.frontier, 0, 20) == list(small.frontier)
    shown = study_markdown.thin_out(members, 7, 10)
    assert len(shown) <= 10
    assert all(member in shown for member in (members[0], members[7], members[-1]))
    assert f"\n{study_markdown.MAX_POINTS} of {len(members)} points" in study_markdown.write_note(
        STUDY, "x"
    ) or (
        f"\n{study_markdown.MAX_POINTS - 1} of {len(members)} points" in study_markdown.write_note(STUDY, "x")
    )


def test_over_three_objectives_the_note_has_the_knee_and_the_best_whatever_they_cost() -> None:
    results = study_over_three()
    assert len(results.select_shown(results.frontier)) > study_markdown.MAX_POINTS
    rows = study_markdown._choose_rows(results)
    assert len(rows) == study_markdown.MAX_POINTS
    named = (results.knee, results.best, results.cheapest, results.frontier[0])
    assert all(member in rows for member in named)


def test_confirmed_members_tell_search_new_seeds_test_and_chance() -> None:
    text = study_markdown.write_note(STUDY, "x")
    assert "| all seeds | search | new seeds | test | device-seconds |" in text
    member = STUDY.frontier[0]
    assert member.confirmation is not None
    new = member.confirmation
    cells = [member.estimate.format(), f"{member.point.accuracy:.2%}", f"{new.accuracy:.2%}"]
    assert f"| {' | '.join([*cells, f'{new.test_accuracy:.2%}'])} | " in text
    assert "Not confirmed" not in text
    bare = replace(STUDY, trials=tuple(replace(each, confirmations={}) for each in STUDY.trials))
    text = study_markdown.write_note(bare, "x")
    assert "| new seeds |" not in text
    assert "Not confirmed: " in text


def test_a_frontier_that_does_not_bend_has_no_knee_in_its_note() -> None:
    two = Results(study="two", data="digits", trials=(tried(0, (0.5, 1.0), (0.9, 2.0)),))
    text = study_markdown.write_note(two, "x").lower()
    assert "knee" not in text
    assert "| 90.00% | 2 |" in text


@pytest.mark.parametrize("results", ODD, ids=name_study)
def test_odd_studies_have_their_note(results: Results) -> None:
    text = study_markdown.write_note(results, "x")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({re.sub(r"\\\|", "", line).count("|") for line in tables[: len(results.frontier) + 2]}) <= 1


def test_a_note_fits_what_mlflow_keeps() -> None:
    wide = {f"some.group.with.a.key{number}": "x" * 100 for number in range(60)}
    command = "python -m pipeline run " + " ".join(f"{key}={value}" for key, value in wide.items())
    curve = tuple((0.5 + 0.001 * step, 123_456.0 + 1000 * step) for step in range(400))
    huge = Results(study="s" * 100, data="d" * 50, trials=(tried(0, *curve, params=wide, command=command),))
    assert len(study_markdown.write_note(huge, "http://" + "h" * 300)) < 8000
