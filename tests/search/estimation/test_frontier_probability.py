"""The probability on the frontier tells luck from merit."""

from pipeline.measures import Point
from pipeline.search.estimation.estimates import RepeatedPoint
from pipeline.search.estimation.frontier_probability import estimate_probabilities
from pipeline.search.results import Results
from pipeline.search.study_trial import Confirmation, StudyTrial
from tests.support.studies import repeat_costs, tried


def confirmed(number: int, point: tuple[float, float], *again: float) -> StudyTrial:
    count = len(again)
    new = Confirmation(
        tuple(range(1, count + 1)), again, tuple(each - 0.01 for each in again), (point[1],) * count
    )
    return tried(number, point, confirmations={1: new})


def test_chances_tell_luck_from_merit() -> None:
    cheap = confirmed(0, (0.900, 1.0), 0.901, 0.899)
    lucky = confirmed(1, (0.912, 2.0), 0.899, 0.901)  # its new seeds are no better than the cheap one's
    good = confirmed(2, (0.950, 4.0), 0.951, 0.949)
    study = Results(study="s", data="d", trials=(cheap, lucky, good))
    chances = study.estimate_probabilities()
    assert set(chances) == {(0, 1), (1, 1), (2, 1)}
    assert chances[0, 1] == 1.0, "nothing is cheaper"
    assert chances[2, 1] > 0.99
    assert 0.3 < chances[1, 1] < 0.7
    assert study.estimate_probabilities() == chances, "seeded"


def test_without_spread_the_means_decide() -> None:
    study = Results(
        study="s",
        data="d",
        trials=(confirmed(0, (0.9, 1.0), 0.9, 0.9), confirmed(1, (0.91, 2.0), 0.91, 0.91)),
    )
    assert study.estimate_probabilities() == {(0, 1): 1.0, (1, 1): 1.0}


def test_who_was_not_confirmed_has_no_chance_told_but_competes() -> None:
    bare = tried(0, (0.95, 1.0))
    risen = confirmed(1, (0.951, 2.0), 0.93, 0.931)  # after confirmation below the bare one
    chances = Results(study="s", data="d", trials=(bare, risen)).estimate_probabilities()
    assert set(chances) == {(1, 1)}
    assert chances[1, 1] < 0.2


def test_a_third_objective_gives_a_chance_on_the_frontier() -> None:
    """Beaten in two, the third keeps it there; noise as large as the lead makes it even."""
    better = repeat_costs((1.0, 0.4), (1.0, 0.4), (1.0, 0.4))
    sure = RepeatedPoint(Point(0.8, 2.0, (0.1,)), (Point(0.8, 2.0, (0.1,)),) * 2)
    beaten = RepeatedPoint(Point(0.8, 2.0, (0.5,)), (Point(0.8, 2.0, (0.5,)),) * 2)
    assert estimate_probabilities([better, sure, beaten]) == [1.0, 1.0, 0.0]
