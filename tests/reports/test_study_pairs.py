"""Pictures of a frontier over three and four objectives, in pairs."""

from dataclasses import replace

import pytest

from pipeline.reports import study_pairs, study_plots
from pipeline.search.results import Results
from pipeline.settings.searching.objectives import OBJECTIVES
from tests.support.pictures import size
from tests.support.studies import study, study_over_three

THREE = study_over_three()


def test_the_picture_is_the_same_again_and_holds_a_panel_for_each_pair() -> None:
    png = study_pairs.draw_pairs(THREE)
    assert png == study_pairs.draw_pairs(study_over_three())
    width, height = size(png)
    assert width > 2.2 * height
    four = replace(
        THREE,
        further=(*THREE.further, OBJECTIVES["parameters"]),
        trials=tuple(
            replace(
                trial,
                curve=tuple(replace(point, further=(*point.further, 7.0)) for point in trial.curve),
                confirmations={},
            )
            for trial in THREE.trials
        ),
    )
    assert size(study_pairs.draw_pairs(four))[1] > 1.5 * height


@pytest.mark.parametrize("draw", [study_pairs.draw_pairs, study_plots.draw_frontier])
def test_a_study_without_a_point_is_a_picture_too(draw: object) -> None:
    nothing = Results(study="s", data="d", trials=(), further=THREE.further)
    assert min(size(draw(nothing))) > 300  # type: ignore[operator]


def test_the_picture_of_two_does_not_change_where_a_further_cost_is_the_same_for_all() -> None:
    two = study()
    same = replace(
        two,
        trials=tuple(
            replace(
                trial,
                curve=tuple(replace(point, further=(1.0,)) for point in trial.curve),
                confirmations={
                    epoch: replace(new, further=((1.0,),) * len(new.seeds))
                    for epoch, new in trial.confirmations.items()
                },
            )
            for trial in two.trials
        ),
        further=(OBJECTIVES["latency_ms"],),
    )
    assert [member.key for member in same.frontier] == [member.key for member in two.frontier]
    assert (same.knee and same.knee.key) == (two.knee and two.knee.key)
