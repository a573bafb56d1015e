"""Who holds a trial, and the transactions by which it is taken, kept and ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

from optuna.storages._rdb.models import (
    TrialHeartbeatModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialValueModel,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, insert, select, update

from pipeline.processes.process_owner import ProcessOwner, is_free
from pipeline.search.storage.bulk_writing import record_heartbeats, replace_attrs, to_utc
from pipeline.search.storage.our_studies import OUTCOME, OWNER, is_our_row


def read_owner(row: FrozenTrial) -> ProcessOwner | None:
    """Return the process that holds or held a trial, None where none is written down."""
    return ProcessOwner.from_dict(row.user_attrs.get(OWNER) or {})


def find_abandoned(storage: Any, study_id: int) -> list[FrozenTrial]:
    """Find the running trials that nobody holds any more: see `process_owner.is_free`.

    A trial of another machine whose process ended before its first heartbeat gets one here, so that its lease
    runs from now on.
    """
    rows = storage.get_all_trials(study_id, deepcopy=False)
    running = [row for row in rows if row.state is TrialState.RUNNING and is_our_row(row)]
    if not running:
        return []
    beating = _read_beating(storage, study_id)
    for row in running:
        if row._trial_id not in beating:
            storage.record_heartbeat(row._trial_id)
    over = set(storage._get_stale_trial_ids(study_id))
    return [row for row in running if is_free(read_owner(row), row._trial_id in over)]


def _read_beating(storage: Any, study_id: int) -> set[int]:
    """Return the ids of the running trials that have a heartbeat."""
    of_study = (TrialModel.study_id == study_id) & (TrialModel.state == TrialState.RUNNING)
    found = select(TrialHeartbeatModel.trial_id).join(TrialModel).where(of_study)
    with storage._backend.engine.begin() as connection:
        return set(connection.execute(found).scalars())


# ---- one transaction for each step of a trial ------------------------------------------------------------
#
# Optuna reads and then writes, an attribute and a state one after the other, and SQLite locks no row in
# between: two processes would both have a trial, or one would end it while the other gives it up.


def claim_waiting(storage: Any, trial_id: int, owner: ProcessOwner) -> bool:
    """Set a waiting trial running, held by `owner`; False where another process was faster."""
    running = {"state": TrialState.RUNNING, "datetime_start": to_utc(datetime.now())}
    with storage._backend.engine.begin() as connection:
        if not _change_state(connection, trial_id, TrialState.WAITING, running):
            return False
        replace_attrs(connection, {trial_id: {OWNER: owner.to_dict()}})
    return True


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """How a trial ends: its values and user attributes, as plain values; `before`: the state it must have.

    The accuracies of a complete trial's curve become its intermediate values. One that paused or failed has
    none: with them, Optuna's TPE asks a study of several objectives for its one direction, and raises.
    """

    state: TrialState
    values: Sequence[float] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    before: TrialState = TrialState.RUNNING


def end_trials(storage: Any, ends: Mapping[int, TrialEnd]) -> set[int]:
    """End trials by their ids; return the ids of those that were in their state `before`, and have ended."""
    now = to_utc(datetime.now())
    with storage._backend.engine.begin() as connection:  # in one order, or two processes wait for each other
        ended = {
            trial_id: end
            for trial_id, end in sorted(ends.items(), key=itemgetter(0))
            if _change_state(connection, trial_id, end.before, {"state": end.state, "datetime_complete": now})
        }
        replace_attrs(connection, {trial_id: end.attrs for trial_id, end in ended.items()})
        values = [row for trial_id, end in ended.items() for row in _make_value_rows(trial_id, end.values)]
        curves = [row for trial_id, end in ended.items() for row in _make_curve_rows(trial_id, end)]
        for model, rows in ((TrialValueModel, values), (TrialIntermediateValueModel, curves)):
            if rows:
                connection.execute(insert(model), rows)
    return set(ended)


def _change_state(
    connection: Connection, trial_id: int, before: TrialState, columns: Mapping[str, Any]
) -> bool:
    wanted = (TrialModel.trial_id == trial_id) & (TrialModel.state == before)
    return bool(connection.execute(update(TrialModel).where(wanted).values(columns)).rowcount)


def write_heartbeats(storage: Any, trial_ids: Sequence[int], attrs: Mapping[int, Mapping[str, Any]]) -> None:
    """Record that running trials are alive, and user attributes by the id of their trial, all at once."""
    if trial_ids:
        with storage._backend.engine.begin() as connection:
            record_heartbeats(connection, trial_ids)
            replace_attrs(connection, attrs)


def _make_value_rows(trial_id: int, values: Sequence[float]) -> list[dict[str, Any]]:
    rows = []
    for objective, value in enumerate(values):
        stored, kind = TrialValueModel.value_to_stored_repr(float(value))
        rows.append({"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind})
    return rows


def _make_curve_rows(trial_id: int, end: TrialEnd) -> list[dict[str, Any]]:
    if end.state is not TrialState.COMPLETE:
        return []
    model, curve = TrialIntermediateValueModel, end.attrs.get(OUTCOME, {}).get("curve", ())
    rows = []
    for step, accuracy in {int(epoch): accuracy for epoch, _, accuracy in curve}.items():
        stored, kind = model.intermediate_value_to_stored_repr(float(accuracy))
        value = {"intermediate_value": stored, "intermediate_value_type": kind}
        rows.append({"trial_id": trial_id, "step": step, **value})
    return rows
