"""Optuna's database storage, whose trials are read table by table.

Optuna makes an object of every value of a trial and parses its distribution twice: 20 s for 10,000 trials.
Here each table is read once, as plain rows, and each distribution is parsed once.

Who asks again and again what a study has become pays for what has changed: trials that are open stay as they
are until their state changes (`StudyStore` writes their attributes with it), so a look at the states will do.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, Row, case, func, or_, select

from pipeline.search.storage.bulk_writing import MAX_IDS, insert_trials

TRIALS = models.TrialModel.__table__.c
OPEN = (TrialState.RUNNING, TrialState.WAITING)
SHARED = {"owner"}
"""Attributes that many trials have alike; nobody changes them."""
REPEATED = {"state", "device"}
"""Parts of an outcome whose texts come again and again."""
Cells = defaultdict[int, dict[Any, Any]]
"""Trial id -> name or step -> value."""


class BulkReadingStorage(RDBStorage):
    """Optuna's storage in a database; the same trials, read and begun in a fraction of the time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Open the database as Optuna does."""
        super().__init__(*arguments, **options)
        self.reads = 0
        """How often something new was read; who saw the same number before has seen all there is."""
        self._signatures: dict[int, tuple[Any, ...]] = {}
        self._open_states: dict[int, TrialState] = {}
        self._begun: dict[int, FrozenTrial] = {}

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        """Begin a trial; one that has values, or no template, is left to Optuna."""
        if template_trial is None or template_trial.values or template_trial.intermediate_values:
            return super()._create_new_trial(study_id, template_trial)
        return self.create_new_trials(study_id, [template_trial])[0]

    def create_new_trials(self, study_id: int, templates: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Begin trials that have no values yet, all in one transaction."""
        with self.engine.begin() as connection:
            inserted = insert_trials(connection, study_id, templates)
        trials = [copy(template) for template in templates]
        for trial, (trial_id, number) in zip(trials, inserted, strict=True):
            trial.number, trial._trial_id = number, trial_id
            if trial.state in OPEN:
                self._begun[trial_id] = trial
        return trials

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Read the trials of a study that are new, and those of the given ids that have changed, by id.

        The state is read first and written last, so a trial that is read as finished is whole.
        """
        with self.engine.connect() as connection:
            if states is not None or trial_id_greater_than < 0:
                condition = _make_condition(study_id, included_trial_ids, trial_id_greater_than)
                rows = _read_rows(connection, condition)
                rows = [row for row in rows if states is None or row.state in states]
                trials = _build_trials(connection, condition, rows) if rows else []
            else:
                newest, included = trial_id_greater_than, included_trial_ids
                signature = _read_signature(connection, study_id, min([*included, newest + 1]))
                if signature == self._signatures.get(study_id):
                    return []
                trials = self._read_changed(connection, study_id, included, newest)
                self._signatures[study_id] = signature
        for trial in trials:
            self._open_states.pop(trial._trial_id, None)
            if trial.state in OPEN:
                self._open_states[trial._trial_id] = trial.state
        self.reads += bool(trials)
        return trials

    def _read_changed(
        self, connection: Connection, study_id: int, included: set[int], newest: int
    ) -> list[FrozenTrial]:
        is_new_or_open = or_(TRIALS.trial_id > newest, TRIALS.state.in_(OPEN))
        of_study = TRIALS.study_id == study_id
        is_late = TRIALS.trial_id >= min([*included, newest + 1])
        query = select(TRIALS.trial_id, TRIALS.state).where(of_study & is_late & is_new_or_open)
        found = {row.trial_id: row.state for row in connection.execute(query)}
        asked = {key: state for key, state in found.items() if key > newest or key in included}
        changed = [key for key, state in asked.items() if self._open_states.get(key) is not state]
        changed += [key for key in included if key not in found]  # which have ended
        begun = {key: self._begun.pop(key) for key in changed if key in self._begun}
        trials = [trial for key, trial in begun.items() if trial.state is found.get(key)]
        known = {trial._trial_id for trial in trials}
        missing = sorted(key for key in changed if key not in known)
        for start in range(0, len(missing), MAX_IDS):
            condition = of_study & TRIALS.trial_id.in_(missing[start : start + MAX_IDS])
            trials += _build_trials(connection, condition, _read_rows(connection, condition))
        return sorted(trials, key=lambda trial: trial._trial_id)


def _read_signature(connection: Connection, study_id: int, oldest: int) -> tuple[Any, ...]:
    """Read what changes whenever a trial of the study is begun, claimed or ended; `oldest`: id of one open.

    States go from waiting to running to an end, never back.
    """
    counts = [func.sum(case((TRIALS.state == state, 1), else_=0)) for state in OPEN]
    query = select(func.max(TRIALS.trial_id), *counts)
    of_study = (TRIALS.study_id == study_id) & (TRIALS.trial_id >= oldest)
    return tuple(connection.execute(query.where(of_study)).one())


def _make_condition(study_id: int, included: set[int], newest: int) -> ColumnElement[bool]:
    """Make the condition for trials of a study that are newer than `newest`, or `included`."""
    of_study: ColumnElement[bool] = TRIALS.study_id == study_id
    older = sorted(trial_id for trial_id in included if trial_id <= newest)
    if newest < 0 or len(older) > MAX_IDS:
        return of_study
    return of_study & or_(TRIALS.trial_id > newest, TRIALS.trial_id.in_(older))


def _read_rows(connection: Connection, condition: ColumnElement[bool]) -> list[Row[Any]]:
    return list(connection.execute(select(*TRIALS).where(condition).order_by(TRIALS.trial_id)))


def _build_trials(
    connection: Connection, condition: ColumnElement[bool], rows: Sequence[Row[Any]]
) -> list[FrozenTrial]:
    params, distributions = _read_params(connection, condition)
    values = _read_values(connection, condition)
    user_attrs = _read_attrs(connection, condition, models.TrialUserAttributeModel)
    system_attrs = _read_attrs(connection, condition, models.TrialSystemAttributeModel)
    reported = _read_intermediate_values(connection, condition)
    return [
        FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[value for _, value in sorted(values[row.trial_id].items())] or None,
            datetime_start=_to_local(row.datetime_start),
            datetime_complete=_to_local(row.datetime_complete),
            params=params[row.trial_id],
            distributions=distributions[row.trial_id],
            user_attrs=user_attrs[row.trial_id],
            system_attrs=system_attrs[row.trial_id],
            intermediate_values=reported[row.trial_id],
            trial_id=row.trial_id,
        )
        for row in rows
    ]


# ---- a table each -------------------------------------------------------------------------------------


def _read_table(
    connection: Connection, condition: ColumnElement[bool], model: Any, names: Sequence[str]
) -> Iterable[Any]:
    """Read these columns, after the id of the trial, in the order in which the rows were written."""
    table = model.__table__
    columns = [table.c.trial_id, *(table.c[name] for name in names)]
    query = select(*columns).join(models.TrialModel.__table__, TRIALS.trial_id == table.c.trial_id)
    return connection.execute(query.where(condition).order_by(*table.primary_key))


def _read_params(connection: Connection, condition: ColumnElement[bool]) -> tuple[Cells, Cells]:
    """Read the values and the distributions of all params."""
    params, distributions = Cells(dict), Cells(dict)
    names = ("param_name", "param_value", "distribution_json")
    for trial_id, name, value, text in _read_table(connection, condition, models.TrialParamModel, names):
        distribution = _parse_distribution(text)
        params[trial_id][sys.intern(name)] = distribution.to_external_repr(value)
        distributions[trial_id][sys.intern(name)] = distribution
    return params, distributions


@lru_cache(4096)
def _parse_distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _read_values(connection: Connection, condition: ColumnElement[bool]) -> Cells:
    cells, model = Cells(dict), models.TrialValueModel
    for trial_id, objective, value, kind in _read_table(
        connection, condition, model, ("objective", "value", "value_type")
    ):
        cells[trial_id][objective] = model.stored_repr_to_value(value, kind)
    return cells


def _read_attrs(connection: Connection, condition: ColumnElement[bool], model: Any) -> Cells:
    cells = Cells(dict)
    for trial_id, key, text in _read_table(connection, condition, model, ("key", "value_json")):
        cells[trial_id][sys.intern(key)] = _parse_attr(key, text)
    return cells


def _parse_attr(key: str, text: str) -> Any:
    """Return an attribute. What all trials have in common is one object for all: thousands are kept."""
    return _parse_shared(text) if key in SHARED else json.loads(text, object_pairs_hook=_share_words)


@lru_cache(64)
def _parse_shared(text: str) -> Any:
    return json.loads(text)


def _share_words(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        sys.intern(name): sys.intern(value) if name in REPEATED and isinstance(value, str) else value
        for name, value in pairs
    }


def _read_intermediate_values(connection: Connection, condition: ColumnElement[bool]) -> Cells:
    cells, model = Cells(dict), models.TrialIntermediateValueModel
    names = ("step", "intermediate_value", "intermediate_value_type")
    for trial_id, step, value, kind in _read_table(connection, condition, model, names):
        cells[trial_id][step] = model.stored_repr_to_intermediate_value(value, kind)
    return cells


def _to_local(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC as local time; neither has a time zone."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
