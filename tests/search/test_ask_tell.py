"""Every sampler on a space with conditions: nothing twice, nothing outside, an end where nothing is left."""

import math
import warnings

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from pipeline.search.ask_tell import TrialSuggester, list_lessons
from pipeline.search.space import Condition, Dimension, SearchSpace
from pipeline.search.storage.our_studies import OUTCOME
from pipeline.search.storage.study_table import ProposedTrial
from pipeline.search.storage.trial_states import WORDS
from pipeline.search.workers.job import Limits
from pipeline.settings.command_line import EPOCHS
from pipeline.settings.search import Sampler

SGD, ADAM = Condition("optimizer", "sgd"), Condition("optimizer", "adam")
SPACE = SearchSpace(
    (
        Dimension(key="model.hidden", low=8, high=64, log=True, is_integer=True),
        Dimension(key="optimizer", choices=("sgd", "adam")),
        Dimension(key="optimizer.learning_rate", low=0.05, high=0.5, log=True, when=SGD),
        Dimension(key="optimizer.momentum", choices=(0.0, 0.9), when=SGD),
        Dimension(key="optimizer.learning_rate", low=0.001, high=0.02, log=True, when=ADAM),
        Dimension(key="model.dropout", low=0.0, high=0.5, step=0.25),
    )
)
SMALL = SearchSpace(
    (
        Dimension(key="model.hidden", choices=(8, 16)),
        Dimension(key="optimizer", choices=("sgd", "adam")),
        Dimension(key="optimizer.learning_rate", choices=(0.1, 0.5), when=SGD),
    )
)
ALL_OF_SMALL = 2 * (2 + 1)
WITH_EPOCHS = SearchSpace((*SMALL.dimensions, Dimension(key=EPOCHS, low=1, high=4, is_integer=True)))
EVERY = [kind for kind in Sampler if kind not in (Sampler.grid, Sampler.gp)]


class Book:
    """A study's rows, written without a storage."""

    def __init__(self, proposer: TrialSuggester) -> None:
        self.proposer, self.rows = proposer, list[FrozenTrial]()

    def begin(self) -> ProposedTrial | None:
        proposal = self.proposer.suggest()
        if proposal is not None:
            self.rows.append(self.row(proposal, TrialState.RUNNING))
            self.proposer.bind(len(self.rows) - 1, proposal)
            self.proposer.show(self.rows)
        return proposal

    def end(self, number: int, state: str = "complete", epochs: int = 3) -> None:
        """Wider and longer is better and dearer."""
        row = self.rows[number]
        wide = float(row.params["model.hidden"])
        curve = [
            [epoch, epoch * wide / 1000, 1 - 1 / (1 + epoch) / wide**0.5] for epoch in range(1, epochs + 1)
        ]
        states = {"complete": TrialState.COMPLETE, "paused": TrialState.PRUNED, "failed": TrialState.FAIL}
        proposal = ProposedTrial(row.params, row.distributions, row.system_attrs)
        outcome = {"state": state, "curve": curve, "fair_midway": True}
        values = [curve[-1][2], curve[-1][1]] if state == "complete" else None
        self.rows[number] = self.row(proposal, states[state], values, outcome)
        self.rows[number].number = number
        self.proposer.show(self.rows)

    def row(
        self,
        proposal: ProposedTrial,
        state: TrialState,
        values: list[float] | None = None,
        outcome: dict[str, object] | None = None,
    ) -> FrozenTrial:
        made = create_trial(
            state=state,
            values=values,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            system_attrs=dict(proposal.system_attrs),
            user_attrs={OUTCOME: outcome} if outcome else {},
        )
        made.number = len(self.rows)
        return made

    def all_at_once(self, most: int) -> list[ProposedTrial]:
        found = []
        while len(found) < most and (proposal := self.begin()) is not None:
            found.append(proposal)
            self.end(len(self.rows) - 1)
        return found


def book(kind: Sampler, space: SearchSpace = SPACE, epochs: str | None = None, workers: int = 1) -> Book:
    return Book(TrialSuggester(space, kind, epochs, 0, workers))


def frozen(proposals: list[ProposedTrial]) -> list[frozenset[tuple[str, object]]]:
    return [frozenset(each.params.items()) for each in proposals]


def check_inside(proposal: ProposedTrial, space: SearchSpace) -> None:
    assert {each.name for each in space.iterate_active(proposal.params)} == set(proposal.params)
    for dimension in space.iterate_active(proposal.params):
        assert dimension.contains(proposal.params[dimension.name]), dimension
    assert set(proposal.distributions) == set(proposal.params)


@pytest.mark.parametrize("kind", EVERY)
def test_proposals_lie_inside_and_never_come_twice(kind: Sampler) -> None:
    """Trials of all outcomes are told, several run at once."""
    told = book(kind, workers=2)
    proposals = []
    for number in range(30):
        proposal = told.begin()
        assert proposal is not None
        check_inside(proposal, SPACE)
        proposals.append(proposal)
        if number >= 1:  # one more is always under way
            told.end(number - 1, ["complete", "complete", "paused", "failed"][number % 4])
    assert len(set(frozen(proposals))) == 30
    assert {each.params["optimizer"] for each in proposals} == {"sgd", "adam"}


@pytest.mark.parametrize("kind", EVERY)
def test_the_same_seed_and_trials_give_the_same_proposals(kind: Sampler) -> None:
    one, other = (book(kind).all_at_once(12) for _ in range(2))
    assert frozen(one) == frozen(other)


@pytest.mark.parametrize("kind", [*EVERY, Sampler.grid])
def test_a_small_space_is_tried_whole_and_then_it_ends(kind: Sampler) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = book(kind, SMALL).all_at_once(20)
    assert len(set(frozen(found))) == len(found)
    least = ALL_OF_SMALL if kind in (Sampler.grid, Sampler.frontier) else ALL_OF_SMALL // 2
    assert least <= len(found) <= ALL_OF_SMALL


def test_a_grid_goes_in_order() -> None:
    assert [each.params for each in book(Sampler.grid, SMALL).all_at_once(20)] == list(
        SMALL.iterate_combinations()
    )


@pytest.mark.parametrize("kind", [*EVERY, Sampler.grid])
def test_it_is_taken_up_from_rows(kind: Sampler) -> None:
    """Another process, or a later start, sees rows alone; it repeats none of them."""
    first = book(kind, SMALL)
    begun = first.all_at_once(3)
    later = book(kind, SMALL)
    later.rows = first.rows
    later.proposer.show(later.rows)
    more = later.all_at_once(20)
    assert not set(frozen(begun)) & set(frozen(more))
    if kind in (Sampler.grid, Sampler.frontier):
        assert len(begun) + len(more) == ALL_OF_SMALL


def test_who_takes_it_up_goes_on_as_whoever_stopped_would_have() -> None:
    whole = book(Sampler.frontier)
    proposals = whole.all_at_once(14)
    later = book(Sampler.frontier)
    later.rows = whole.rows[:10]
    later.proposer.show(later.rows)
    assert frozen(later.all_at_once(4)) == frozen(proposals[10:])


def test_a_paused_trial_is_trained_further_by_the_sampler_that_can() -> None:
    """With the very words it was begun with: its checkpoint makes it the difference."""
    told = book(Sampler.frontier, WITH_EPOCHS, EPOCHS)
    asked = []
    for _ in range(12):
        proposal = told.begin()
        if proposal is None:
            break
        asked.append(dict(proposal.params))
        epochs = int(proposal.params[EPOCHS])
        told.end(len(told.rows) - 1, "paused" if epochs > 1 else "complete", max(1, epochs - 1))
    assert len(asked) == 12
    begun_again = [params for number, params in enumerate(asked) if params in asked[:number]]
    assert begun_again


def test_a_baseline_lies_outside_the_space() -> None:
    told = book(Sampler.tpe, SMALL)
    told.rows = [create_trial(state=TrialState.RUNNING, user_attrs={WORDS: ["model.hidden=500"]})]
    told.proposer.show(told.rows)
    assert len(told.all_at_once(2)) == 2


@pytest.mark.parametrize("kind", [Sampler.frontier, Sampler.random])
def test_many_are_suggested_at_once_by_the_sampler_that_can(kind: Sampler) -> None:
    told = book(kind, epochs="train.epochs", workers=4)
    told.all_at_once(10)
    at_once = told.proposer.suggest_many(6)
    assert len(at_once) == (6 if kind is Sampler.frontier else 1)
    for proposal in at_once:
        check_inside(proposal, SPACE)
        told.rows.append(told.row(proposal, TrialState.RUNNING))
        told.proposer.bind(len(told.rows) - 1, proposal)
    told.proposer.show(told.rows)
    told.end(len(told.rows) - 1)
    assert len(set(frozen([*at_once, *told.proposer.suggest_many(2)]))) > len(at_once)


def test_a_trial_that_has_ended_before_it_is_bound_is_learned_from_once() -> None:
    proposer = TrialSuggester(SMALL, Sampler.frontier, None, 0, 1)
    book, early = Book(proposer), Book(TrialSuggester(SMALL, Sampler.frontier, None, 0, 1))
    proposal = proposer.suggest()
    assert proposal is not None
    early.begin()
    early.end(0)
    proposer.show([])
    proposer.bind(0, proposal)
    for _ in range(2):
        proposer.show(early.rows)
    assert [trial.state for trial in proposer._study.get_trials()] == [TrialState.COMPLETE]
    book.rows = early.rows
    book.begin()
    proposer.show(book.rows)
    assert [trial.state for trial in proposer._study.get_trials()] == [
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]


def test_what_came_to_nothing_is_not_proposed_again() -> None:
    proposer = TrialSuggester(SMALL, Sampler.grid, None, 0, 1)
    seen = []
    while (proposal := proposer.suggest()) is not None:
        seen.append(proposal)
        proposer.bind(None, proposal)
    assert len(set(frozen(seen))) == len(seen) == ALL_OF_SMALL


@pytest.mark.parametrize("is_known", [True, False])
def test_values_that_another_program_has_told_teach_nothing(is_known: bool) -> None:
    proposer = TrialSuggester(SMALL, Sampler.tpe, None, 0, 1)
    told = Book(proposer)
    proposal = told.begin() if is_known else proposer.suggest()
    assert proposal is not None
    told.rows = [told.row(proposal, TrialState.COMPLETE, [0.99, 1e-9])]
    told.rows[0].number = 0
    proposer.show(told.rows)
    (*_, trial) = proposer._study.get_trials()
    assert (trial.state, trial.values) == (TrialState.FAIL, None)
    assert told.rows[0].values == [0.99, 1e-9]


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAIL])
def test_limits_become_constraints(state: TrialState) -> None:
    """Whether a trial is shown when it has ended, or was known as running before."""
    limits = Limits(max_latency_ms=2.0, max_parameters=100)
    proposer = TrialSuggester(SMALL, Sampler.frontier, None, 0, 1, limits=limits)
    outcome = {"curve": [[1, 1.0, 0.5]], "latency_p99_ms": 2.0, "parameters": 200}
    values = [0.5, 1.0] if state is TrialState.COMPLETE else None
    proposal = proposer.suggest()
    assert proposal is not None
    proposer.bind(0, proposal)
    rows = [
        create_trial(
            state=state,
            values=values,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            user_attrs={OUTCOME: outcome},
        )
        for _ in range(2)
    ]
    rows[0].number, rows[1].number = 0, 1
    proposer.show(rows)
    for trial in proposer._study.trials:
        assert trial.state is state
        assert trial.constraints == {"max_latency_ms": 0.0, "max_parameters": pytest.approx(math.log(2))}


# ---- over three objectives ----------------------------------------------------------------------------

THREE = {"objectives": ["accuracy", "cost", "latency_ms"]}


def end_over_three(told: Book, number: int, state: str, epochs: int) -> None:
    """As `Book.end`, with the width as latency."""
    row = told.rows[number]
    wide = float(row.params["model.hidden"])
    curve = [[epoch, epoch * wide / 1000, 1 - 1 / (1 + epoch) / wide**0.5] for epoch in range(1, epochs + 1)]
    outcome = {"state": state, "curve": curve, "fair_midway": True, "further": {"latency_ms": [wide / 100]}}
    values = [curve[-1][2], curve[-1][1], wide / 100] if state == "complete" else None
    kind = TrialState.COMPLETE if state == "complete" else TrialState.PRUNED
    proposal = ProposedTrial(row.params, row.distributions, row.system_attrs)
    told.rows[number] = told.row(proposal, kind, values, outcome)
    told.rows[number].number = number
    told.proposer.show(told.rows)


@pytest.mark.parametrize("kind", EVERY)
def test_every_sampler_searches_over_three_objectives(kind: Sampler) -> None:
    told = Book(TrialSuggester(SPACE, kind, None, 0, 1, about=THREE))
    for number in range(12):
        proposal = told.begin()
        assert proposal is not None
        check_inside(proposal, SPACE)
        end_over_three(told, number, "complete" if number % 3 else "paused", 3)


def test_the_frontier_sampler_learns_what_a_paused_trial_has_reached() -> None:
    told = Book(TrialSuggester(WITH_EPOCHS, Sampler.frontier, EPOCHS, 0, 1, about=THREE))
    proposal = told.begin()
    assert proposal is not None
    end_over_three(told, 0, "paused", 1)
    seen = told.proposer._study.get_trials(deepcopy=False)
    assert [row.state for row in seen] == [TrialState.PRUNED, TrialState.COMPLETE]
    assert seen[1].params == {**proposal.params, EPOCHS: 1}
    wide = float(proposal.params["model.hidden"])
    assert seen[1].values == [1 - 0.5 / wide**0.5, wide / 1000, wide / 100]
    again = Book(TrialSuggester(WITH_EPOCHS, Sampler.frontier, EPOCHS, 0, 1, about=THREE))
    again.proposer.show(told.rows)
    assert [row.values for row in again.proposer._study.get_trials()] == [row.values for row in seen]


def test_an_r2_below_zero_teaches_the_frontier_sampler_as_much_as_zero() -> None:
    lessons = []
    for worst in (-40.0, 0.0):
        row = create_trial(
            state=TrialState.COMPLETE,
            values=(0.4, 3.0),
            user_attrs={OUTCOME: {"curve": [[1, 1.0, worst], [2, 3.0, 0.4]], "fair_midway": True}},
        )
        lessons.append(list_lessons(row))
    assert [list(map(list, each["curve"])) for each in lessons] == [[[1, 1.0, 0.0], [2, 3.0, 0.4]]] * 2
