"""What a study came to, on hand-made trials."""

from itertools import pairwise

import pytest

from pipeline.errors import BadInput
from pipeline.measures import Point
from pipeline.search.results import Confirmation, Results, Tried
from tests.support.studies import DEVICE, tried

SMALL = tried(0, (0.50, 1.0), (0.60, 2.0), (0.62, 3.0))
WIDE = tried(1, (0.55, 2.5), (0.88, 5.0), (0.90, 7.5))
POOR = tried(2, (0.40, 3.0), (0.59, 6.0))
BROKEN = tried(3, (0.99, 0.1), state="failed", reason="the loss became NaN")
STUDY = Results("widths", "digits", (SMALL, WIDE, POOR, BROKEN))


def named(results: Results) -> list[tuple[int, int]]:
    return [(member.tried.number, member.epoch) for member in results.members()]


# ---- which points are fair ----------------------------------------------------------------------------


def test_every_epoch_is_a_point_where_that_is_fair() -> None:
    assert SMALL.points() == SMALL.curve


def test_only_the_end_counts_where_the_middle_is_not_fair() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False).fair() == ((2, Point(0.9, 2.0)),)


def test_a_pause_in_the_middle_of_a_decay_is_no_end() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False, state="paused").points() == ()
    assert len(tried(4, (0.5, 1.0), (0.9, 2.0), state="paused").points()) == 2


def test_a_failed_trial_has_no_point() -> None:
    assert BROKEN.points() == ()


# ---- the frontier -------------------------------------------------------------------------------------


def test_the_frontier_runs_over_all_epochs_of_all_trials() -> None:
    assert named(STUDY) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    costs = [member.point.device_seconds for member in STUDY.members()]
    assert all(one < following for one, following in pairwise(costs))


def test_choices() -> None:
    knee, enough, affordable = STUDY.knee(), STUDY.at_least(0.7), STUDY.within(4.9)
    assert knee is not None
    assert enough is not None
    assert affordable is not None
    assert (knee.tried, knee.epoch) == (WIDE, 2)
    assert (enough.tried, enough.epoch) == (WIDE, 2)
    assert (affordable.tried, affordable.epoch) == (SMALL, 3)
    assert STUDY.at_least(0.95) is None
    assert STUDY.within(0.5) is None


def test_a_dominated_trial_says_by_whom() -> None:
    beater = STUDY.beaten_by(POOR)
    assert beater is not None
    assert (beater.tried, beater.epoch) == (SMALL, 2)
    assert STUDY.beaten_by(SMALL) is None
    assert STUDY.beaten_by(BROKEN) is None


def test_an_equal_trial_is_beaten_by_the_one_that_came_first() -> None:
    twin = tried(5, (0.50, 1.0))
    beater = Results("s", "d", (SMALL, twin)).beaten_by(twin)
    assert beater is not None
    assert (beater.tried, beater.epoch) == (SMALL, 1)


def test_devices_are_not_mixed() -> None:
    mixed = Results("s", "d", (SMALL, tried(6, (0.9, 0.1), device="H100")))
    with pytest.raises(BadInput, match="exactly one device"):
        mixed.members()
    failed = tried(6, (0.9, 0.1), device="H100", state="failed")
    assert Results("s", "d", (SMALL, failed)).device == DEVICE


def test_a_study_without_points() -> None:
    empty = Results("s", "d", (BROKEN,))
    assert empty.members() == ()
    assert empty.knee() is None
    assert empty.at_least(0.0) is None
    assert empty.spent_curve() == [(0.1, 0.0)]
    assert empty.chances() == {}
    assert Results("s", "d", ()).spent_curve() == []


def test_a_member_knows_the_line_that_trains_to_it() -> None:
    by_epoch = {(member.tried.number, member.epoch): member.command for member in STUDY.members()}
    assert by_epoch[0, 3] == "python -m pipeline run model.hidden=16 train.epochs=3"
    assert by_epoch[0, 1] == "python -m pipeline run model.hidden=16 train.epochs=1"
    paused = tried(7, (0.5, 1.0), state="paused", command="python -m pipeline run 'a=[1, 2]'")
    (member,) = Results("s", "d", (paused,)).members()
    assert member.command == "python -m pipeline run 'a=[1, 2]' train.epochs=1"


# ---- what was spent -----------------------------------------------------------------------------------


def test_the_spent_curve_counts_failures_and_never_falls() -> None:
    told = STUDY.spent_curve()
    assert [spent for spent, _ in told] == pytest.approx([3.0, 10.5, 16.5, 16.6])
    shares = [share for _, share in told]
    assert all(one <= following for one, following in pairwise(shares))
    assert 0 < shares[0] < shares[1] == shares[2] == shares[3] <= 1


def test_a_continued_trial_pays_only_the_difference() -> None:
    first = tried(0, (0.5, 1.0), (0.6, 2.0), state="paused")
    further = tried(8, (0.5, 1.0), (0.6, 2.0), (0.7, 3.0), paid_seconds=1.0)
    told = Results("s", "d", (first, further)).spent_curve()
    assert [spent for spent, _ in told] == [2.0, 3.0]
    assert told[1][1] > told[0][1]


# ---- confirmed ----------------------------------------------------------------------------------------


def confirmed(number: int, point: tuple[float, float], *again: float) -> Tried:
    count = len(again)
    new = Confirmation(
        tuple(range(1, count + 1)), again, tuple(each - 0.01 for each in again), (point[1],) * count
    )
    return tried(number, point, confirmations={1: new})


def test_a_confirmation_has_its_mean_and_spread() -> None:
    new = Confirmation((1, 2), (0.90, 0.92), (0.88, 0.90), (1.0, 3.0))
    assert (new.accuracy, new.test_accuracy, new.seconds) == pytest.approx((0.91, 0.89, 2.0))
    assert new.spread == pytest.approx(0.01 * 2**0.5)
    assert Confirmation((1,), (0.9,), (0.8,), (1.0,)).spread == 0.0
    assert new.points == (Point(0.90, 1.0), Point(0.92, 3.0))


def test_chances_tell_luck_from_merit() -> None:
    cheap = confirmed(0, (0.900, 1.0), 0.901, 0.899)
    lucky = confirmed(1, (0.912, 2.0), 0.899, 0.901)  # its new seeds are no better than the cheap one's
    good = confirmed(2, (0.950, 4.0), 0.951, 0.949)
    study = Results("s", "d", (cheap, lucky, good))
    chances = study.chances()
    assert set(chances) == {(0, 1), (1, 1), (2, 1)}
    assert chances[0, 1] == 1.0, "nothing is cheaper"
    assert chances[2, 1] > 0.99
    assert 0.3 < chances[1, 1] < 0.7
    assert study.chances() == chances, "seeded"


def test_without_spread_the_means_decide() -> None:
    study = Results("s", "d", (confirmed(0, (0.9, 1.0), 0.9, 0.9), confirmed(1, (0.91, 2.0), 0.91, 0.91)))
    assert study.chances() == {(0, 1): 1.0, (1, 1): 1.0}


def test_who_was_not_confirmed_has_no_chance_told_but_competes() -> None:
    bare = tried(0, (0.95, 1.0))
    risen = confirmed(1, (0.951, 2.0), 0.93, 0.931)  # after confirmation below the bare one
    chances = Results("s", "d", (bare, risen)).chances()
    assert set(chances) == {(1, 1)}
    assert chances[1, 1] < 0.2
