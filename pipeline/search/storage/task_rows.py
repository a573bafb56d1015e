"""The tasks that follow a search: rows that are attributes of its study.

Optuna and its dashboard list every study there is, so tasks have none of their own. Each lies in a system
attribute of the study that it follows: no list and no page of Optuna shows it, and it goes where the study
goes. A row changes as a whole, and only while its text is still the one that was read.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from optuna.storages._rdb.models import StudyModel, StudySystemAttributeModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.processes.process_owner import LEASE_SECONDS, ProcessOwner, is_free
from pipeline.search.storage.held_trials import TrialEnd, read_owner
from pipeline.search.storage.our_studies import OWNER, TASK_KEY

BEAT = "beat"
"""When the owner of a running row was last heard of, by the database's clock."""
Row = dict[str, Any]


class TaskRows:
    """The tasks of one study; the same methods as `StudyRows`, where an id is a number."""

    def __init__(self, storage: Any, study_id: int, is_wanted: Callable[[FrozenTrial], bool]) -> None:
        """Read nothing yet. `storage`: as `open_storage` gives it; `is_wanted`: what `list_wanted` lists."""
        self._engine, self._id, self._is_wanted = storage._backend.engine, study_id, is_wanted
        self._known: dict[int, tuple[str, FrozenTrial]] = {}

    def list_all(self) -> list[FrozenTrial]:
        """List all rows in order of their numbers."""
        model, known = StudySystemAttributeModel, self._known
        query = select(model.key, model.value_json).where(
            model.study_id == self._id, model.key.startswith(TASK_KEY)
        )
        with self._engine.connect() as connection:
            found = sorted((_read_number(key), text) for key, text in connection.execute(query))
        self._known = {
            number: known[number]
            if number in known and known[number][0] == text
            else (text, _make_trial(number, json.loads(text)))
            for number, text in found
        }
        return [row for _, row in self._known.values()]

    def list_wanted(self) -> list[FrozenTrial]:
        """List the rows that are wanted."""
        return list(filter(self._is_wanted, self.list_all()))

    def list_open(self) -> list[FrozenTrial]:
        """List the rows, wanted or not, that have not ended."""
        return [row for row in self.list_all() if not row.state.is_finished()]

    def find_id(self, number: int) -> int:
        """Return the id of the row of that number."""
        return number

    def get(self, trial_id: int) -> FrozenTrial:
        """Return a row as it is now.

        Raises:
            KeyError: it is gone, as with its study.
        """
        return _make_trial(trial_id, json.loads(self._read_text(trial_id)))

    # ---- writing ----------------------------------------------------------------------------------------

    def create(self, templates: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Add rows, numbered in the order in which they come, and drop those that have served their turn.

        Raises:
            KeyError: the study is gone.
        """
        return [self._create(template) for template in templates]

    def _create(self, template: FrozenTrial) -> FrozenTrial:
        running = template.state is TrialState.RUNNING
        row: Row = {"state": template.state.name, "attrs": template.user_attrs, "begun": None, "ended": None}
        while True:
            before = self.list_all()
            number = before[-1].number + 1 if before else 0
            try:
                with self._engine.begin() as connection:
                    self._lock_study(connection)
                    if running:
                        row |= {"begun": time.time(), BEAT: _read_clock(connection).isoformat()}
                    key = {"study_id": self._id, "key": _make_key(number)}
                    connection.execute(
                        insert(StudySystemAttributeModel).values(**key, value_json=json.dumps(row))
                    )
                    # The newest stays, so that numbers never come twice: `StudyStore.exclusive` needs that.
                    served = [old for old in before if old.state.is_finished() and not self._is_wanted(old)]
                    for old in served:
                        connection.execute(delete(StudySystemAttributeModel).where(self._is(old.number)))
            except IntegrityError:  # another process has taken the number
                continue
            return _make_trial(number, row)

    def _lock_study(self, connection: Connection) -> None:
        """Raise KeyError where the study is gone: SQLite would keep rows of no study."""
        study = select(StudyModel.study_id).where(StudyModel.study_id == self._id).with_for_update()
        if connection.execute(study).first() is None:
            raise KeyError(self._id)

    def claim(self, trial_id: int, owner: ProcessOwner) -> bool:
        """Set a waiting row running, held by `owner`; False where another process was faster."""

        def make(row: Row, now: str) -> Row | None:
            attrs = {**row["attrs"], OWNER: owner.to_dict()}
            running = {
                **row,
                "state": TrialState.RUNNING.name,
                "attrs": attrs,
                "begun": time.time(),
                BEAT: now,
            }
            return running if row["state"] == TrialState.WAITING.name else None

        return self.change(trial_id, make)

    def end(self, ends: Mapping[int, TrialEnd]) -> set[int]:
        """End rows by their ids; return the ids of those that were in their state `before`."""

        def end_one(trial_id: int, end: TrialEnd) -> bool:
            def make(row: Row, _: str) -> Row | None:
                ended = {
                    "state": end.state.name,
                    "attrs": {**row["attrs"], **end.attrs},
                    "ended": time.time(),
                }
                return {**row, **ended} if row["state"] == end.before.name else None

            return self.change(trial_id, make)

        return {trial_id for trial_id, end in ends.items() if end_one(trial_id, end)}

    def beat(self, trial_ids: Sequence[int], attrs: Mapping[int, Mapping[str, Any]]) -> None:
        """Record that running rows are alive, and attributes by the id of their row."""
        for trial_id in trial_ids:
            more = attrs.get(trial_id, {})

            def make(row: Row, now: str, more: Mapping[str, Any] = more) -> Row | None:
                alive = {**row, "attrs": {**row["attrs"], **more}, BEAT: now}
                return alive if row["state"] == TrialState.RUNNING.name else None

            self.change(trial_id, make)

    def find_abandoned(self) -> list[FrozenTrial]:
        """Find the running rows that nobody holds any more: see `process_owner.is_free`."""
        running = [row for row in self.list_open() if row.state is TrialState.RUNNING]
        if not running:
            return []
        with self._engine.connect() as connection:
            oldest = _read_clock(connection) - timedelta(seconds=LEASE_SECONDS)
        return [
            row
            for row in running
            if is_free(read_owner(row), datetime.fromisoformat(row.system_attrs[BEAT]) < oldest)
        ]

    def change(self, trial_id: int, make: Callable[[Row, str], Row | None]) -> bool:
        """Write what `make` returns for a row and the database's time; False where that is None.

        Raises:
            KeyError: the row is gone, as with its study.
        """
        model = StudySystemAttributeModel
        while True:
            text = self._read_text(trial_id)
            with self._engine.begin() as connection:
                changed = make(json.loads(text), _read_clock(connection).isoformat())
                if changed is None:
                    return False
                as_read = self._is(trial_id) & (model.value_json == text)
                writing = update(model).where(as_read).values(value_json=json.dumps(changed))
                if connection.execute(writing).rowcount:  # else another process was faster: look again
                    return True

    def _read_text(self, number: int) -> str:
        with self._engine.connect() as connection:
            query = select(StudySystemAttributeModel.value_json).where(self._is(number))
            text: str | None = connection.execute(query).scalar()
        if text is None:
            raise KeyError(number)
        return text

    def _is(self, number: int) -> ColumnElement[bool]:
        model = StudySystemAttributeModel
        return (model.study_id == self._id) & (model.key == _make_key(number))


def _make_key(number: int) -> str:
    return f"{TASK_KEY}{number}"


def _read_number(key: str) -> int:
    return int(key.removeprefix(TASK_KEY))


def _make_trial(number: int, row: Row) -> FrozenTrial:
    """Make what the rest of the room knows a row as; it has no params and no values."""
    begun, ended = (row[name] and datetime.fromtimestamp(row[name]) for name in ("begun", "ended"))
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState[row["state"]],
        value=None,
        datetime_start=begun,
        datetime_complete=ended,
        params={},
        distributions={},
        user_attrs=row["attrs"],
        system_attrs={BEAT: row[BEAT]} if BEAT in row else {},
        intermediate_values={},
    )


def _read_clock(connection: Connection) -> datetime:
    """Return the time of the database, which all machines have alike, without a time zone."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    return now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now
