"""What a study has come to, read from the plain values that it keeps of its trials (see `outcomes`)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from pipeline.errors import BadInput
from pipeline.measures import LEAST_SECONDS, Point
from pipeline.search.estimation.validation_split import ValidationSplit
from pipeline.search.outcomes import CONFIRM
from pipeline.search.results import Results
from pipeline.search.storage.our_studies import ABOUT, FURTHER, OBJECTIVE_NAMES, OUTCOME
from pipeline.search.storage.trial_states import SPENT, is_interrupted
from pipeline.search.study_store import StudyStore
from pipeline.search.study_trial import Confirmation, StudyTrial
from pipeline.settings.searching.objectives import FIRST, OBJECTIVES, ObjectiveKind

VALIDATION = "validation"
"""Attribute of a study: the rows of its validation split, see `estimation.validation_split`."""

REMARKS = "data_remarks"
"""Attribute of a study: what was found in its data before the search, line by line."""

ConfirmedKey = tuple[int, int, int]


class ResultsReader:
    """Reads what a study has come to, again and again; a trial that has ended is read once."""

    def __init__(self, store: StudyStore, data: str) -> None:
        """Read nothing yet. `data`: the kind of data of the study."""
        self._store, self._data = store, data
        self._seen: set[int] = set()
        self._trials: dict[int, StudyTrial] = {}
        self._ended: dict[int, float] = {}
        self._interrupted_seconds = 0.0
        self._last: Results | None = None

    def read(self) -> Results:
        """Return the results so far; the trials in the order in which they ended."""
        attrs = self._store.read_attrs()
        about = attrs.get(ABOUT, {})
        further = read_kinds(self._store.name, about.get(OBJECTIVE_NAMES, FIRST))
        new = self._read_new_trials(further)
        confirming = _select_ended(self._store.task_queue().trials())
        self._confirm(_read_confirmations(confirming, further), _read_failed_seeds(confirming))
        results = Results(
            study=self._store.name,
            data=self._data,
            trials=tuple(self._trials.values()),
            objective=about.get("objective", "accuracy"),
            split=ValidationSplit.read(attrs.get(VALIDATION)),
            remarks=tuple(attrs.get(REMARKS, ())),
            interrupted_seconds=self._interrupted_seconds,
            confirming_seconds=_sum_paid(confirming),
            further=further,
        )
        self._last = replace(results, contenders=self._select_contenders(results, new))
        return self._last

    def _read_new_trials(self, further: Sequence[ObjectiveKind]) -> set[int]:
        """Take over the trials that have ended since, and return their numbers."""
        rows = [row for row in self._store.trials() if row.number not in self._seen]
        self._seen.update(row.number for row in rows if row.state.is_finished())
        self._interrupted_seconds += sum(
            row.user_attrs.get(SPENT, 0.0) for row in rows if is_interrupted(row)
        )
        newest = max(self._ended.values(), default=0.0)
        ended = _select_ended(rows)
        for row in ended:
            self._trials[row.number] = _read_trial(row, further)
            self._ended[row.number] = row.user_attrs[OUTCOME]["ended"]
        if ended and (len(ended) > 1 or self._ended[ended[0].number] <= newest):
            order = sorted(self._trials, key=lambda number: (self._ended[number], number))
            self._trials = {number: self._trials[number] for number in order}
        return {row.number for row in ended}

    def _confirm(
        self,
        confirmed: Mapping[int, dict[int, Confirmation]],
        failed: Mapping[int, dict[int, tuple[int, ...]]],
    ) -> None:
        for number in confirmed.keys() | failed.keys():
            trial = self._trials.get(number)
            new = confirmed.get(number, {}), failed.get(number, {})
            if trial is not None and (trial.confirmations, trial.failed_seeds) != new:
                self._trials[number] = replace(trial, confirmations=new[0], failed_seeds=new[1])

    def _select_contenders(self, results: Results, new: set[int]) -> tuple[StudyTrial, ...] | None:
        """Select the trials that may have a point on the frontier: those that had one, and new ones.

        None: all of them may, as when the study is read for the first time.
        """
        last = self._last
        if last is None or (last.objective, last.split) != (results.objective, results.split):
            return None
        try:
            numbers = last.trials_on_frontier | new
        except BadInput:  # points of several devices: whoever asks for the frontier is told
            return None
        return tuple(trial for trial in results.trials if trial.number in numbers)


def read_results(store: StudyStore, data: str) -> Results:
    """Read the results of a study; its trials in the order in which they ended."""
    return ResultsReader(store, data).read()


def read_kinds(study: str, names: Sequence[str]) -> tuple[ObjectiveKind, ...]:
    """Return the objectives of a study beside accuracy and cost, by its `names` of all of them.

    Raises:
        BadInput: a later release measured one that this one does not know.
    """
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown:
        raise BadInput(
            f"search.objectives must be {', '.join(OBJECTIVES)}, got {unknown[0]} in study {study}; "
            "read it with the release that made it"
        )
    return tuple(OBJECTIVES[name] for name in names[len(FIRST) :])


def make_points(
    pairs: Sequence[tuple[float, float]],
    values: Mapping[str, Sequence[float]],
    further: Sequence[ObjectiveKind],
) -> tuple[Point, ...]:
    """Make the points of a curve from (accuracy, device-seconds) after each epoch.

    `values`: by the name of an objective after each epoch, or one for all epochs; NaN is what is not there.
    """
    columns = [_fill(kind, values.get(kind.name, ()), len(pairs)) for kind in further]
    return tuple(
        Point(accuracy, max(seconds, LEAST_SECONDS), costs)
        for (accuracy, seconds), costs in zip(
            pairs, zip(*columns, strict=True) if columns else [()] * len(pairs), strict=True
        )
    )


def _fill(kind: ObjectiveKind, values: Sequence[float], count: int) -> list[float]:
    """Return a cost for each of `count` epochs."""
    repeated = list(values) * count if len(values) == 1 else list(values)
    missing = [math.nan] * (count - len(repeated))
    return [*map(kind.to_cost, repeated[:count]), *missing]


def _select_ended(rows: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [row for row in rows if row.state.is_finished() and not is_interrupted(row)]


def _read_trial(row: FrozenTrial, further: Sequence[ObjectiveKind]) -> StudyTrial:
    outcome = row.user_attrs[OUTCOME]
    curve = _read_points(outcome, further)
    return StudyTrial(
        number=row.number,
        run_id=outcome["run_id"],
        command=outcome["command"],
        params=outcome["params"],
        curve=curve,
        fair_midway=outcome["fair_midway"],
        state=outcome["state"],
        reason=outcome["reason"],
        paid_seconds=outcome["paid_seconds"],
        device=outcome["device"],
    )


def _read_points(outcome: Mapping[str, Any], further: Sequence[ObjectiveKind]) -> tuple[Point, ...]:
    pairs = [(accuracy, seconds) for _, seconds, accuracy in outcome["curve"]]
    return make_points(pairs, outcome.get(FURTHER, {}), further)


def _sum_paid(rows: Iterable[FrozenTrial]) -> float:
    """Return the device-seconds that confirmations have spent, those too that failed."""
    outcomes = (row.user_attrs[OUTCOME] for row in rows if read_confirmed_key(row))
    return math.fsum(outcome.get("paid_seconds", 0.0) for outcome in outcomes)


def read_confirmed_key(row: FrozenTrial) -> ConfirmedKey | None:
    """Return the trial, epoch and seed that a row confirms; None for rows about something else."""
    key = row.user_attrs.get(CONFIRM)
    return (key["trial"], key["epoch"], key["seed"]) if key else None


def _read_confirmations(
    rows: Sequence[FrozenTrial], further: Sequence[ObjectiveKind]
) -> dict[int, dict[int, Confirmation]]:
    """Return the confirmations by trial and epoch."""
    outcomes: dict[int, dict[int, dict[int, Mapping[str, Any]]]] = {}
    for row in rows:
        key, outcome = read_confirmed_key(row), row.user_attrs[OUTCOME]
        if key and outcome["state"] == "complete" and outcome["curve"]:
            number, epoch, seed = key
            outcomes.setdefault(number, {}).setdefault(epoch, {})[seed] = outcome
    return {
        number: {epoch: _make_confirmation(seeds, further) for epoch, seeds in epochs.items()}
        for number, epochs in outcomes.items()
    }


def _read_failed_seeds(rows: Sequence[FrozenTrial]) -> dict[int, dict[int, tuple[int, ...]]]:
    """Return the seeds of the confirmations that failed, by trial and epoch."""
    keys = [read_confirmed_key(row) for row in rows if row.user_attrs[OUTCOME]["state"] == "failed"]
    return group_seeds(key for key in keys if key)


def group_seeds(keys: Iterable[ConfirmedKey]) -> dict[int, dict[int, tuple[int, ...]]]:
    """Group seeds by trial and epoch, in order."""
    seeds: dict[int, dict[int, tuple[int, ...]]] = {}
    for number, epoch, seed in sorted(keys):
        by_epoch = seeds.setdefault(number, {})
        by_epoch[epoch] = (*by_epoch.get(epoch, ()), seed)
    return seeds


def _make_confirmation(
    by_seed: Mapping[int, Mapping[str, Any]], further: Sequence[ObjectiveKind]
) -> Confirmation:
    seeds = sorted(by_seed)
    tested = [by_seed[seed]["test_accuracy"] for seed in seeds]
    ends = [_read_points(by_seed[seed], further)[-1] for seed in seeds]
    return Confirmation(
        tuple(seeds),
        tuple(point.accuracy for point in ends),
        tuple(tested) if None not in tested else (),
        tuple(point.device_seconds for point in ends),
        tuple(point.further for point in ends) if further else (),
    )
