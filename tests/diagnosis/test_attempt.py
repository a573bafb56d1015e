"""What is said of an attempt, and how long a promising one may be timed."""

import math
from dataclasses import replace

import pytest

from pipeline.diagnosis.attempt import (
    Attempt,
    TimeBudget,
    TotalGain,
    format_confidence,
    format_gain,
    judge,
)
from pipeline.diagnosis.bottleneck import ProposedRemedy
from pipeline.diagnosis.measured_command import MeasuredCommand
from pipeline.measures import Curve, Epoch
from pipeline.settings.searching.measures import MEASURES
from tests.support import tiny


@pytest.mark.parametrize(
    ("factors", "text"),
    [
        ((1.62, 2.11, 2.75), "2.11x cheaper (1.62x to 2.75x)"),
        ((0.5, 0.8, 1.28), "1.25x dearer (0.781x to 2x)"),
        ((1e-9, 2.0, 1e9), "2x cheaper (<0.001x to >1000x)"),
    ],
)
def test_a_gain_is_a_factor_with_its_interval(factors: tuple[float, float, float], text: str) -> None:
    low, mean, high = map(math.log, factors)
    assert format_gain(low, high, mean) == text


def test_no_test_is_sure_beyond_doubt() -> None:
    assert (format_confidence(0.9999), format_confidence(0.95)) == (">99.9%", "95.0%")


def test_a_total_says_what_it_is_made_of() -> None:
    total = TotalGain(times=2.4, low=2.0, high=2.9, confidence=1.0, by_pairs=2.0)
    assert total.format() == "2.4x cheaper (2x to 2.9x): 2x by pairs, 1.2x by the number of epochs"
    alone = TotalGain(times=2.0, low=1.5, high=2.6, confidence=1.0, by_pairs=2.0)
    assert alone.format() == "2x cheaper (1.5x to 2.6x)"
    shortened = TotalGain(times=2.0, low=2.0, high=2.0, confidence=1.0, by_pairs=1.0)
    assert shortened.format() == "2x cheaper (2x to 2x)"


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("accuracy", "accuracy -0.10 points (>99.9% that no more than 0.2 are lost)"),
        ("r2", "R2 -0.0010 (>99.9% that no more than 0.002 are lost)"),
        ("balanced_accuracy", "balanced accuracy -0.10 points (>99.9% that no more than 0.2 are lost)"),
    ],
)
def test_what_is_kept_is_said_in_its_own_name_and_unit(name: str, lost: str) -> None:
    settings = replace(tiny.BASE.diagnose, tolerance=0.002, seeds=2)
    before, after = (
        MeasuredCommand((), tuple(make_curve(value + seed / 1000) for seed in range(2)), 1, costs)
        for value, costs in ((0.9, (2.0, 2.0)), (0.899, (1.0, 1.0)))
    )
    proposal = ProposedRemedy(remedy="r", words=(), gain=2.0, risk="", for_bottleneck=True)
    attempt = Attempt(number=1, proposal=proposal, words=(), before=before, after=after)
    judged = judge(attempt, before, settings, MEASURES[name])
    assert judged.kept
    assert judged.reason.endswith(lost)


def make_curve(value: float) -> Curve:
    epoch = Epoch(
        number=1, device_seconds=1.0, train_loss=0.0, validation_loss=0.0, validation_accuracy=value
    )
    return Curve("a CPU", True, (epoch,))


def test_a_promising_remedy_may_take_half_of_the_time_that_is_left() -> None:
    budget = TimeBudget(clock=lambda: 130.0, began=100.0, minutes=2.5)
    assert budget.left == 120.0
    assert budget.can_spend(60.0)
    assert not budget.can_spend(60.1)


def test_the_minutes_that_are_advised_would_have_been_enough() -> None:
    for seconds in (1.0, 61.0, 75.0, 400.0):
        budget = TimeBudget(clock=lambda: 130.0, began=100.0, minutes=1)
        advised = int(
            budget.advise(seconds).removeprefix("diagnose.minutes=").removesuffix(" would settle it")
        )
        assert advised > 1
        assert TimeBudget(clock=budget.clock, began=100.0, minutes=advised).can_spend(seconds)
    assert budget.advise(math.inf) == "no reasonable time would settle it"
