"""Which configuration to train next and for how many epochs. Pure: trials in, a suggestion out.

New configurations and continuations of paused ones compete: the one whose further curve is expected to add
most area to the frontier (log device-seconds x log error) per extra device-second is suggested. The same
trials, number and seed give the same suggestion in any process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.frontier_sampler.batches.batch import Batch, Choice
from pipeline.frontier_sampler.batches.candidate_forecasts import CandidateForecasts
from pipeline.frontier_sampler.candidates import PARENTS, Candidate, CandidateSource
from pipeline.frontier_sampler.curves.costs import Work
from pipeline.frontier_sampler.curves.outlook import Outlook, look_ahead
from pipeline.frontier_sampler.encoding import EncodedSpace, Key, Params
from pipeline.frontier_sampler.forecast import Forecast, Kernels, fit_kernels
from pipeline.frontier_sampler.history import Configuration, Fidelity, History, TrialRecord, TrialStatus

Array = NDArray[np.float64]

PAUSED = 64
"""How many paused configurations are candidates."""
REFIT = 12
FIRST_TARGETS = (1, 1, 2)
"""Epochs of the quasi-random trials, in turn, in units of the lowest number of epochs."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to train: `epochs` counts from the start; None where that is not to be chosen.

    `exhausted`: nothing new was left, this repeats a finished configuration.
    """

    params: dict[str, Any]
    epochs: int | None
    exhausted: bool = False


class Suggester:
    """Suggestions for one space; caches between calls what does not change an answer."""

    def __init__(
        self,
        space: EncodedSpace,
        fidelity: Fidelity,
        *,
        seed: int = 0,
        startup_trials: int = 8,
        work: Work | None = None,
        listed: Sequence[Params] | None = None,
        trials: int | None = None,
    ) -> None:
        """Start without trials.

        `listed`: the only configurations to suggest; None: any of the space. `trials`: how many there will
        be in all; None: nobody knows.
        """
        self.space, self.fidelity, self.work = space, fidelity, work
        self._startup, self._trials = startup_trials, trials
        self._history = History(space, fidelity)
        self._kernels: tuple[tuple[int, ...], Kernels] | None = None
        self._first: History | None = None
        self._source = CandidateSource(space, seed, listed)

    def reseed(self, seed: int) -> None:
        """Draw other candidates from now on; what the trials have taught stays."""
        self._source.reseed(seed)

    # ---- the choice -------------------------------------------------------------------------------------

    def suggest(self, trials: Sequence[TrialRecord], number: int) -> Suggestion:
        """Suggest what trial `number` shall train, given all other trials."""
        return self._suggest(trials, number)[0]

    def _suggest(self, trials: Sequence[TrialRecord], number: int) -> tuple[Suggestion, Batch | None]:
        """Return a suggestion, and what it was chosen from, if that was by the surrogates."""
        running = self._history.add_trials(trials)
        busy = {trial.key for trial in running}
        observed = self._history.observed_count
        suggestion, batch = None, None
        begun = observed + len(running)
        if begun < self._startup or 2 * observed < self._startup:
            suggestion = self._suggest_quasi_random(number, busy)
        if suggestion is None and observed >= 2:
            batch = self._find_batch(running, busy, number)
            choice = batch.best if batch else None
            suggestion = self._make_suggestion(choice) if choice else None
        return suggestion or self._suggest_anything(number, busy), batch

    def suggest_many(self, trials: Sequence[TrialRecord], number: int, count: int) -> list[Suggestion]:
        """Suggest what `count` trials from `number` on shall train, each with what those before promise.

        The surrogates are conditioned once for all of them, so the first is that of `suggest`, and the others
        are nearly those of further calls, at a fraction of their price. It ends with one that is exhausted.
        """
        trials, suggestions = list(trials), list[Suggestion]()
        while len(suggestions) < count and not (suggestions and suggestions[-1].exhausted):
            for suggestion in self._suggest_together(
                trials, number + len(suggestions), count - len(suggestions)
            ):
                record = TrialRecord(
                    number=number + len(suggestions),
                    params=suggestion.params,
                    status=TrialStatus.running,
                    target=suggestion.epochs,
                )
                trials.append(record)
                suggestions.append(suggestion)
        return suggestions

    def _suggest_together(
        self, trials: Sequence[TrialRecord], number: int, count: int
    ) -> Iterator[Suggestion]:
        """Yield a suggestion, and as many more as come from the same fit."""
        suggestion, batch = self._suggest(trials, number)
        yield suggestion
        if batch is not None:
            for choice in batch.choose_further(count - 1):
                yield self._make_suggestion(choice)

    def look_ahead(
        self, trials: Sequence[TrialRecord], number: int, best_accuracy: float = 0.0
    ) -> Outlook | None:
        """Forecast what more training would add to the best accuracy; None before there is a surrogate.

        `number`: of the trial that would be next; `best_accuracy`: of other trials than these. Trials that
        run are left out.
        """
        self._history.add_trials(trials)
        if self._history.observed_count < max(self._startup, 2):
            return None
        forecast = Forecast(self._history, [], self._fit_kernels(), self.work)
        candidates = self._make_candidates(forecast, set(), number)
        return look_ahead(forecast, forecast.predict(candidates), best_accuracy) if candidates else None

    def _find_batch(self, running: Sequence[TrialRecord], busy: set[Key], number: int) -> Batch | None:
        """Find candidates of which the best are to be chosen; None where there are none."""
        left = None if self._trials is None else max(self._trials - number, 1)
        forecast = Forecast(self._history, running, self._fit_kernels(), self.work, left)
        candidates = self._make_candidates(forecast, busy, number)
        if not candidates:
            return None
        forecasts = forecast.predict(candidates)
        gains = forecast.compute_gains(forecasts)
        if neighbours := self._make_neighbours(forecasts, gains, busy, number):
            forecasts = CandidateForecasts.join([forecasts, forecast.predict(neighbours)])
        return Batch(forecast, forecasts)

    def _make_suggestion(self, choice: Choice) -> Suggestion:
        candidate, epochs = choice
        return Suggestion(dict(candidate.params), epochs if self.fidelity.chosen else None)

    def _fit_kernels(self) -> Kernels:
        """Fit to the first trials up to a round number, so that every process comes to the same."""
        numbers = self._history.numbers
        key = tuple(numbers[: find_refit_count(len(numbers), self._startup)])
        if self._kernels is None or self._kernels[0] != key:
            if self._first is None or not self._first.trials.keys() <= set(key):
                self._first = self._history.select_trials(())
            self._first.add_trials(self._history.trials[number] for number in key)
            first = self._first
            if first.observed_count < 2:  # failures came first
                first = self._history
            self._kernels = (
                key if first is not self._history else (),
                fit_kernels(first, self.work),
            )
        return self._kernels[1]

    # ---- candidates -------------------------------------------------------------------------------------

    def _make_candidates(self, forecast: Forecast, busy: set[Key], number: int) -> list[Configuration]:
        paused = (
            configuration
            for configuration in forecast.nearest
            if configuration.can_continue(self.fidelity) and configuration.key not in busy
        )
        good = [configuration.params for configuration in (forecast.members or forecast.nearest[:PARENTS])]
        new = self._source.make_candidates(good, number, lambda key: self._is_new(key, busy))
        return [*islice(paused, PAUSED), *self._start_candidates(new, number)]

    def _is_new(self, key: Key, busy: set[Key]) -> bool:
        keys, tried = self._history.shapes.list_keys(key), self._history.configurations
        restarts = [tried[key].can_restart(self.fidelity) for key in keys if key in tried]
        return busy.isdisjoint(keys) and all(restarts)

    def _start_candidates(self, candidates: Sequence[Candidate], number: int) -> list[Configuration]:
        return [self._start_candidate(candidate, number) for candidate in candidates]

    def _start_candidate(self, candidate: Candidate, number: int) -> Configuration:
        """Make a candidate from its first epoch; targets that it was trained to before are not repeated."""
        started = Configuration(**candidate._asdict(), first=number)
        if (configuration := self._history.configurations.get(candidate.key)) is not None:
            started.fair, started.targets = configuration.fair, configuration.targets
        return started

    def _make_neighbours(
        self, forecasts: CandidateForecasts, gains: Array, busy: set[Key], number: int
    ) -> list[Configuration]:
        """Make candidates by small moves from the best ones so far."""
        order = np.argsort(-gains.max(1), kind="stable")
        best = [forecasts.candidates[row].params for row in order]
        moved = self._source.make_neighbours(best, number, lambda key: self._is_new(key, busy))
        return self._start_candidates(moved, number)

    # ---- before anything is known, and after all is -----------------------------------------------------

    def _suggest_quasi_random(self, number: int, busy: set[Key]) -> Suggestion | None:
        """Suggest the trial's own Sobol point, or the next that was not tried."""
        params = self._source.draw_quasi_random(number, lambda key: self._is_untried(key, busy))
        epochs = choose_first_target(self.fidelity, number) if self.fidelity.chosen else None
        return None if params is None else Suggestion(dict(params), epochs)

    def _is_untried(self, key: Key, busy: set[Key]) -> bool:
        keys = self._history.shapes.list_keys(key)
        return busy.isdisjoint(keys) and self._history.configurations.keys().isdisjoint(keys)

    def _suggest_anything(self, number: int, busy: set[Key]) -> Suggestion:
        """Suggest something new where there is any, by looking further; else a repetition, marked as such."""
        fidelity = self.fidelity
        low, high = (fidelity.low, fidelity.high) if fidelity.chosen else (None, None)
        params = self._source.draw_any(number, lambda key: self._is_untried(key, busy))
        if params is not None:
            return Suggestion(dict(params), low)
        for configuration in self._history.list_observed():
            if configuration.can_continue(fidelity) and configuration.key not in busy:
                return Suggestion(dict(configuration.params), high)
        return Suggestion(dict(self._source.draw_repetition(number)), high, exhausted=True)


def choose_first_target(fidelity: Fidelity, number: int) -> int:
    """Choose how far the quasi-random trial `number` goes."""
    epochs = FIRST_TARGETS[number % len(FIRST_TARGETS)] * fidelity.low
    return min(fidelity.rungs, key=lambda rung: abs(rung - epochs))


def find_refit_count(count: int, startup: int) -> int:
    """Return the last count at which hyper-parameters are fitted: every 12 trials, later every fifth more."""
    fit_count = max(min(startup, count), 2)
    next_count = fit_count
    while next_count <= count:
        fit_count = next_count
        next_count = fit_count + max(REFIT if fit_count > startup else REFIT // 2, fit_count // 5)
    return fit_count
