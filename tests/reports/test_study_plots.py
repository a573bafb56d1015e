"""Pictures of a study follow its results. How they look was looked at."""

import math
from dataclasses import replace

import pytest

from pipeline.reports import palette, study_plots, style
from pipeline.search.results import Results
from tests.support.odd_studies import ODD, name_study
from tests.support.pictures import ink, size
from tests.support.studies import study

STUDY = study()
IMPORTANCE = {
    "accuracy": {"optimizer.learning_rate": 0.6, "model.hidden": 0.3, "precision": 0.0004},
    "device-seconds": {"model.hidden": 0.7, "train.batch_size": 0.2},
}


def test_the_frontier_is_drawn_blue_and_its_knee_ringed() -> None:
    png = study_plots.draw_frontier(STUDY)
    assert size(png) == (9 * style.DPI, int((5.4 + style.HEAD) * style.DPI))
    assert ink(png, palette.BLUE) > 2000
    assert ink(png, palette.ORANGE) > 50


def test_pictures_follow_the_results_and_nothing_else() -> None:
    other = replace(STUDY, trials=STUDY.trials[1:])
    for draw in (study_plots.draw_frontier, study_plots.draw_progress):
        assert draw(STUDY) == draw(study())
        assert draw(STUDY) != draw(other)


@pytest.mark.parametrize("results", ODD, ids=name_study)
def test_odd_studies_have_their_pictures(results: Results) -> None:
    assert min(size(study_plots.draw_frontier(results))) > 300
    assert min(size(study_plots.draw_progress(results))) > 300


def test_importance_has_a_row_for_each_key() -> None:
    few = size(study_plots.draw_importance("s", {"accuracy": {"a": 1.0}}))
    more = size(study_plots.draw_importance("s", {"accuracy": {f"key{number}": 0.1 for number in range(9)}}))
    most = size(
        study_plots.draw_importance("s", {"accuracy": {f"key{number}": 0.01 for number in range(99)}})
    )
    assert few[1] < more[1] < most[1] < 1500
    assert ink(study_plots.draw_importance("s", IMPORTANCE), palette.BLUE) > 5000
    assert size(study_plots.draw_importance("s", {}))


@pytest.mark.parametrize(
    ("low", "high"), [(0.1, 0.98), (0.9, 0.98), (0.96, 0.975), (0.98, 0.9802), (0.1, 0.9999)]
)
def test_every_range_of_accuracies_has_its_ticks(low: float, high: float) -> None:
    found = study_plots.choose_ticks(-math.log10(1 - low), -math.log10(1 - high))
    assert 3 <= len(found) <= 20
    assert all(1 - high - 1e-12 <= error <= 1 - low + 1e-12 for error in found)
