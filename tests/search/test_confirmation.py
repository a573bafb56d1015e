"""The points of a frontier are trained again: with new seeds, or to the same weights."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.search.confirmation import confirm, plan_point, train_point
from pipeline.search.space import Dimension, SearchSpace
from pipeline.search.workers.job import Job, TrialOutcome
from pipeline.training import checkpoints
from pipeline.training.checkpoint_key import get_keyed_path
from pipeline.training.train import train
from pipeline.trial import network
from pipeline.trial.network import train_to_end
from tests.support import tiny
from tests.support.sweeps import SPACE, Pool, Scene, complete, curve_of, states


def confirmations(made: Scene) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        (member.trial.number, member.epoch): member.confirmation.seeds
        for member in made.sweep.results.frontier
        if member.confirmation
    }


def test_members_of_the_frontier_are_confirmed_with_new_seeds(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=2", "train.seed=7")
    made.sweep.run()
    members = made.sweep.results.frontier
    confirm(made.sweep)
    assert confirmations(made) == {(member.trial.number, member.epoch): (8, 9) for member in members}
    jobs = made.pool.started[3:]
    assert len(jobs) == 2 * len(members)
    assert all(job.read_test and job.checkpoint is None and not job.settings.pruning.enabled for job in jobs)
    by_seed = {(job.settings.train.seed, job.settings.train.epochs) for job in jobs}
    assert by_seed == {(seed, member.epoch) for member in members for seed in (8, 9)}
    first = made.sweep.results.frontier[0].confirmation
    assert first is not None
    assert first.test_accuracy == pytest.approx(first.accuracy - 0.01)
    assert states(made.store) == 3 * ["complete"]  # no trials of their own
    assert [trial.seed for trial in made.observer.opened] == 3 * [None] + [
        job.settings.train.seed for job in jobs
    ]
    assert all(trial.confirmed_run == f"run of {trial.number}" for trial in made.observer.opened[3:])


def test_new_seeds_are_none_that_the_search_has_used(scene: Callable[..., Scene]) -> None:
    choices = SearchSpace((*SPACE.dimensions, Dimension(key="train.seed", choices=(0, 2))))
    made = scene("search.trials=4", "search.confirm=2", space=choices)
    made.sweep.run()
    confirm(made.sweep)
    assert set(confirmations(made).values()) == {(1, 3)}


def test_a_seed_of_a_range_is_not_new_for_its_own_point(scene: Callable[..., Scene]) -> None:
    a_range = SearchSpace(
        (*SPACE.dimensions, Dimension(key="train.seed", low=1, high=2, step=1, is_integer=True))
    )
    made = scene("search.trials=4", "search.confirm=2", space=a_range)
    made.sweep.run()
    confirm(made.sweep)
    for member in made.sweep.results.frontier:
        expected = {1: (2, 3), 2: (1, 3)}[member.params["train.seed"]]
        assert member.confirmation is not None
        assert member.confirmation.seeds == expected


def test_behind_the_last_seed_begins_the_first(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=1", "search.confirm=2", "train.seed=2147483647")
    made.sweep.run()
    confirm(made.sweep)
    assert set(confirmations(made).values()) == {(0, 1)}


def test_what_was_confirmed_stays_as_it_is(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=1")
    made.sweep.run()
    confirm(made.sweep)
    again = scene("search.trials=3", "search.confirm=1")
    again.sweep.run()
    confirm(again.sweep)
    assert again.pool.started == []
    assert confirmations(again) == confirmations(made)
    more = scene("search.trials=3", "search.confirm=2")
    confirm(more.sweep)
    assert len(more.pool.started) == len(confirmations(made))


def test_confirming_that_is_interrupted_goes_on(scene: Callable[..., Scene]) -> None:
    made = scene("search.trials=3", "search.confirm=2")
    made.sweep.run()
    made.pool.about_to = lambda _job: 1 / 0 if len(made.pool.started) == 5 else None  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        confirm(made.sweep)
    assert made.observer.discarded == ["confirm 1"]
    again = scene("search.trials=3", "search.confirm=2")
    confirm(again.sweep)
    members = again.sweep.results.frontier
    assert len(again.pool.started) == 2 * len(members) - 1
    assert set(confirmations(again).values()) == {(1, 2)}


def test_two_processes_share_what_is_to_be_confirmed(scene: Callable[..., Scene]) -> None:
    made, other = scene("search.trials=4", "search.confirm=2"), scene("search.trials=4", "search.confirm=2")
    made.sweep.run()
    # While this one trains its first, the other begins and ends all the rest.
    made.pool.about_to = lambda _job: confirm(other.sweep) if not other.pool.started else None
    other.pool.about_to = lambda _job: None

    def end_of_waiting(_seconds: float) -> None:
        raise TimeoutError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", end_of_waiting)
        with pytest.raises(TimeoutError):  # it would wait for the first
            confirm(made.sweep)
    assert len(other.pool.started) == 2 * len(made.sweep.results.frontier) - 1


def test_a_confirmation_that_fails_is_none(scene: Callable[..., Scene]) -> None:
    def work(job: Job) -> TrialOutcome:
        return (
            TrialOutcome(status="failed", reason="out of memory")
            if job.settings.train.seed == 2
            else complete(job)
        )

    made = scene("search.trials=2", "search.confirm=2", pool=Pool(work=work))
    made.sweep.run()
    confirm(made.sweep)
    assert set(confirmations(made).values()) == {(1,)}
    assert {member.failed_seeds for member in made.sweep.results.frontier} == {(2,)}
    again = scene("search.trials=2", "search.confirm=2")
    confirm(again.sweep)
    assert again.pool.started == []
    assert {member.count_failed() for member in again.sweep.results.frontier} == {"1 of 2"}
    assert again.observer.phases == []  # nothing is left to do


# ---- to the same weights ----------------------------------------------------------------------------------

DATA = tiny.prepared(120, shape=(8, 8))


@pytest.fixture
def searched(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(network, "load_prepared", lambda *_: DATA)
    made = scene("search.trials=1")
    made.sweep.run()
    return made


def test_a_point_is_trained_to_the_state_that_it_stands_for(searched: Scene) -> None:
    point = searched.sweep.results.frontier[0]
    planned = plan_point(searched.sweep, point)
    weights = train_point(planned).weights
    assert planned.settings.train.epochs == point.epoch
    expected = train_to_end(DATA, planned.settings).get_weights()
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("saved_epochs", [1, 2, 3])
def test_it_goes_on_from_the_checkpoint_of_its_trial(searched: Scene, saved_epochs: int) -> None:
    """Shorter, as long, and longer than the point: which is left as it is."""
    point = next(each for each in searched.sweep.results.frontier if each.epoch == 2)
    trial = searched.observer.opened[0].command_line
    path = get_keyed_path(searched.sweep.spec.get_checkpoint_path(trial), DATA, trial.settings)
    for trained in train(DATA, trial.settings):
        if trained.curve.last.number == saved_epochs:
            checkpoints.save(path, trained.to_checkpoint())
            break
    weights = train_point(plan_point(searched.sweep, point)).weights
    states_of = [item.get_weights() for item in train(DATA, trial.settings)]
    for ours, theirs in zip(weights, states_of[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    left = checkpoints.load(path)
    assert left is not None
    assert len(left.curve.epochs) == max(2, saved_epochs)


def run_out_of_patience(job: Job) -> TrialOutcome:
    """Return the outcome of a trial that has ended after the second of its epochs."""
    curve = curve_of(job)
    two = replace(curve, epochs=curve.epochs[:2])
    return replace(complete(job), curve=two, chosen_epoch=two.last)


def test_a_point_that_ran_out_of_patience_is_trained_by_its_own_words(scene: Callable[..., Scene]) -> None:
    """A rate that falls until the last of two epochs is another one, and so is the noise of an epsilon."""
    cosine = SearchSpace((*SPACE.dimensions, Dimension(key="schedule", choices=("cosine",))))
    pool = Pool(work=run_out_of_patience)
    made = scene("search.trials=1", "search.confirm=1", space=cosine, pool=pool)
    made.sweep.run()
    (point,) = made.sweep.results.frontier
    assert (point.epoch, plan_point(made.sweep, point).settings.train.epochs) == (2, 3)
    confirm(made.sweep)
    assert [job.settings.train.epochs for job in made.pool.started] == [3, 3]
    assert confirmations(made) == {(0, 2): (1,)}
