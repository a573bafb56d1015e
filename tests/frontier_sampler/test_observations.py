"""What the surrogates are told of curves: the decline that all of them share."""

import math

import numpy as np
import pytest

from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.history import Fidelity, History, TrialRecord, TrialStatus
from pipeline.frontier_sampler.observations import Decline, Observations, estimate_decline

SPACE = EncodedSpace([Parameter("x", Numeric(0.0, 1.0))])
EPOCHS = Fidelity(1, 4, chosen=True)


def find_falls(*curves: dict[int, float]) -> list[float]:
    """Return the fall of log error over log epoch between the rungs 1, 2, 3 and 4, of errors by epoch."""
    history = History(SPACE, EPOCHS)
    history.add_trials(
        TrialRecord(
            number=number,
            params={"x": number / 8},
            status=TrialStatus.finished,
            curve=tuple((epoch, float(epoch), 1 - error) for epoch, error in errors.items()),
        )
        for number, errors in enumerate(curves)
    )
    fallen = estimate_decline(history.list_observed(), EPOCHS).fallen
    return [
        (after - before) / math.log((rung + 1) / rung)
        for rung, before, after in zip((1, 2, 3), fallen, fallen[1:], strict=False)
    ]


def test_a_steep_beginning_promises_nothing_of_the_rungs_behind_it() -> None:
    steep = {1: 0.8, 2: 0.1}  # a slope of 3, which two curves of 0.4 are counted with
    assert find_falls(steep, steep) == pytest.approx([1.7, 0.4, 0.4])


def test_flat_curves_are_expected_to_stay_flat() -> None:
    flat = {1: 0.5, 2: 0.5}
    assert find_falls(flat, flat) == pytest.approx([0.2, 0.2, 0.2])


def test_rising_errors_are_no_decline() -> None:
    worse = {1: 0.1, 2: 0.8}
    assert find_falls(worse, worse) == [0.0, 0.0, 0.0]


def test_a_curve_without_an_entry_at_each_rung_counts_for_those_that_it_passed() -> None:
    sparse = {1: 0.8, 4: 0.2}  # a slope of 1
    assert find_falls(sparse, sparse) == pytest.approx([0.7, 0.7, 0.7])


def test_a_curve_without_errors_says_nothing() -> None:
    assert find_falls({1: 0.5, 2: 0.0}, {1: 0.0, 2: 0.0}) == pytest.approx([0.4, 0.4, 0.4])


def test_what_learns_nothing_counts_as_little_worse_than_the_others() -> None:
    """Of nine within a factor of two and one at chance: as far above the median as twice the best below."""
    errors = np.append(np.log(np.geomspace(0.05, 0.1, 9)), math.log(0.9))
    rows = Observations(np.zeros((10, 1)), errors, np.zeros(10))
    flat = rows.flatten(Decline(np.array([0.0, 1.0]), np.array([0.0, 0.0])))
    middle = float(np.median(errors))
    assert flat[:9].tolist() == errors[:9].tolist()
    assert flat[9] == pytest.approx(middle + 2 * (middle - math.log(0.05)))
