"""What a study came to, on hand-made trials."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.errors import BadInput
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.results import MOST_REPRESENTATIVES, Results
from pipeline.search.study_trial import Confirmation, FrontierPoint, StudyTrial
from pipeline.settings.searching.objectives import OBJECTIVES
from tests.support.studies import DEVICE, tried

SMALL = tried(0, (0.50, 1.0), (0.60, 2.0), (0.62, 3.0))
WIDE = tried(1, (0.55, 2.5), (0.88, 5.0), (0.90, 7.5))
POOR = tried(2, (0.40, 3.0), (0.59, 6.0))
BROKEN = tried(3, (0.99, 0.1), state="failed", reason="the loss became NaN")
STUDY = Results(study="widths", data="digits", trials=(SMALL, WIDE, POOR, BROKEN))


def named(results: Results) -> list[tuple[int, int]]:
    return [(member.trial.number, member.epoch) for member in results.frontier]


# ---- the frontier -------------------------------------------------------------------------------------


def test_the_frontier_runs_over_all_epochs_of_all_trials() -> None:
    assert named(STUDY) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    costs = [member.point.device_seconds for member in STUDY.frontier]
    assert all(one < following for one, following in pairwise(costs))


def test_choices() -> None:
    knee, enough, affordable = STUDY.knee, STUDY.find_cheapest_with(0.7), STUDY.find_best_within(4.9)
    assert knee is not None
    assert enough is not None
    assert affordable is not None
    assert (knee.trial, knee.epoch) == (WIDE, 2)
    assert (enough.trial, enough.epoch) == (WIDE, 2)
    assert (affordable.trial, affordable.epoch) == (SMALL, 3)
    assert STUDY.find_cheapest_with(0.95) is None
    assert STUDY.find_best_within(0.5) is None


def test_a_dominated_trial_says_by_whom() -> None:
    beater = STUDY.find_dominator(POOR)
    assert beater is not None
    assert (beater.trial, beater.epoch) == (SMALL, 2)
    assert STUDY.find_dominator(SMALL) is None
    assert STUDY.find_dominator(BROKEN) is None


def test_an_equal_trial_is_beaten_by_the_one_that_came_first() -> None:
    twin = tried(5, (0.50, 1.0))
    beater = Results(study="s", data="d", trials=(SMALL, twin)).find_dominator(twin)
    assert beater is not None
    assert (beater.trial, beater.epoch) == (SMALL, 1)


def test_devices_are_not_mixed() -> None:
    mixed = Results(study="s", data="d", trials=(SMALL, tried(6, (0.9, 0.1), device="H100")))
    with pytest.raises(BadInput, match="exactly one device"):
        _ = mixed.frontier
    failed = tried(6, (0.9, 0.1), device="H100", state="failed")
    assert Results(study="s", data="d", trials=(SMALL, failed)).device == DEVICE


def test_a_study_without_points() -> None:
    empty = Results(study="s", data="d", trials=(BROKEN,))
    assert empty.frontier == ()
    assert empty.knee is None
    assert empty.find_cheapest_with(0.0) is None
    assert empty.compute_progress() == [(0.1, 0.0)]
    assert empty.estimate_probabilities() == {}
    assert Results(study="s", data="d", trials=()).compute_progress() == []


# ---- what was spent -----------------------------------------------------------------------------------


def test_the_spent_curve_counts_failures_and_never_falls() -> None:
    told = STUDY.compute_progress()
    assert [spent for spent, _ in told] == pytest.approx([3.0, 10.5, 16.5, 16.6])
    shares = [share for _, share in told]
    assert all(one <= following for one, following in pairwise(shares))
    assert 0 < shares[0] < shares[1] == shares[2] == shares[3] <= 1


def test_a_continued_trial_pays_only_the_difference() -> None:
    first = tried(0, (0.5, 1.0), (0.6, 2.0), state="paused")
    further = tried(8, (0.5, 1.0), (0.6, 2.0), (0.7, 3.0), paid_seconds=1.0)
    told = Results(study="s", data="d", trials=(first, further)).compute_progress()
    assert [spent for spent, _ in told] == [2.0, 3.0]
    assert told[1][1] > told[0][1]


# ---- confirmed ----------------------------------------------------------------------------------------


def confirm(trial: StudyTrial, epoch: int, *accuracies: float, seconds: float) -> StudyTrial:
    count = len(accuracies)
    new = Confirmation(tuple(range(1, count + 1)), accuracies, accuracies, (seconds,) * count)
    return replace(trial, confirmations={**trial.confirmations, epoch: new})


LUCKY = confirm(tried(0, (0.96, 1.0)), 1, 0.94, 0.94, seconds=1.0)
STEADY = confirm(tried(1, (0.962, 2.0)), 1, 0.958, 0.957, seconds=2.0)
DEAR = confirm(tried(2, (0.97, 8.0)), 1, 0.95, 0.951, seconds=8.0)  # worse than the steady one
BARE = tried(3, (0.99, 16.0))


def number_of(member: FrontierPoint | None) -> int | None:
    return member.trial.number if member else None


def test_points_are_chosen_by_the_mean_over_all_seeds() -> None:
    study = Results(study="s", data="d", trials=(LUCKY, STEADY, DEAR))
    assert number_of(study.find_cheapest_with(0.95)) == 1
    assert number_of(study.find_cheapest_with(0.96)) is None
    assert number_of(study.find_best_within(10.0)) == number_of(study.best) == 1
    assert number_of(study.cheapest) == 0
    assert study.knee is None, "by all seeds two points are left, which do not bend"
    assert (
        number_of(
            Results(study="s", data="d", trials=(tried(0, (0.96, 1.0)), STEADY)).find_cheapest_with(0.95)
        )
        == 1
    )


def test_the_budget_is_compared_with_the_mean_cost() -> None:
    slow = confirm(tried(0, (0.9, 1.0)), 1, 0.9, 0.9, seconds=4.0)
    study = Results(study="s", data="d", trials=(slow,))
    assert study.find_best_within(2.9) is None
    assert number_of(study.find_best_within(3.0)) == 0


def test_what_is_not_confirmed_is_chosen_only_where_nothing_is() -> None:
    mixed = Results(study="s", data="d", trials=(LUCKY, STEADY, BARE))
    assert mixed.is_confirmed
    assert number_of(mixed.find_cheapest_with(0.97)) is None
    assert number_of(mixed.best) == 1
    bare = Results(study="s", data="d", trials=(tried(0, (0.9, 1.0)), BARE))
    assert not bare.is_confirmed
    assert number_of(bare.find_cheapest_with(0.97)) == 3


def test_a_point_near_chance_level_is_no_knee() -> None:
    """The frontier bends at 34.7 % alone, where three tenths of what can be learnt is learnt."""
    split = ValidationSplit(1000, 0.1)
    flat = tuple(tried(number, (accuracy, cost)) for number, (accuracy, cost) in enumerate(
        [(0.15, 1.0), (0.347, 1.01), (0.90, 1000.0)]
    ))  # fmt: skip
    assert Results(study="s", data="d", trials=flat, split=split).knee is None
    assert number_of(Results(study="s", data="d", trials=(*flat[:2], tried(2, (0.45, 1000.0)))).knee) == 1


def test_a_point_at_chance_level_is_no_member() -> None:
    split = ValidationSplit(400, 0.5)  # chance ends at 54.11 %
    study = Results(
        study="s",
        data="d",
        trials=(tried(0, (0.50, 0.1), (0.541, 0.2), (0.60, 0.4), (0.9, 2.0)),),
        split=split,
    )
    assert named(study) == [(0, 3), (0, 4)]
    assert study.knee is None
    assert study.cheapest is not None
    assert study.cheapest.epoch == 3
    lucky = confirm(tried(0, (0.56, 0.1)), 1, 0.50, 0.51, seconds=0.1)  # at chance by all of its seeds
    study = Results(
        study="s", data="d", trials=(lucky, confirm(tried(1, (0.9, 1.0)), 1, 0.9, seconds=1.0)), split=split
    )
    assert number_of(study.cheapest) == 1
    nothing = Results(study="s", data="d", trials=(tried(0, (0.5, 0.1)),), split=split)
    assert (nothing.frontier, nothing.best, nothing.knee) == ((), None, None)
    assert nothing.points


# ---- over three objectives ----------------------------------------------------------------------------

LATENCY = OBJECTIVES["latency_ms"]


def answering(trial: StudyTrial, latency: float) -> StudyTrial:
    return replace(trial, curve=tuple(replace(point, further=(latency,)) for point in trial.curve))


QUICK, ACCURATE = answering(tried(0, (0.80, 4.0)), 0.1), answering(tried(1, (0.90, 2.0), (0.95, 4.0)), 0.4)
THREE = Results(study="s", data="d", trials=(QUICK, ACCURATE), further=(LATENCY,))


def test_what_answers_faster_is_on_the_frontier_though_two_beat_it() -> None:
    assert sorted(named(THREE)) == [(0, 1), (1, 1), (1, 2)]
    assert named(Results(study="s", data="d", trials=(tried(0, (0.80, 4.0)), tried(1, (0.90, 2.0))))) == [
        (1, 1)
    ]
    assert THREE.objective_names == ("accuracy", "cost", "latency_ms")
    assert number_of(THREE.find_least(LATENCY)) == 0


def test_a_bound_keeps_points_from_being_chosen() -> None:
    bound = replace(THREE, at_most={"latency_ms": 0.2})
    assert number_of(bound.best) == number_of(bound.find_best_within(9.0)) == 0
    assert bound.find_cheapest_with(0.9) is None
    assert named(bound) == named(THREE), "the frontier is what it is"
    costly = replace(THREE, at_most={"cost": 3.0})
    assert (number_of(costly.best), number_of(costly.cheapest)) == (1, 1)


def test_a_trial_of_which_an_objective_is_not_known_has_no_points() -> None:
    unknown = answering(tried(2, (0.99, 1.0)), math.nan)
    assert named(replace(THREE, trials=(*THREE.trials, unknown))) == named(THREE)


def test_few_stand_for_many_and_the_ends_are_among_them() -> None:
    trials = tuple(
        answering(tried(number, (0.5 + number / 250, 1.0 + (number * 37) % 100)), 0.1 + number)
        for number in range(100)
    )
    many = Results(study="s", data="d", trials=trials, further=(LATENCY,))
    assert len(many.frontier) > MOST_REPRESENTATIVES
    chosen = many.representatives
    assert len(chosen) == MOST_REPRESENTATIVES
    assert {many.frontier[0].key, many.best and many.best.key} <= {member.key for member in chosen}
    seconds = [member.point.device_seconds for member in chosen]
    assert seconds == sorted(seconds)
    assert THREE.representatives == THREE.frontier
    assert STUDY.representatives == STUDY.frontier
