"""Other objectives: the improvement that is expected, scales, pending trials, constraints."""

import numpy as np
import pytest

from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.general import (
    MAX_TRIALS,
    GeneralSuggester,
    ValueModel,
    ValueRecord,
    scale_losses,
    select_relevant,
)
from pipeline.frontier_sampler.history import TrialStatus
from pipeline.frontier_sampler.surrogate import default_kernel

SPACE = EncodedSpace([Parameter("x", Numeric(0.0, 1.0))])


def record(number: int, x: float, *losses: float) -> ValueRecord:
    status = TrialStatus.finished if losses else TrialStatus.running
    return ValueRecord(number, {"x": x}, status, losses)


def test_expected_improvement_is_largest_near_the_optimum() -> None:
    trials = [record(number, x, (x - 0.3) ** 2) for number, x in enumerate(np.linspace(0, 1, 9))]
    model = ValueModel(SPACE, trials, [], [default_kernel(1)])
    grid = np.linspace(0, 1, 101)[:, None]
    assert 0.15 < grid[model.expect_improvement(grid).argmax(), 0] < 0.45


def test_pending_trials_take_their_improvement_away() -> None:
    trials = [record(number, x, x, (1 - x) ** 2) for number, x in enumerate((0.0, 0.5, 1.0))]
    kernels = [default_kernel(1)] * 2
    place = np.array([[0.75]])
    free = ValueModel(SPACE, trials, [], kernels).expect_improvement(place)
    pending = ValueModel(SPACE, trials, [record(3, 0.75)], kernels).expect_improvement(place)
    assert pending < free


def test_losses_are_scaled_by_logs_where_they_are_wide() -> None:
    scaled = scale_losses(np.array([[1.0, -1.0], [10.0, 0.0], [100.0, np.inf]]))
    assert scaled[:, 0] == pytest.approx([0, 0.5, 1])
    assert scaled[:, 1] == pytest.approx([0, 1, 1])  # infinite is as bad as the worst


def test_losses_may_be_as_far_apart_as_floats_are() -> None:
    assert scale_losses(np.array([[-1.7e308], [0.0], [1.7e308]]))[:, 0] == pytest.approx([0, 0.5, 1])


def test_a_few_disasters_do_not_have_good_losses_look_alike() -> None:
    scaled = scale_losses(np.array([[-3.0], [-2.0], [-1.0], [0.0], [1e6]]))[:, 0]
    assert scaled[3] > 0.05
    assert (np.diff(scaled) > 0).all()  # the order stays


def test_what_was_tried_is_not_suggested_until_nothing_else_is_left() -> None:
    space = EncodedSpace([Parameter("n", Numeric(0, 5, integer=True))])
    suggester, trials = GeneralSuggester(space, seed=0, startup_trials=3), list[ValueRecord]()
    for number in range(6):
        suggestion = suggester.suggest(trials, number)
        assert not suggestion.exhausted
        loss = float(suggestion.params["n"])
        trials.append(ValueRecord(number, suggestion.params, TrialStatus.finished, (loss,)))
    assert {trial.params["n"] for trial in trials} == set(range(6))
    assert suggester.suggest(trials, 6).exhausted


def test_of_many_trials_the_undominated_and_the_newest_matter() -> None:
    draw = np.random.default_rng(0)
    losses = draw.random((3 * MAX_TRIALS, 3)).round(2)
    trials = [
        ValueRecord(number, {"x": 0.5}, TrialStatus.finished, tuple(row), {"size": number % 2 - 0.5})
        for number, row in enumerate(losses.tolist())
    ]
    kept = {trial.number for trial in select_relevant(trials)}
    feasible = losses[::2]
    beaten = [((feasible <= row).all(1) & (feasible < row).any(1)).any() for row in feasible]
    assert {2 * row for row in np.flatnonzero(~np.array(beaten))} <= kept
    assert {*range(3 * MAX_TRIALS - 50, 3 * MAX_TRIALS)} <= kept
    assert len(kept) < 1.5 * MAX_TRIALS
    assert select_relevant(trials[:MAX_TRIALS]) == trials[:MAX_TRIALS]
