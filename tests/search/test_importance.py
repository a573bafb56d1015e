"""Importance finds the key that matters, and says nothing where it cannot know."""

import pytest

from pipeline.search.importance import MIN_TRIALS, compute_importances
from pipeline.search.results import Results
from tests.support.studies import tried


def study(count: int) -> Results:
    """Cost and error follow `wide` alone; `idle` is noise."""
    trials = [
        tried(
            number,
            (1 - 0.5 / (1 + number), 1.0 + number),
            params={"wide": number, "idle": ("a", "b")[number * 7 % 3 % 2]},
        )
        for number in range(count)
    ]
    return Results(study="s", data="d", trials=tuple(trials))


def test_the_key_that_decides_explains_most() -> None:
    importances = compute_importances(study(24))
    assert set(importances) == {"accuracy", "device-seconds"}
    for shares in importances.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["wide"] > 0.9


def test_few_trials_say_nothing() -> None:
    assert compute_importances(study(MIN_TRIALS - 1)) == {}
    assert set(compute_importances(study(MIN_TRIALS))) == {"accuracy", "device-seconds"}
