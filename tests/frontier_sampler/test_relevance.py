"""Of many configurations a bounded number is kept, and with them the whole frontier."""

import copy

import numpy as np
import pytest

from pipeline.frontier.dominance import find_frontier
from pipeline.frontier_sampler.domains import Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Parameter
from pipeline.frontier_sampler.forecast import Forecast, fit_kernels
from pipeline.frontier_sampler.history import Fidelity, History, TrialRecord, TrialStatus
from pipeline.frontier_sampler.relevance import LIMIT, NEWEST
from pipeline.measures import Point

SPACE = EncodedSpace([Parameter("x", Numeric(0, 1))])
FIDELITY = Fidelity(1, 8, chosen=True)


def make_trials(count: int, seed: int = 0) -> list[TrialRecord]:
    """Make curves of random heights and costs; every seventh one breaks a constraint."""
    draw = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        cost, error, epochs = (
            float(np.exp(draw.normal(0, 1))),
            draw.uniform(0.05, 0.9),
            int(draw.integers(1, 9)),
        )
        trials.append(
            TrialRecord(
                number=number,
                params={"x": number / count},
                status=TrialStatus.finished,
                curve=tuple(
                    (e, cost * e, 1 - error * e ** -draw.uniform(0.2, 0.6)) for e in range(1, epochs + 1)
                ),
                target=epochs,
                constraints={"size": 1.0 if number % 7 == 0 else -1.0},
            )
        )
    return trials


def fill(trials: list[TrialRecord]) -> History:
    history = History(SPACE, FIDELITY)
    history.add_trials(trials)
    return history


def find_owners(trials: list[TrialRecord]) -> set[int]:
    """Return the numbers of the trials on the frontier, by the rule that studies are shown with."""
    states = [
        (trial.number, Point(accuracy, seconds))
        for trial in trials
        if trial.constraints["size"] <= 0
        for _, seconds, accuracy in trial.curve
    ]
    return {states[index][0] for index in find_frontier([point for _, point in states])}


def test_few_configurations_all_matter() -> None:
    history = fill(make_trials(LIMIT))
    assert [row.first for row in history.list_relevant()] == list(range(LIMIT))


@pytest.mark.parametrize("order", [1, -1], ids=["as they were begun", "the last first"])
def test_of_many_the_frontier_the_edges_and_the_newest_stay(order: int) -> None:
    trials = make_trials(3 * LIMIT)
    history = fill(trials[::order])
    kept = [row.first for row in history.list_relevant()]
    assert kept == sorted(kept)
    assert len(kept) < 1.2 * LIMIT
    assert find_owners(trials) <= set(kept)
    assert set(range(3 * LIMIT - NEWEST, 3 * LIMIT)) <= set(kept)
    costs = [trial.curve[-1][1] for trial in trials]
    errors = [1 - trial.curve[0][2] for trial in trials]
    assert {int(np.argmax(costs)), int(np.argmax(errors))} <= set(kept)
    assert len(history.list_observed()) == history.observed_count == 3 * LIMIT


def test_the_frontier_of_a_forecast_is_that_of_all_trials() -> None:
    trials = make_trials(3 * LIMIT)
    history = fill(trials)
    forecast = Forecast(history, [], fit_kernels(fill(trials[:20]), None))
    points = [entry for trial in trials if trial.constraints["size"] <= 0 for entry in trial.curve]
    for _, seconds, _ in points[::97]:
        best = min(1 - accuracy for _, earlier, accuracy in points if earlier <= seconds)
        assert forecast.stairs.level(np.array([np.log(seconds)])) == pytest.approx(np.log(best))


def test_a_configuration_that_turns_out_infeasible_leaves_the_frontier() -> None:
    trials = make_trials(3 * LIMIT)
    best = max(find_owners(trials), key=lambda number: trials[number].curve[-1][2])
    worse = TrialRecord(
        number=len(trials), params=trials[best].params, status=TrialStatus.failed, constraints={"size": 2.0}
    )
    history = fill(trials)
    assert best in {row.first for row in history.list_relevant() if row.feasible}
    history.add_trials([worse])
    front = {row.first for row in history.list_relevant() if row.feasible}
    assert best not in front
    assert find_owners([trial for trial in trials if trial.number != best]) <= front


def test_a_copy_goes_on_by_itself() -> None:
    trials = make_trials(LIMIT + 40)
    history = fill(trials[:-20])
    twin = copy.deepcopy(history)
    twin.add_trials(trials)
    assert twin.observed_count == LIMIT + 40
    assert history.observed_count == LIMIT + 20
    assert [row.first for row in twin.list_relevant()] == [row.first for row in fill(trials).list_relevant()]
