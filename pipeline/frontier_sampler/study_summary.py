"""What the sampler knows of a study as a whole, kept up to date at the price of what has changed."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Generic, TypeVar

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from pipeline.frontier_sampler.conditions import Condition, Trait, learn_conditions
from pipeline.frontier_sampler.distributions import join_distributions
from pipeline.frontier_sampler.encoding import make_key
from pipeline.frontier_sampler.reading import CurveScale, ScaleFinder, TrialReading, read_trial

T = TypeVar("T")


class SeenTrials(Generic[T]):
    """Finished trials, which never change, are handed out once; all others each time.

    Each is converted when it is new or has changed: storages exchange a trial that changes as a whole, so as
    long as it is the same object, nothing of it is other than before. A thousand may run at once.
    """

    def __init__(self) -> None:
        self._open: dict[int, tuple[FrozenTrial, T]] = {}
        self._numbers: set[int] = set()
        self._settled = 0  # all numbers below have been seen

    def convert_new(self, trials: Sequence[FrozenTrial], convert: Callable[[FrozenTrial], T]) -> list[T]:
        """Convert what is new among `trials`, in the order of their numbers; `convert`: always the same."""
        earlier, self._open, values = self._open, {}, list[T]()
        for trial in self._select_new(trials):
            kept = earlier.get(trial.number)
            value = kept[1] if kept is not None and kept[0] is trial else convert(trial)
            if not trial.state.is_finished():
                self._open[trial.number] = trial, value
            values.append(value)
        return values

    def _select_new(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        while self._settled in self._numbers:
            self._numbers.discard(self._settled)
            self._settled += 1
        start = bisect_left(trials, self._settled, key=lambda trial: trial.number)
        new = [trial for trial in trials[start:] if trial.number not in self._numbers]
        self._numbers.update(trial.number for trial in new if trial.state.is_finished())
        return new


class StudySummary:
    """The space that the trials of a study have spanned, its conditions, and what its values are."""

    def __init__(self, study: Study) -> None:
        """Start without trials."""
        self._seen: SeenTrials[TrialReading | None] = SeenTrials()
        self._scale = ScaleFinder(study.directions)
        self._open: list[TrialReading] = []
        self._suggested: dict[tuple[str, str], tuple[int, BaseDistribution]] = {}
        """By name and text the number of the last trial for which it was suggested: lists have no hash."""
        self._first: dict[str, tuple[int, int]] = {}
        """The first trial in which a parameter came, and its place there."""
        self._traits: dict[Trait, None] = {}
        self._chosen: dict[tuple[str, str], object] = {}
        """The choices as they are, by name and text."""
        self._conditions: tuple[int, dict[str, Condition]] = 0, {}
        self._longest = 1
        self.handed: dict[int, Mapping[str, Any]] = {}
        """What was suggested to trials, by number, that may not have taken it over yet."""

    def add_handed(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials with what was suggested to them: it comes to the storage value by value.

        Several may be asked for before the first of them is looked at, as by threads.
        """
        trials = list(trials)
        for number, suggested in list(self.handed.items()):
            index = find_index(trials, number)
            if index is None or trials[index].state.is_finished():
                del self.handed[number]
            elif not suggested.keys() <= trials[index].params.keys():
                running = copy(trials[index])
                fixed = running.system_attrs.get("fixed_params", {})
                running.params = {**suggested, **fixed, **running.params}
                trials[index] = running
        return trials

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Take over what has changed; `trials`: all others than the one that is asked for."""
        readings = self._seen.convert_new(trials, self._take)
        self._open = [reading for reading in readings if reading is not None]

    def _take(self, trial: FrozenTrial) -> TrialReading | None:
        """Take over what a trial tells; return its reading where it is not over yet."""
        for place, (name, distribution) in enumerate(trial.distributions.items()):
            text = repr(distribution)
            last, _ = self._suggested.get((name, text), (-1, None))
            self._suggested[name, text] = max(trial.number, last), distribution
            position = trial.number, place
            self._first[name] = min(position, self._first.get(name, position))
        reading = read_trial(trial)
        if not trial.state.is_finished():
            return reading
        if reading is not None:
            self._scale.add(reading)
            self._longest = max(self._longest, _count_epochs(reading))
        if trial.state is not TrialState.FAIL:
            chosen = {
                name: value
                for name, value in trial.params.items()
                if isinstance(trial.distributions[name], CategoricalDistribution)
            }
            key = make_key(chosen)
            self._chosen |= {(name, text): chosen[name] for name, text in key}
            self._traits[Trait(frozenset(trial.params), key)] = None
        return None

    def join_distributions(self) -> dict[str, BaseDistribution]:
        """Return every parameter that was suggested, in the widest range that was."""
        suggested = sorted(self._suggested.items(), key=lambda item: item[1][0])
        joined = join_distributions((name, distribution) for (name, _), (_, distribution) in suggested)
        return {name: joined[name] for name in sorted(joined, key=lambda name: self._first[name])}

    def learn_conditions(self) -> dict[str, Condition]:
        """Learn which parameter appears under which value of which choice."""
        if self._conditions[0] != len(self._traits):
            learned = learn_conditions(tuple(self._traits))
            self._conditions = (
                len(self._traits),
                {
                    name: (parent, tuple(self._chosen[parent, text] for text in texts))
                    for name, (parent, texts) in learned.items()
                },
            )
        return self._conditions[1]

    def find_scale(self) -> CurveScale | None:
        """Find out what the values are: see `reading.ScaleFinder.find`."""
        return self._scale.find(self._open)

    def find_longest(self) -> int:
        """Find the epochs of the longest curve; 1 where there is none."""
        return max([self._longest, *map(_count_epochs, self._open)])


def find_index(trials: Sequence[FrozenTrial], number: int) -> int | None:
    """Find the place of a trial among those sorted by their numbers; None where it is not there."""
    index = bisect_left(trials, number, key=lambda trial: trial.number)
    return index if index < len(trials) and trials[index].number == number else None


def _count_epochs(reading: TrialReading) -> int:
    return reading.rows[-1][0] if reading.rows else 1
