"""What is proposed, on made-up curves: repetition, continuation, pending trials, schedules, constraints."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from statistics import mean
from typing import Any

import pytest

from pipeline.frontier_sampler.domains import Choices, Numeric
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Parameter, make_key
from pipeline.frontier_sampler.history import Curve, Fidelity, TrialRecord, TrialStatus
from pipeline.frontier_sampler.suggest import Suggester, Suggestion

SPACE = EncodedSpace(
    [
        Parameter("kind", Choices(("a", "b"))),
        Parameter("rate", Numeric(1e-3, 1.0, log=True), "kind", ("a",)),
        Parameter("hidden", Numeric(8, 256, log=True, integer=True)),
    ]
)
EPOCHS = Fidelity(1, 20, chosen=True)


def curve(params: dict[str, Any], epochs: int) -> Curve:
    """Wide is better and dearer; the best rate is 0.1; b is as good as a bad rate."""
    off = abs(math.log(params["rate"] / 0.1)) if params["kind"] == "a" else 2.0
    worst = 0.5 / params["hidden"] ** 0.3 + 0.02 * off
    return tuple(
        (epoch, 1e-4 * params["hidden"] * epoch, 1 - min(0.9, worst + 0.4 / epoch))
        for epoch in range(1, epochs + 1)
    )


def told(number: int, found: Suggestion, state: TrialStatus = TrialStatus.finished) -> TrialRecord:
    epochs = found.epochs or 20
    reached = curve(found.params, epochs) if state is TrialStatus.finished else ()
    return TrialRecord(number=number, params=found.params, status=state, curve=reached, target=found.epochs)


def is_feasible(trial: TrialRecord) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def play(proposer: Suggester, count: int, trials: list[TrialRecord] | None = None) -> list[TrialRecord]:
    trials = list(trials or [])
    for number in range(len(trials), count):
        trials.append(told(number, proposer.suggest(trials, number)))
    return trials


@cache
def begin(seed: int) -> tuple[Suggester, list[TrialRecord]]:
    return Suggester(SPACE, EPOCHS, seed=seed), []


def played(count: int, seed: int) -> tuple[TrialRecord, ...]:
    """What `count` trials come to, for all tests that look at the same ones."""
    proposer, trials = begin(seed)
    trials.extend(play(proposer, count, trials)[len(trials) :])
    return tuple(trials[:count])


def steps(trials: Sequence[TrialRecord]) -> list[tuple[Key, int | None]]:
    return [(make_key(each.params), each.target) for each in trials]


def test_the_same_seed_gives_the_same_trials_and_another_one_others() -> None:
    again = play(Suggester(SPACE, EPOCHS, seed=1), 25)
    assert steps(again) == steps(played(25, seed=1))
    assert steps(again) != steps(played(25, seed=2))


def test_a_new_process_goes_on_as_the_old_one_would_have() -> None:
    whole = played(40, seed=0)
    for known in (9, 23, 37):
        fresh = Suggester(SPACE, EPOCHS, seed=0).suggest(whole[:known], known)
        assert (make_key(fresh.params), fresh.epochs) == steps(whole)[known]


def test_the_order_in_which_trials_ended_does_not_matter() -> None:
    trials = played(40, seed=0)[:30]
    late = Suggester(SPACE, EPOCHS, seed=0)
    late.suggest([*trials[:11], *trials[14:20]], 20)  # 11, 12 and 13 take long
    assert late.suggest(trials, 30) == Suggester(SPACE, EPOCHS, seed=0).suggest(trials[::-1], 30)


def test_a_configuration_is_only_ever_continued() -> None:
    reached: dict[Key, int] = {}
    for each in played(60, seed=1):
        key = make_key(each.params)
        assert each.target is not None
        assert each.target > reached.get(key, 0)
        reached[key] = each.target
    assert len(reached) < 60  # some were continued


def distance_from_the_best(params: dict[str, Any]) -> float:
    """Return what `curve` makes worse about the settings beside their width."""
    return abs(math.log(params["rate"] / 0.1)) if params["kind"] == "a" else 2.0


@pytest.mark.slow
def test_what_is_trained_to_the_end_is_better_than_what_is_begun() -> None:
    trials = [trial for seed in (1, 2, 3) for trial in played(40, seed=seed)]
    begun = [distance_from_the_best(trial.params) for trial in trials if trial.number < 8]
    ended = [distance_from_the_best(trial.params) for trial in trials if (trial.target or 0) >= 16]
    assert ended
    assert mean(ended) < 0.85 * mean(begun)


def least_error(trials: Sequence[TrialRecord]) -> float:
    return min(1 - trial.curve[-1][2] for trial in trials)


def test_where_few_trials_are_left_they_go_further() -> None:
    """Of the same 15 trials the next, out of 16 in all, is the last: an epoch that costs little is no use."""
    seeds = (0, 1, 2)
    many = [played(25, seed)[15].target or 0 for seed in seeds]
    last = [
        Suggester(SPACE, EPOCHS, seed=seed, trials=16).suggest(played(25, seed)[:15], 15) for seed in seeds
    ]
    assert all((one.epochs or 0) >= other for one, other in zip(last, many, strict=True))
    assert mean(one.epochs or 0 for one in last) > mean(many)


def test_a_search_of_few_trials_comes_further_where_it_knows_of_it() -> None:
    seeds = (0, 1)
    blind = mean(math.log(least_error(played(25, seed))) for seed in seeds)
    told_so = mean(
        math.log(least_error(play(Suggester(SPACE, EPOCHS, seed=seed, trials=25), 25))) for seed in seeds
    )
    assert told_so < blind - 0.05


def test_a_failed_configuration_is_not_tried_again() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in range(8, 28)]
    proposer, trials = Suggester(SPACE, EPOCHS, seed=0, listed=listed), []
    for number in range(40):
        found = proposer.suggest(trials, number)
        bad = found.params["hidden"] % 2 == 0
        trials.append(told(number, found, TrialStatus.failed if bad else TrialStatus.finished))
    failed = [make_key(each.params) for each in trials if each.status is TrialStatus.failed]
    assert failed
    assert len(set(failed)) == len(failed)


def test_running_trials_are_taken_as_told() -> None:
    trials, proposer = played(40, seed=0)[:30], Suggester(SPACE, EPOCHS, seed=0)
    running: list[TrialRecord] = []
    for number in range(30, 36):
        found = proposer.suggest([*trials, *running], number)
        running.append(told(number, found, TrialStatus.running))
    assert len({make_key(each.params) for each in running}) == 6
    free = Suggester(SPACE, EPOCHS, seed=0).suggest(trials, 35)
    assert running[-1].params != free.params  # what five others are about to find has less worth


@pytest.mark.slow
def test_where_epochs_are_not_to_be_chosen_trials_run_whole_and_once() -> None:
    trials = play(Suggester(SPACE, Fidelity(1, 20, chosen=False), seed=0), 40)
    assert {each.target for each in trials} == {None}
    assert len(set(steps(trials))) == 40


def test_a_schedule_whose_end_alone_counts_is_never_continued_but_may_start_again() -> None:
    proposer, trials = Suggester(SPACE, EPOCHS, seed=0), []
    for number in range(40):
        trials.append(replace(told(number, proposer.suggest(trials, number)), fair=False))
    assert len(set(steps(trials))) == 40
    assert any(each.target == 20 for each in trials)  # at once: half of a schedule is worth nothing


def test_when_all_is_done_it_says_so() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in (8, 16, 32)]
    proposer, trials = Suggester(SPACE, Fidelity(1, 4, chosen=True), seed=0, listed=listed), []
    for number in range(50):
        found = proposer.suggest(trials, number)
        if found.exhausted:
            break
        trials.append(told(number, found))
    assert found.exhausted
    assert {max(each.target or 0 for each in trials if each.params == params) for params in listed} == {4}


def test_where_constraints_are_broken_it_stays_away() -> None:
    proposer, trials = Suggester(SPACE, EPOCHS, seed=0), []
    for number in range(50):
        found = told(number, proposer.suggest(trials, number))
        trials.append(replace(found, constraints={"size": found.params["hidden"] - 64.0}))
    assert sum(not is_feasible(each) for each in trials[25:]) <= 5
    unfeasible = [make_key(each.params) for each in trials if not is_feasible(each)]
    assert len(set(unfeasible)) == len(unfeasible)  # none was continued


def test_work_tells_costs_before_they_are_measured() -> None:
    def work(params: Any) -> list[float]:
        return [params["hidden"]]

    trials = play(Suggester(SPACE, EPOCHS, seed=2, work=work), 30)
    assert len(set(steps(trials))) == 30


def test_accuracies_of_one_and_curves_that_start_late_do_no_harm() -> None:
    proposer, trials = Suggester(SPACE, EPOCHS, seed=0), []
    for number in range(25):
        found = proposer.suggest(trials, number)
        whole = curve(found.params, found.epochs or 1)
        entry = (whole[-1][0], whole[-1][1], 1.0 if number % 3 == 0 else whole[-1][2])
        trials.append(replace(told(number, found), curve=(entry,)))
    assert len(set(steps(trials))) == 25


def test_what_ended_early_is_not_taken_up_again() -> None:
    listed = [{"kind": "b", "hidden": hidden} for hidden in (8, 16, 32)]
    proposer, trials = Suggester(SPACE, EPOCHS, seed=0, listed=listed), []
    for number in range(60):
        found = proposer.suggest(trials, number)
        if found.exhausted:
            break
        whole = told(number, found)
        trials.append(replace(whole, curve=whole.curve[:3]))  # nothing ever comes further than epoch 3
    assert found.exhausted
    assert len(trials) <= 3 * 5


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_several_workers_need_few_trials_more(workers: int) -> None:
    """What four workers have found after 48 trials is nearly what one has found."""

    def best(trials: Sequence[TrialRecord]) -> float:
        return max(entry[2] for each in trials for entry in each.curve if entry[1] <= 0.05)

    alone = played(48, seed=5)
    proposer, trials = Suggester(SPACE, EPOCHS, seed=5), []
    while len(trials) < 48:
        batch: list[TrialRecord] = []
        for number in range(len(trials), len(trials) + workers):
            batch.append(told(number, proposer.suggest([*trials, *batch], number), TrialStatus.running))
        trials += [told(each.number, Suggestion(dict(each.params), each.target)) for each in batch]
    assert best(trials) > best(alone) - 0.02


# ---- what more training would add -------------------------------------------------------------


def test_what_more_training_would_add_is_affordable_and_has_an_interval() -> None:
    trials, proposer = list(played(40, seed=0))[:20], Suggester(SPACE, EPOCHS, seed=0)
    outlook = proposer.look_ahead(trials, 20)
    assert outlook is not None
    assert 0 <= outlook.low <= outlook.gain <= outlook.high < 1
    assert outlook.gain > 0
    assert outlook.reached < outlook.epochs <= EPOCHS.high
    dearest = {make_key(trial.params): trial.curve[-1][1] for trial in trials if trial.curve}
    assert 0 < outlook.extra_seconds <= sum(dearest.values()) * 1.001
    assert proposer.look_ahead(trials, 20) == outlook
    assert steps([told(20, proposer.suggest(trials, 20))]) == steps(played(40, seed=0)[20:21])


def test_where_nothing_is_left_to_gain_the_forecast_says_so() -> None:
    trials, proposer = list(played(40, seed=0))[:20], Suggester(SPACE, EPOCHS, seed=0)
    outlook = proposer.look_ahead(trials, 20, best_accuracy=1.0)  # of a baseline
    assert outlook is not None
    assert outlook.gain < 0.01


def test_before_there_is_a_surrogate_nothing_is_forecast() -> None:
    assert Suggester(SPACE, EPOCHS, seed=0).look_ahead([], 0) is None
    assert Suggester(SPACE, EPOCHS, seed=0).look_ahead(list(played(40, seed=0))[:5], 5) is None
