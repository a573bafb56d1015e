"""What a study came to, on hand-made trials."""

from itertools import pairwise

import pytest

from pipeline.errors import BadInput
from pipeline.measures import Point
from pipeline.search.results import Confirmation, Results
from tests.support.studies import DEVICE, tried

SMALL = tried(0, (0.50, 1.0), (0.60, 2.0), (0.62, 3.0))
WIDE = tried(1, (0.55, 2.5), (0.88, 5.0), (0.90, 7.5))
POOR = tried(2, (0.40, 3.0), (0.59, 6.0))
BROKEN = tried(3, (0.99, 0.1), state="failed", reason="the loss became NaN")
STUDY = Results("widths", "digits", (SMALL, WIDE, POOR, BROKEN))


def named(results: Results) -> list[tuple[int, int]]:
    return [(member.trial.number, member.epoch) for member in results.frontier]


# ---- which points are fair ----------------------------------------------------------------------------


def test_every_epoch_is_a_point_where_that_is_fair() -> None:
    assert SMALL.points == SMALL.curve


def test_only_the_end_counts_where_the_middle_is_not_fair() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False).fair_states == ((2, Point(0.9, 2.0)),)


def test_a_pause_in_the_middle_of_a_decay_is_no_end() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False, state="paused").points == ()
    assert len(tried(4, (0.5, 1.0), (0.9, 2.0), state="paused").points) == 2


def test_a_failed_trial_has_no_point() -> None:
    assert BROKEN.points == ()


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
    beater = Results("s", "d", (SMALL, twin)).find_dominator(twin)
    assert beater is not None
    assert (beater.trial, beater.epoch) == (SMALL, 1)


def test_devices_are_not_mixed() -> None:
    mixed = Results("s", "d", (SMALL, tried(6, (0.9, 0.1), device="H100")))
    with pytest.raises(BadInput, match="exactly one device"):
        _ = mixed.frontier
    failed = tried(6, (0.9, 0.1), device="H100", state="failed")
    assert Results("s", "d", (SMALL, failed)).device == DEVICE


def test_a_study_without_points() -> None:
    empty = Results("s", "d", (BROKEN,))
    assert empty.frontier == ()
    assert empty.knee is None
    assert empty.find_cheapest_with(0.0) is None
    assert empty.compute_progress() == [(0.1, 0.0)]
    assert empty.estimate_probabilities() == {}
    assert Results("s", "d", ()).compute_progress() == []


def test_a_member_knows_the_line_that_trains_to_it() -> None:
    by_epoch = {(member.trial.number, member.epoch): member.command for member in STUDY.frontier}
    assert by_epoch[0, 3] == "python -m pipeline run model.hidden=16 train.epochs=3"
    assert by_epoch[0, 1] == "python -m pipeline run model.hidden=16 train.epochs=1"
    paused = tried(7, (0.5, 1.0), state="paused", command="python -m pipeline run 'a=[1, 2]'")
    (member,) = Results("s", "d", (paused,)).frontier
    assert member.command == "python -m pipeline run 'a=[1, 2]' train.epochs=1"


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
    told = Results("s", "d", (first, further)).compute_progress()
    assert [spent for spent, _ in told] == [2.0, 3.0]
    assert told[1][1] > told[0][1]


# ---- confirmed ----------------------------------------------------------------------------------------


def test_a_confirmation_has_its_mean_and_spread() -> None:
    new = Confirmation((1, 2), (0.90, 0.92), (0.88, 0.90), (1.0, 3.0))
    assert (new.accuracy, new.test_accuracy, new.seconds) == pytest.approx((0.91, 0.89, 2.0))
    assert new.spread == pytest.approx(0.01 * 2**0.5)
    assert Confirmation((1,), (0.9,), (0.8,), (1.0,)).spread == 0.0
    assert new.points == (Point(0.90, 1.0), Point(0.92, 3.0))
