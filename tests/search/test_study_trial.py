"""A trial's fair points, its command lines and its confirmations."""

import pytest

from pipeline.measures import Point
from pipeline.search.results import Results
from pipeline.search.study_trial import Confirmation
from tests.support.studies import tried

SMALL = tried(0, (0.50, 1.0), (0.60, 2.0), (0.62, 3.0))
BROKEN = tried(3, (0.99, 0.1), state="failed", reason="the loss became NaN")


def test_every_epoch_is_a_point_where_that_is_fair() -> None:
    assert SMALL.points == SMALL.curve


def test_only_the_end_counts_where_the_middle_is_not_fair() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False).fair_states == ((2, Point(0.9, 2.0)),)


def test_a_pause_in_the_middle_of_a_decay_is_no_end() -> None:
    assert tried(4, (0.5, 1.0), (0.9, 2.0), fair_midway=False, state="paused").points == ()
    assert len(tried(4, (0.5, 1.0), (0.9, 2.0), state="paused").points) == 2


def test_a_failed_trial_has_no_point() -> None:
    assert BROKEN.points == ()


def test_a_member_knows_the_line_that_trains_to_it() -> None:
    by_epoch = {
        (member.trial.number, member.epoch): member.command
        for member in Results(study="s", data="d", trials=(SMALL,)).frontier
    }
    assert by_epoch[0, 3] == "python -m pipeline run model.hidden=16 train.epochs=3"
    assert by_epoch[0, 1] == "python -m pipeline run model.hidden=16 train.epochs=1"
    paused = tried(7, (0.5, 1.0), state="paused", command="python -m pipeline run 'a=[1, 2]'")
    (member,) = Results(study="s", data="d", trials=(paused,)).frontier
    assert member.command == "python -m pipeline run 'a=[1, 2]' train.epochs=1"


def test_a_confirmation_has_its_mean_and_spread() -> None:
    new = Confirmation((1, 2), (0.90, 0.92), (0.88, 0.90), (1.0, 3.0))
    assert (new.accuracy, new.test_accuracy, new.seconds) == pytest.approx((0.91, 0.89, 2.0))
    assert new.spread == pytest.approx(0.01 * 2**0.5)
    assert Confirmation((1,), (0.9,), (0.8,), (1.0,)).spread == 0.0
    assert new.points == (Point(0.90, 1.0), Point(0.92, 3.0))
